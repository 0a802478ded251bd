"""A kassa on loopback: a server with TLS, a date and whatever answer a test wants, and the till's files beside it."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import trustme

from payme_plugin.clock import SystemClock
from payme_plugin.doctor import Check, Finding, Level, Report, examine
from payme_plugin.doctor.files import look_at_settings
from payme_plugin.doctor.server import check_server, look_at_server
from payme_plugin.settings import Settings
from tests.command.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NO_SUCH_RECEIPT = -31602
DAY = dt.timedelta(days=1)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HttpServer

    def do_HEAD(self) -> None:
        self.server.payme.heads += 1
        if self.server.payme.refuses_head:
            self.close_connection = True
            return
        self._reply(b"")

    def do_POST(self) -> None:
        payme = self.server.payme
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payme.methods.append(asked["method"])
        payme.authorisations.append(self.headers["X-Auth"])
        if payme.silent.is_set():
            payme.stopping.wait(30)
            self.close_connection = True
            return
        answer = {"id": asked["id"], "error": {"code": payme.error_code, "message": "no"}}
        self._reply(json.dumps(answer).encode() if payme.page is None else payme.page)

    def date_time_string(self, timestamp: float | None = None) -> str:
        now = SystemClock().wall_ms() / 1000
        return super().date_time_string(now + self.server.payme.ahead_s)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing."""

    def _reply(self, body: bytes) -> None:
        self.send_response(self.server.payme.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    payme: Payme

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that refuses the certificate hangs up: that is its right."""


@dataclass
class Payme:
    """A PaymeGO that knows no receipt.

    Attributes:
        error_code: what it answers.
        page: what it answers instead, whole.
        status: HTTP's.
        ahead_s: how far its clock is ahead of the machine's.
        refuses_head: it hangs up where only the head of an answer is asked for.
        silent: it takes requests and says nothing.
        methods: what was asked.
        authorisations: the key with each of them.
        heads: how often only a head was asked for.
    """

    error_code: int = NO_SUCH_RECEIPT
    page: bytes | None = None
    status: int = 200
    ahead_s: float = 0.0
    refuses_head: bool = False
    silent: threading.Event = field(default_factory=threading.Event)
    methods: list[str] = field(default_factory=list)
    authorisations: list[str] = field(default_factory=list)
    heads: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@contextmanager
def served(tls: ssl.SSLContext | None = None) -> Iterator[Payme]:
    """Serve a PaymeGO on loopback."""
    payme = Payme()
    server = _HttpServer(("127.0.0.1", 0), _Handler)
    server.payme = payme
    if tls is not None:
        # A handshake on the listening socket would hold up every other client.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    payme.url = f"{'http' if tls is None else 'https'}://localhost:{server.server_address[1]}/api"
    thread = threading.Thread(target=lambda: server.serve_forever(0.02), name="payme", daemon=True)
    thread.start()
    try:
        yield payme
    finally:
        payme.stopping.set()
        server.shutdown()
        thread.join(5)
        server.server_close()


@dataclass(frozen=True)
class Till:
    """The files of a till."""

    conf: Path
    folder: Path

    def configure(self, url: str, **changed: object) -> None:
        values: dict[str, object] = {
            "paymentType": 7,
            "timeout": 5,
            "url": f'"{url}"',
            "posId": "65aa00112233445566778899",
            "posKey": f'"{KEY}"',
            **changed,
        }
        text = "[Main]\n" + "".join(f"{name} = {value}\n" for name, value in values.items() if value is not None)
        self.conf.write_text(text, encoding="utf-8")
        self.conf.chmod(0o600)

    def examined(self, *, till: str | None = None) -> Report:
        return examine(self.conf, self.folder, SystemClock(), till=till)

    def walked(self) -> Report:
        """Check only the way to Payme."""
        settings, clock = look_at_settings(self.conf), SystemClock()
        assert isinstance(settings, Settings), settings
        return Report.of(check_server(look_at_server(settings, clock), clock.wall_ms()))


@pytest.fixture
def till(tmp_path: Path) -> Till:
    return Till(tmp_path / "payme.go.conf", tmp_path / "data")


@pytest.fixture
def payme() -> Iterator[Payme]:
    """A PaymeGO over plain http."""
    with served() as running:
        yield running


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.fixture
def good_for(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    """Make a server's side of TLS: ``good_for("localhost", days=100)``."""

    def make(*hosts: str, days: float = 100) -> ssl.SSLContext:
        # An hour more, so that a slow machine counts the same days.
        end = dt.datetime.now(dt.timezone.utc) + days * DAY + DAY / 24
        begin = min(end, dt.datetime.now(dt.timezone.utc)) - DAY
        return context_of(authority.issue_cert(*hosts, not_before=begin, not_after=end))

    return make


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def findings(report: Report, check: Check) -> list[Finding]:
    return [finding for finding in report.findings if finding.check is check]


def finding(report: Report, check: Check) -> Finding:
    """Return the one finding of a check."""
    (found,) = findings(report, check)
    return found


def level(report: Report, check: Check) -> Level:
    return finding(report, check).level


def unchecked(report: Report) -> dict[Check, str]:
    return {each.check: str(each.reason) for each in report.unchecked}
