"""The way to Payme, over real connections: name, connection, TLS, clock, key."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import trustme

from faults.connect_proxy import ConnectProxy
from payme_plugin.doctor import Check, Level
from payme_plugin.doctor.server import SERVER_CHECKS
from payme_plugin.sandbox import Sandbox
from tests.command.conftest import KEY
from tests.doctor.conftest import context_of, finding, level, served, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from payme_plugin.doctor import Report
    from tests.doctor.conftest import Payme, Till

    GoodFor = Callable[..., ssl.SSLContext]

TOO_LONG_NAME = ".".join("x" * 63 for _ in range(5))
"""Longer than any name may be: it is refused before a name server is asked."""


def ends_at(report: Report, check: Check) -> None:
    """Make sure that the way ends in a fault at ``check``, and that nothing behind it is judged."""
    behind = SERVER_CHECKS[SERVER_CHECKS.index(check) + 1 :]
    assert finding(report, check).level is Level.FAULT
    assert str(finding(report, check).remedy)
    assert set(behind) <= set(unchecked(report))


# ---------------------------------------------------------------------------------------------------------------------
# A way without a fault
# ---------------------------------------------------------------------------------------------------------------------


def test_over_https_every_step_is_told(till: Till, good_for: GoodFor, ca_file: Path) -> None:
    with served(good_for("localhost")) as payme:
        till.configure(payme.url, caFile=ca_file)
        report = till.walked()

    assert [level(report, check) for check in SERVER_CHECKS] == [Level.OK] * len(SERVER_CHECKS)
    assert report.unchecked == ()
    assert "verified and valid for 100 more days" in str(finding(report, Check.TLS).text)
    assert str(finding(report, Check.TLS).text).startswith("TLSv1.")
    assert payme.methods == ["receipts.check"], "harmless, and nothing else"
    assert payme.authorisations == [f"65aa00112233445566778899:{KEY}"]


def test_a_way_through_a_proxy_is_checked_at_the_proxy(till: Till, good_for: GoodFor, ca_file: Path) -> None:
    proxy = ConnectProxy()
    with closing(proxy), served(good_for("localhost")) as payme:
        till.configure(payme.url, caFile=ca_file, proxy=f"http://user:canary@127.0.0.1:{proxy.port}")
        report = till.walked()

    assert [level(report, check) for check in SERVER_CHECKS] == [Level.OK] * len(SERVER_CHECKS)
    assert f"127.0.0.1 port {proxy.port}" in str(finding(report, Check.CONNECTION).text)
    assert len(proxy.asked) == 2
    assert all(line.startswith("CONNECT localhost:") for line in proxy.asked)
    assert "canary" not in repr(report)


def test_a_proxy_that_is_not_reached_is_what_the_remedy_names(till: Till, good_for: GoodFor, ca_file: Path) -> None:
    with served(good_for("localhost")) as payme:
        till.configure(payme.url, caFile=ca_file, proxy="http://127.0.0.1:9")
        report = till.walked()

    ends_at(report, Check.CONNECTION)
    assert str(finding(report, Check.CONNECTION).remedy).startswith("Check proxy.")


def test_an_address_without_a_name_is_matched_with_its_certificate(
    till: Till, good_for: GoodFor, ca_file: Path
) -> None:
    with served(good_for("127.0.0.1")) as payme:
        till.configure(payme.url.replace("localhost", "127.0.0.1"), caFile=ca_file)
        report = till.walked()

    assert level(report, Check.TLS) is Level.OK
    assert "no DNS lookup is needed" in str(finding(report, Check.NAME).text)


def test_plain_http_to_this_machine_has_no_tls_to_look_at(till: Till, payme: Payme) -> None:
    till.configure(payme.url)
    report = till.walked()

    assert unchecked(report) == {Check.TLS: "url is plain http to this machine"}
    assert level(report, Check.KEY) is Level.OK


def test_the_sandbox_is_without_a_fault(till: Till) -> None:
    with Sandbox(pos_key=KEY) as sandbox:
        till.configure(sandbox.url, posId=sandbox.pos_id)
        report = till.examined()

    assert report.worst is Level.OK
    assert sandbox.receipts() == (), "no receipt was made"


# ---------------------------------------------------------------------------------------------------------------------
# TLS
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    signer = trustme.CA()
    signer.private_key_pem.write_to_path(str(tmp_path / "own.pem"))
    signer.cert_pem.write_to_path(str(tmp_path / "own.pem"), append=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    return context


@pytest.fixture
def bad(good_for: GoodFor, self_signed: ssl.SSLContext) -> dict[str, ssl.SSLContext]:
    tomorrow = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=1)
    return {
        "expired": good_for("localhost", days=-1),
        "self-signed": self_signed,
        "another host": good_for("payme.example"),
        "untrusted": context_of(trustme.CA().issue_cert("localhost", not_after=tomorrow)),
    }


@pytest.mark.parametrize(
    ("cause", "said", "remedy"),
    [
        ("expired", "has expired", "must renew the certificate"),
        ("self-signed", "self-signed", "caFile"),
        ("another host", "is for another host", "Check url: its host"),
        ("untrusted", "does not trust the authority", "caFile"),
    ],
)
def test_a_certificate_that_is_refused_is_told_with_its_cause_and_the_key_stays_here(
    till: Till, bad: dict[str, ssl.SSLContext], ca_file: Path, cause: str, said: str, remedy: str
) -> None:
    with served(bad[cause]) as payme:
        till.configure(payme.url, caFile=ca_file)
        report = till.walked()

    ends_at(report, Check.TLS)
    assert said in str(finding(report, Check.TLS).text)
    assert remedy in str(finding(report, Check.TLS).remedy)
    assert (payme.methods, payme.heads) == ([], 0)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_wrong_name_is_told_for_names_and_addresses_alike(
    till: Till, good_for: GoodFor, ca_file: Path, host: str
) -> None:
    with served(good_for("payme.example", "127.0.0.2")) as payme:
        till.configure(payme.url.replace("localhost", host), caFile=ca_file)
        report = till.walked()

    assert "is for another host" in str(finding(report, Check.TLS).text)
    assert "Check url" in str(finding(report, Check.TLS).remedy)


@pytest.mark.parametrize(("days", "wanted"), [(13, Level.WARNING), (14, Level.OK)])
def test_a_certificate_that_ends_within_two_weeks_is_a_warning(
    till: Till, good_for: GoodFor, ca_file: Path, days: int, wanted: Level
) -> None:
    with served(good_for("localhost", days=days)) as payme:
        till.configure(payme.url, caFile=ca_file)
        report = till.walked()

    assert level(report, Check.TLS) is wanted
    assert f"valid for {days} more days" in str(finding(report, Check.TLS).text)


def test_a_server_without_tls_is_told(till: Till, payme: Payme) -> None:
    till.configure(payme.url.replace("http:", "https:"))
    report = till.walked()

    ends_at(report, Check.TLS)
    assert "does not speak TLS on port" in str(finding(report, Check.TLS).text)
    assert "port" in str(finding(report, Check.TLS).remedy)


# ---------------------------------------------------------------------------------------------------------------------
# No way at all
# ---------------------------------------------------------------------------------------------------------------------


def test_a_closed_port_ends_the_way_at_the_connection(till: Till) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    till.configure(f"http://127.0.0.1:{port}/api")
    report = till.walked()

    assert level(report, Check.NAME) is Level.OK
    ends_at(report, Check.CONNECTION)
    assert "Connection refused" in str(finding(report, Check.CONNECTION).text)


def test_a_name_that_is_not_found_ends_the_way_at_the_name(till: Till) -> None:
    till.configure(f"https://{TOO_LONG_NAME}/api")
    report = till.walked()

    ends_at(report, Check.NAME)
    assert "/etc/resolv.conf" in str(finding(report, Check.NAME).remedy)


@pytest.fixture
def hanging_look_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A name server that never answers."""
    over = threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        over.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    over.set()


@pytest.mark.usefixtures("hanging_look_up")
def test_a_look_up_that_hangs_ends_with_timeout(till: Till) -> None:
    till.configure("https://checkout.paycom.uz/api", timeout=1)
    began_at = time.monotonic()
    report = till.walked()

    assert time.monotonic() - began_at < 4
    ends_at(report, Check.NAME)
    assert "no answer within timeout" in str(finding(report, Check.NAME).text)


def test_a_server_that_says_nothing_ends_with_timeout(till: Till, payme: Payme) -> None:
    payme.silent.set()
    till.configure(payme.url, timeout=1)
    began_at = time.monotonic()
    report = till.walked()

    assert time.monotonic() - began_at < 4
    ends_at(report, Check.KEY)
    assert "no answer within timeout" in str(finding(report, Check.KEY).text)


def test_a_handshake_that_hangs_ends_with_timeout(till: Till) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        till.configure(f"https://127.0.0.1:{mute.getsockname()[1]}/api", timeout=1)
        report = till.walked()

    ends_at(report, Check.TLS)
    assert "no answer within timeout" in str(finding(report, Check.TLS).text)


# ---------------------------------------------------------------------------------------------------------------------
# Clock
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead_s", "wanted", "side"),
    [
        (0, Level.OK, "agrees"),
        (20, Level.OK, "agrees"),
        (-20, Level.OK, "agrees"),
        (45, Level.WARNING, "s behind"),
        (-45, Level.WARNING, "s ahead of"),
        (5 * 3600, Level.FAULT, "h behind"),
        (-400 * 86400, Level.FAULT, "days ahead of"),
    ],
)
def test_the_tills_clock_is_measured_against_the_servers_date(
    till: Till, payme: Payme, ahead_s: float, wanted: Level, side: str
) -> None:
    payme.ahead_s = ahead_s
    till.configure(payme.url)
    report = till.walked()

    assert level(report, Check.CLOCK) is wanted
    assert side in str(finding(report, Check.CLOCK).text)


def test_a_server_that_tells_no_date_leaves_the_clock_unchecked_and_nothing_else(till: Till, payme: Payme) -> None:
    payme.refuses_head = True
    till.configure(payme.url)
    report = till.walked()

    assert unchecked(report)[Check.CLOCK] == "the server sent no date"
    assert level(report, Check.KEY) is Level.OK


# ---------------------------------------------------------------------------------------------------------------------
# Key
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "wanted", "said"),
    [
        (-31602, Level.OK, "accepts"),
        (-31003, Level.OK, "accepts"),
        (-31008, Level.OK, "accepts"),
        (-32504, Level.FAULT, "refuses the key"),
        (-31601, Level.FAULT, "does not serve this merchant account"),
        (-32400, Level.WARNING, "does not say"),
        (-99999, Level.WARNING, "Payme answers with error -99999"),
    ],
)
def test_what_the_server_answers_tells_whether_the_key_is_accepted(
    till: Till, payme: Payme, code: int, wanted: Level, said: str
) -> None:
    payme.error_code = code
    till.configure(payme.url)
    report = till.walked()

    assert level(report, Check.KEY) is wanted
    assert said in str(finding(report, Check.KEY).text)


def test_a_wrong_key_at_the_sandbox_is_refused(till: Till) -> None:
    with Sandbox(pos_key="another") as sandbox:
        till.configure(sandbox.url, posId=sandbox.pos_id)
        report = till.walked()

    assert level(report, Check.KEY) is Level.FAULT
    assert "posId and posKey" in str(finding(report, Check.KEY).remedy)


@pytest.mark.parametrize(
    ("status", "page", "said", "remedy"),
    [
        (404, b"{}", "HTTP status 404", "/api"),
        (200, b"<html>Sign in</html>", "can't be read", "Wi-Fi"),
        (200, b'{"id": 1}', "belongs to another request", "Wi-Fi"),
    ],
)
def test_a_server_that_is_not_payme_is_told(
    till: Till, payme: Payme, status: int, page: bytes, said: str, remedy: str
) -> None:
    payme.status, payme.page = status, page
    till.configure(payme.url)
    report = till.walked()

    ends_at(report, Check.KEY)
    assert said in str(finding(report, Check.KEY).text)
    assert remedy in str(finding(report, Check.KEY).remedy)


def test_without_settings_the_way_is_not_walked(till: Till, payme: Payme) -> None:
    till.configure(payme.url, frequency="often")
    report = till.examined()

    assert level(report, Check.SETTINGS) is Level.FAULT
    assert set(SERVER_CHECKS) <= set(unchecked(report))
    assert (payme.heads, payme.methods) == (0, [])
