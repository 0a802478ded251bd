"""The checks of the server over real connections: name, connection, TLS, clock, key."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
import trustme

from faults.connect_proxy import ConnectProxy
from faults.server import Peer
from payme_plugin.clock import SystemClock
from payme_plugin.doctor import Check, Level, Report
from payme_plugin.doctor.files import look_at_settings
from payme_plugin.doctor.server import SERVER_CHECKS, check_server, look_at_server
from payme_plugin.sandbox import Sandbox
from payme_plugin.settings import Settings
from tests.command.conftest import KEY
from tests.doctor.conftest import finding, level, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.server import Connection
    from tests.doctor.conftest import DoctorTill

ALL_OK = dict.fromkeys((Check.NAME, Check.CONNECTION, Check.TLS, Check.KEY), Level.OK)
"""The sandbox sends no date, so the clock is unchecked."""


class ShiftedClock(SystemClock):
    """The clock of a till that is ahead of the server's."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead_ms = int(ahead_s * 1000)

    def wall_ms(self) -> int:
        return super().wall_ms() + self._ahead_ms


def checked(till: DoctorTill, ahead_s: float = 0) -> Report:
    """Check only the way to Payme."""
    settings, clock = look_at_settings(till.conf), ShiftedClock(ahead_s)
    assert isinstance(settings, Settings), settings
    return Report.of(check_server(look_at_server(settings, clock), clock.wall_ms()))


def assert_ends_at(report: Report, check: Check) -> None:
    """Make sure that the way ends in a fault at ``check``, and that nothing behind it is judged."""
    behind = SERVER_CHECKS[SERVER_CHECKS.index(check) + 1 :]
    assert level(report, check) is Level.FAULT
    assert str(finding(report, check).remedy)
    assert set(behind) <= set(unchecked(report))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_over_https_each_step_is_ok_and_one_harmless_request_is_sent(
    till: DoctorTill, certificate: Callable[..., Path], ca_file: Path, host: str
) -> None:
    with Sandbox(pos_key=KEY, certfile=certificate(host)) as sandbox:
        till.configure(url=sandbox.url.replace("127.0.0.1", host), caFile=ca_file)
        report = checked(till)

    assert {each.check: each.level for each in report.findings} == ALL_OK
    assert unchecked(report) == {Check.CLOCK: "the server sent no date"}
    assert str(finding(report, Check.TLS).text).startswith("TLSv1.")
    assert "verified and valid for 100 more days" in str(finding(report, Check.TLS).text)
    assert ("no DNS lookup is needed" in str(finding(report, Check.NAME).text)) is (host == "127.0.0.1")
    assert [(request.method, request.authorised) for request in sandbox.requests] == [("receipts.check", True)]


def test_with_a_proxy_the_connection_is_checked_at_the_proxy(
    till: DoctorTill, certificate: Callable[..., Path], ca_file: Path
) -> None:
    proxy = ConnectProxy()
    with closing(proxy), Sandbox(pos_key=KEY, certfile=certificate("localhost")) as sandbox:
        url = sandbox.url.replace("127.0.0.1", "localhost")
        till.configure(url=url, caFile=ca_file, proxy=f"http://user:canary@127.0.0.1:{proxy.port}")
        report = checked(till)

    assert {each.check: each.level for each in report.findings} == ALL_OK
    assert f"127.0.0.1 port {proxy.port}" in str(finding(report, Check.CONNECTION).text)
    assert [line.partition(":")[0] for line in proxy.asked] == ["CONNECT localhost"] * 2
    assert "canary" not in repr(report)


@pytest.mark.parametrize(
    ("cause", "host", "text", "remedy"),
    [
        ("expired", "localhost", "has expired", "must renew the certificate"),
        ("self-signed", "localhost", "self-signed", "caFile"),
        ("another host", "localhost", "is for another host", "Check url: its host"),
        ("another host", "127.0.0.1", "is for another host", "Check url: its host"),
        ("another authority", "localhost", "does not trust the authority", "caFile"),
        ("no TLS", "localhost", "does not speak TLS on port", "port"),
    ],
)
def test_a_refused_certificate_is_a_fault_with_its_cause_and_nothing_is_sent(
    till: DoctorTill, certificate: Callable[..., Path], ca_file: Path, cause: str, host: str, text: str, remedy: str
) -> None:
    server = None
    if cause == "self-signed":
        server, signer = ca_file.with_name("own.pem"), trustme.CA()
        signer.private_key_pem.write_to_path(str(server))
        signer.cert_pem.write_to_path(str(server), append=True)
    elif cause != "no TLS":
        name = "payme.example" if cause == "another host" else "localhost"
        issued = {"signer": trustme.CA()} if cause == "another authority" else {}
        server = certificate(name, days=-1 if cause == "expired" else 1, **issued)
    with Sandbox(pos_key=KEY, certfile=server) as sandbox:
        url = sandbox.url.replace("127.0.0.1", host).replace("http:", "https:")
        till.configure(url=url, caFile=ca_file)
        report = checked(till)

    assert_ends_at(report, Check.TLS)
    assert text in str(finding(report, Check.TLS).text)
    assert remedy in str(finding(report, Check.TLS).remedy)
    assert sandbox.requests == ()


@pytest.mark.parametrize("setting", ["url", "proxy"])
def test_a_closed_port_ends_the_way_at_the_connection(till: DoctorTill, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    till.configure(**{"url": "https://payme.example/api", setting: closed})
    report = checked(till)

    assert level(report, Check.NAME) is Level.OK
    assert_ends_at(report, Check.CONNECTION)
    assert "Connection refused" in str(finding(report, Check.CONNECTION).text)
    assert str(finding(report, Check.CONNECTION).remedy).startswith(f"Check {setting}")


@pytest.mark.parametrize(
    ("step", "url"),
    [
        (Check.NAME, "https://checkout.paycom.uz/api"),
        (Check.TLS, "https://127.0.0.1:{port}/api"),
        (Check.KEY, "http://127.0.0.1:{port}/api"),
    ],
    ids=["look-up", "handshake", "answer"],
)
def test_a_step_that_hangs_ends_with_timeout(
    till: DoctorTill, monkeypatch: pytest.MonkeyPatch, step: Check, url: str
) -> None:
    is_over, began_at = threading.Event(), time.monotonic()
    if step is Check.NAME:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: is_over.wait(30))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        till.configure(url=url.format(port=mute.getsockname()[1]), timeout=1)
        report = checked(till)
    is_over.set()

    assert time.monotonic() - began_at < 4
    assert_ends_at(report, step)
    assert "no answer within timeout" in str(finding(report, step).text)


@pytest.mark.parametrize(
    ("ahead_s", "wanted", "side"),
    [
        (20, Level.OK, "agrees"),
        (-45, Level.WARNING, "s behind"),
        (5 * 3600, Level.FAULT, "h ahead of"),
    ],
)
def test_the_tills_clock_is_measured_against_the_servers_date_though_the_server_is_not_paymes(
    till: DoctorTill, ahead_s: float, wanted: Level, side: str
) -> None:
    def sign_in(connection: Connection) -> None:
        connection.read_request()
        connection.reply(b"<html>Sign in</html>", headers=f"Date: {formatdate(usegmt=True)}\r\n")

    with closing(Peer(sign_in)) as server:
        till.configure(url=server.url)
        report = checked(till, ahead_s)

    assert (level(report, Check.CLOCK), side in str(finding(report, Check.CLOCK).text)) == (wanted, True)
    assert str(finding(report, Check.KEY).text).startswith("The answer is not from Payme: ")
