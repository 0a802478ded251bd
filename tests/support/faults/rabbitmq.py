"""A real RabbitMQ of its own: Debian's rabbitmq-server on loopback, which a test may kill, stop or run short of memory.

It shares nothing with the machine's own broker: node name, cookie, ports, data and logs are in its folder.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trustme import LeafCert

LOOPBACK = "127.0.0.1"
USER = "payme"
PASSWORD = "of/the:tests@"  # a URL has to quote it
# The scripts in /usr/sbin change to the user rabbitmq and to its folder.
_SCRIPTS = Path("/usr/lib/rabbitmq/bin")
_READY_S = 60.0
_COMMAND_S = 60.0
_LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false"
_SMALL = "+S 1:1 +SDcpu 1:1 +SDio 2 +A 1"


@dataclass(frozen=True)
class QueueState:
    """What the broker says about a queue.

    Attributes:
        kind: ``quorum`` or ``classic``.
        ready: messages that wait.
        unacknowledged: messages that a consumer holds.
        consumers: who listens.
    """

    kind: str
    ready: int
    unacknowledged: int
    consumers: int


class RabbitMq:
    """One node; with ``beside`` it joins the cluster of that node, which must run when this one starts first."""

    def __init__(self, folder: Path, *, certificate: LeafCert | None = None, beside: RabbitMq | None = None) -> None:
        if not _SCRIPTS.exists():
            raise FileNotFoundError(f"{_SCRIPTS} is missing: apt-get install rabbitmq-server")
        self._folder = folder
        self.port, self.tls_port = _free_port(), _free_port()
        self._names: _Names = beside._names if beside else _Names(_free_port())
        self.node = f"node{self.port}@{LOOPBACK}"
        self._environment = self._configured(certificate, beside)
        self._server: subprocess.Popen[bytes] | None = None
        self.launches = 0
        """How often the process was started."""
        atexit.register(self.close)

    def url(self, vhost: str = "/", user: str = USER, password: str = PASSWORD) -> str:
        """The address without TLS."""
        return f"amqp://{quote(user, '')}:{quote(password, '')}@{LOOPBACK}:{self.port}/{quote(vhost, '')}"

    def tls_url(self, vhost: str = "/") -> str:
        """The address with TLS, for a broker with a certificate."""
        return f"amqps://{USER}:{quote(PASSWORD, '')}@{LOOPBACK}:{self.tls_port}/{quote(vhost, '')}"

    @property
    def runs(self) -> bool:
        """Whether the process runs: no test has killed or stopped it, and it has not ended by itself."""
        return self._server is not None and self._server.poll() is None

    @property
    def greets(self) -> bool:
        """Whether the node answers a client, and so has opened its queues."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as client:
                client.sendall(b"AMQP\0\0\x09\x01")
                return client.recv(1) != b""
        except OSError:
            return False

    @property
    def names_port(self) -> int:
        """The port of the process that knows the nodes, which ends with them."""
        return self._names.port

    @property
    def process_id(self) -> int:
        """The Erlang VM."""
        assert self._server is not None
        return self._server.pid

    # The process.

    def start(self) -> float:
        """Start the node, on the data that it has; return after how many seconds it answers."""
        began = time.monotonic()
        self.launch()
        try:
            self.wait_until_ready()
        except AssertionError:  # e.g. another process has taken the port meanwhile, or the machine is very busy
            self.kill()
            self.launch()
            self.wait_until_ready()
        return time.monotonic() - began

    def launch(self) -> None:
        """Start the node and don't wait for it."""
        assert not self.runs, "the node runs already"
        self._names.start()
        with (self._folder / "output").open("ab") as output:
            self._server = subprocess.Popen(  # noqa: S603 - Debian's own script
                [_SCRIPTS / "rabbitmq-server"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.launches += 1

    def wait_until_ready(self) -> None:
        """Wait until the node ``greets``."""
        deadline = time.monotonic() + _READY_S
        while not self.greets:
            assert self._server is not None
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"RabbitMQ doesn't start:\n{(self._folder / 'output').read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the Erlang VM with SIGKILL, stopped or not."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def stop(self) -> None:
        """Stop the node as an operator does."""
        assert self._server is not None
        self._server.terminate()
        self._server.wait(_READY_S)
        self._server = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the process where it is: connections stay open and nothing answers. It may be killed meanwhile."""
        os.kill(self.process_id, signal.SIGSTOP)
        try:
            yield
        finally:
            if self.runs:
                os.kill(self.process_id, signal.SIGCONT)

    def close(self) -> None:
        """Leave no process behind."""
        self.kill()
        self._names.close()
        atexit.unregister(self.close)

    # What rabbitmqctl does.

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl; a call takes about 0.4 s."""
        ended = subprocess.run(  # noqa: S603 - Debian's own script
            [_SCRIPTS / "rabbitmqctl", "--quiet", *arguments],
            env=self._environment,
            capture_output=True,
            timeout=_COMMAND_S,
            encoding="utf-8",
            check=False,
        )
        assert ended.returncode == 0, f"rabbitmqctl {' '.join(arguments)}:\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def add_vhost(self, name: str) -> None:
        """Add a vhost where the user of the tests may do everything; it is on disk, so that a kill does not lose it."""
        self.ctl(
            "eval",
            f'ok = rabbit_vhost:add(<<"{name}">>, <<"tests">>), rabbit_auth_backend_internal:set_permissions('
            f'<<"{USER}">>, <<"{name}">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>), ok = mnesia:sync_log().',
        )

    def add_user(self, name: str, password: str, vhost: str, *, configure: str, write: str, read: str) -> None:
        """Add a user who may do in the vhost what these patterns allow."""
        self.ctl("add_user", name, password)
        self.ctl("set_permissions", "--vhost", vhost, name, configure, write, read)

    def list_queues(self, vhost: str = "/") -> dict[str, QueueState]:
        """Ask for the queues; the counts of a quorum queue may be 5 s old."""
        columns = ("name", "type", "messages_ready", "messages_unacknowledged", "consumers")
        rows = json.loads(self.ctl("list_queues", "--vhost", vhost, "--formatter", "json", *columns))
        return {row["name"]: QueueState(*(row[column] for column in columns[1:])) for row in rows}

    @contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """Let the node be short of memory: it blocks every connection that publishes."""
        self.ctl("set_vm_memory_high_watermark", "absolute", "1")
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", "0.4")

    @contextmanager
    def silent_queue(self, name: str, vhost: str = "/") -> Iterator[None]:
        """Let a quorum queue answer nothing, as without a majority, while the node answers heartbeats."""
        found = f'{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, <<"{name}">>))'
        member = f"{found}, {{Member, _}} = amqqueue:get_pid(Queue)"
        self.ctl("eval", f"{member}, ok = sys:suspend(Member).")
        try:
            yield
        finally:
            self.ctl("eval", f"{member}, ok = sys:resume(Member).")

    def flush_tables(self) -> None:
        """Write what a kill would lose: RabbitMQ 3.10 writes where a new quorum queue's data is up to 2 s late."""
        self.ctl("eval", "[ok = dets:sync(Table) || Table <- dets:all()].")

    def _configured(self, certificate: LeafCert | None, beside: RabbitMq | None) -> dict[str, str]:
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        cookie = folder / ".erlang.cookie"
        cookie.write_text("of-the-tests")
        cookie.chmod(0o400)  # Erlang refuses it otherwise
        (folder / "environment.conf").touch()
        (folder / "plugins").write_text("[].")
        lines = [
            f"listeners.tcp.1 = {LOOPBACK}:{self.port}",
            f"default_user = {USER}",
            f"default_pass = {PASSWORD}",
            "log.console = false",
            "disk_free_limit.absolute = 10MB",
        ]
        if certificate is not None:
            certificate.private_key_pem.write_to_path(folder / "key.pem")
            for position, part in enumerate(certificate.cert_chain_pems):
                part.write_to_path(folder / "certificate.pem", append=bool(position))
            lines += [
                f"listeners.ssl.1 = {LOOPBACK}:{self.tls_port}",
                f"ssl_options.certfile = {folder / 'certificate.pem'}",
                f"ssl_options.keyfile = {folder / 'key.pem'}",
                "ssl_options.verify = verify_none",
            ]
        if beside is not None:
            lines.append(f"cluster_formation.classic_config.nodes.1 = {beside.node}")
        (folder / "rabbitmq.conf").write_text("".join(f"{line}\n" for line in lines))
        return {
            **_environment(folder, self.names_port),
            "PATH": os.environ["PATH"],
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_USE_LONGNAME": "true",
            # The script becomes the VM instead of starting it, so that a signal to the process reaches the VM.
            "detached": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput +B i",
        }


def _environment(home: Path, names_port: int) -> dict[str, str]:
    return {
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(names_port),
        "RABBITMQ_CONF_ENV_FILE": str(home / "environment.conf"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_DIST_PORT": str(_free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{_SMALL} {_LOOPBACK_ONLY}",
        "RABBITMQ_CTL_ERL_ARGS": f"+S 1:1 {_LOOPBACK_ONLY}",
    }


@contextmanager
def private_environment(home: Path) -> Iterator[dict[str, str]]:
    """Yield an environment for RabbitMQ's scripts: their data is in a folder, apart from the machine's own broker's."""
    names = _Names(_free_port())
    names.start()
    try:
        yield _environment(home, names.port)
    finally:
        names.close()


class _Names:
    """Erlang's port mapper on a port of its own; the nodes of a cluster share it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is not None:
            return
        self._process = subprocess.Popen(  # noqa: S603 - a fixed command
            ["epmd", "-address", LOOPBACK, "-port", str(self.port)],  # noqa: S607 - wherever Erlang is
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while True:
            try:
                socket.create_connection((LOOPBACK, self.port)).close()
            except OSError:
                assert self._process.poll() is None, "epmd has ended"
                time.sleep(0.01)
            else:
                return

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _free_port() -> int:
    """Find a port that no client's socket gets meanwhile: a client that tries again could connect to itself."""
    while True:
        port = random.randrange(20000, 32000)  # noqa: S311 - any free one; below Linux's range for clients
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        return port
