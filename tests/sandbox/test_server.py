from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import trustme
import urllib3

from payme_plugin.sandbox import FaultKind, InjectedFault, PortUnavailable, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

CREATE = {"id": 1, "method": "receipts.create", "params": {"amount": 5, "account": {}}}


def create(pool: urllib3.HTTPConnectionPool, sandbox: Sandbox) -> None:
    headers = {"X-Auth": f"{sandbox.pos_id}:{sandbox.pos_key}"}
    answer = pool.urlopen("POST", "/api", body=json.dumps(CREATE).encode(), headers=headers, retries=False)
    assert json.loads(answer.data)["result"]["receipt"]["state"] == 0


def test_a_sandbox_listens_on_loopback_on_a_free_port_and_names_its_address(sandbox: Sandbox) -> None:
    assert sandbox.port > 0
    assert sandbox.url == f"http://127.0.0.1:{sandbox.port}/api"
    assert sandbox.phone_url == f"http://127.0.0.1:{sandbox.port}/phone"


def test_a_port_in_use_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(PortUnavailable, match=f"port {sandbox.port} on 127.0.0.1 can't be used .*in use") as raised:
        Sandbox(sandbox.port).start()
    assert raised.value.port == sandbox.port


def test_a_stopped_sandbox_refuses_connections_and_comes_back_with_its_receipts() -> None:
    sandbox = Sandbox()
    with urllib3.HTTPConnectionPool("127.0.0.1", sandbox.start().port) as pool:
        create(pool, sandbox)
        address = (("127.0.0.1"), sandbox.port)
        sandbox.stop()
        sandbox.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
        with sandbox:
            assert ("127.0.0.1", sandbox.start().port) == address
            create(pool, sandbox)
    assert len(sandbox.receipts()) == 2


def test_fifty_clients_at_once_get_fifty_receipts(sandbox: Sandbox) -> None:
    before = len(sandbox.receipts())
    with urllib3.HTTPConnectionPool("127.0.0.1", sandbox.port, maxsize=50) as pool, ThreadPoolExecutor(50) as threads:
        for done in [threads.submit(create, pool, sandbox) for _ in range(50)]:
            done.result()

    receipts = sandbox.receipts()[before:]
    assert len({one.receipt_id for one in receipts}) == len(receipts) == 50


def test_https_is_served_with_a_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    with Sandbox(certfile=tmp_path / "own.pem") as sandbox:
        assert sandbox.url == f"https://127.0.0.1:{sandbox.port}/api"
        with urllib3.HTTPSConnectionPool("127.0.0.1", sandbox.port, ca_certs=str(tmp_path / "ca.pem")) as pool:
            create(pool, sandbox)
        with (
            urllib3.HTTPSConnectionPool("127.0.0.1", sandbox.port) as distrustful,
            pytest.raises(urllib3.exceptions.SSLError),
        ):
            create(distrustful, sandbox)


def test_a_certificate_that_can_not_be_used_is_an_error_and_frees_the_port(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("not a certificate", encoding="ascii")
    for name in ("bad.pem", "missing.pem"):
        with pytest.raises(OSError, match=r"."):
            Sandbox(certfile=tmp_path / name).start()
    with pytest.raises(ValueError, match="needs certfile"):
        Sandbox(keyfile=tmp_path / "bad.pem")


def test_a_sandbox_needs_only_what_the_plugin_needs_and_shows_digits_without_segno() -> None:
    script = """
import sys
before = set(sys.modules)
sys.modules["segno"] = None
import json
from urllib.request import Request, urlopen
from payme_plugin.sandbox import Sandbox
with Sandbox() as sandbox:
    phone_id = json.load(urlopen(Request(sandbox.control_url + "/phones", b"{}")))["phone_id"]
    shown = json.load(urlopen(Request(f"{sandbox.control_url}/phones/{phone_id}/code", b"{}")))
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([shown, sorted(names - set(sys.stdlib_module_names))]))
"""

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603

    shown, libraries = json.loads(ran.stdout)
    assert (len(shown["code"]), shown["svg"]) == (20, None)
    assert set(libraries) == {"hookspecs", "payme_plugin", "pluggy", "segno"}


@pytest.mark.parametrize("kind", [FaultKind.SILENT, FaultKind.REQUEST_DELAYED, FaultKind.ANSWER_DELAYED])
def test_a_stop_ends_idle_half_sent_and_hanging_connections_at_once_and_waits_for_no_fault(kind: FaultKind) -> None:
    before = set(threading.enumerate())
    sandbox = Sandbox().start()
    sandbox.inject(InjectedFault(kind, after_s=3600.0))
    hanging = json.dumps(CREATE).encode()
    x_auth = f"X-Auth: {sandbox.pos_id}:{sandbox.pos_key}"
    head = f"POST /api HTTP/1.1\r\n{x_auth}\r\nContent-Length: {len(hanging)}\r\n\r\n".encode()
    with ExitStack() as connections:
        sent = [b"", b"POST /a", head + b"{", head + hanging]
        address = ("127.0.0.1", sandbox.port)
        opened = [connections.enter_context(socket.create_connection(address, timeout=10)) for _ in sent]
        for connection, data in zip(opened, sent, strict=True):
            connection.sendall(data)
        while not sandbox.requests:
            time.sleep(0.005)
        began = time.monotonic()
        sandbox.stop()
        took_s = time.monotonic() - began

        assert [connection.recv(1) for connection in opened] == [b"", b"", b"", b""]
    assert took_s < 3
    assert len(sandbox.receipts()) == (1 if kind is FaultKind.ANSWER_DELAYED else 0)
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "payme-sandbox"]
