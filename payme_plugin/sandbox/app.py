"""What the sandbox serves: ``/api`` for the till, the control API with its stream of events, and the pages."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from importlib.resources import files
from ipaddress import ip_address
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from payme_plugin.sandbox.control import CALLS, PREFIX, QUERIES, ControlRequest, as_json, check_body, qr_svg, route
from payme_plugin.sandbox.faults import FaultKind, InjectedFault, altered, broken
from payme_plugin.sandbox.http_server import Abort, Answer, Request, Stream
from payme_plugin.sandbox.jsonrpc import BankError, ErrorCode, error_answer, read_object, result_answer
from payme_plugin.sandbox.store import StateFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from threading import Event as Stopping

    from payme_plugin.sandbox.control import ControlCall
    from payme_plugin.sandbox.events import Event
    from payme_plugin.sandbox.jsonrpc import Call
    from payme_plugin.sandbox.request_log import Arrival
    from payme_plugin.sandbox.server import Sandbox

_LOG = logging.getLogger("payme.sandbox")
_PORTAL_PAGE = b"<!doctype html><title>Wi-Fi</title><h1>Sign in to use this network</h1>"
_HTML = "text/html; charset=utf-8"
_TYPES = {
    "html": _HTML,
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "woff2": "font/woff2",
}
"""The media types of the pages' files; no other file is served."""

_PAGE_HEADERS = (
    ("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
)
_API_HEADERS = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))
_EVENTS = f"{PREFIX}/events"
_PAGES = {"": "index.html", "/phone": "phone.html"}
_STATIC = "/static/"
_PHONE_QR = "/phone.svg"
_COMMENT_EVERY_S = 15.0
_MAX_FIELDS = 100

Reply = Answer | Abort | Stream


class App:
    """The sandbox over HTTP.

    Every error is in Payme's own form, also those of HTTP and of control calls: ``error`` has ``code``, ``message`` and
    ``data``, which says why.

    Args:
        sandbox: what is served.
        stopping: ends the delays of faults and the streams of events.
    """

    def __init__(self, sandbox: Sandbox, stopping: Stopping) -> None:
        self._sandbox = sandbox
        self._stopping = stopping
        pages = files("payme_plugin.sandbox") / "pages"
        self._files = {file.name: file for file in pages.iterdir() if file.name.rpartition(".")[2] in _TYPES}

    def answer(self, request: Request) -> Reply:
        """Return what becomes of a request."""
        path = ""
        try:
            path = urlsplit(request.target).path.removesuffix("/")
            methods = self._endpoints(path)
            if not methods:
                return self.refusal(404, "no such path")
            if path.startswith(PREFIX) and (reason := self._distrust(request)):
                return self.refusal(403, reason)
            endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
            if endpoint is None:
                allowed = ", ".join(methods)
                return self.refusal(405, f"only {allowed}", ("Allow", allowed))
            return endpoint(request)
        except BankError as error:
            return _json(error_answer(None, error), 400)
        except (ValueError, OverflowError) as error:
            return _json(error_answer(None, BankError(ErrorCode.INVALID_PARAMS, str(error))), 400)
        except StateFileError as error:
            return self.refusal(503, str(error))
        except Exception:  # noqa: BLE001 - a fault of the sandbox is answered in Payme's form too
            _LOG.exception("the sandbox can't answer %s", request.method)
            return _json(error_answer(None, BankError(ErrorCode.INTERNAL_ERROR)), 200 if path == "/api" else 500)

    def refusal(self, status: int, reason: str, *headers: tuple[str, str]) -> Answer:
        """Return the answer to what HTTP does not allow."""
        return _json(error_answer(None, BankError(ErrorCode.TRANSPORT_ERROR, reason)), status, headers)

    def _distrust(self, request: Request) -> str:
        """Return why a control call may come from a web page of another site; empty if it does not.

        A browser says so in Sec-Fetch-Site, but not if the page's own name leads to this address (DNS rebinding).
        """
        if request.method != "GET" and request.headers.get("Sec-Fetch-Site") == "cross-site":
            return "a page of another site may not change the sandbox"
        name = urlsplit(f"//{request.headers.get('Host', '')}").hostname or "localhost"
        if self._sandbox.is_loopback and not _leads_here(name, self._sandbox.host):
            return f"Host has {name[:100]!r}: allowed on loopback are IP addresses, localhost and the name of --host"
        return ""

    def _endpoints(self, path: str) -> Mapping[str, Callable[[Request], Reply]]:
        """Return what a path serves, by method; empty if there is no such path."""
        file = self._files.get(_PAGES.get(path, path.removeprefix(_STATIC) if path.startswith(_STATIC) else ""))
        if file is not None:
            content_type = _TYPES[file.name.rpartition(".")[2]]
            return {"GET": lambda _: Answer(file.read_bytes(), content_type=content_type, headers=_PAGE_HEADERS)}
        if path == _PHONE_QR:
            return {"GET": self._phone_qr}
        if path == "/api":
            return {"POST": self._api}
        if path == _EVENTS:
            return {"GET": self._events}
        pattern, name = route(path)
        return {method: partial(self._control, pattern, name, call) for method, call in CALLS.get(pattern, {}).items()}

    def _control(self, pattern: str, name: str, call: ControlCall, request: Request) -> Answer:
        query = _query(pattern, request)
        document = read_object(request.body or b"{}")
        check_body(request.method, document)
        try:
            return _json(call(self._sandbox, ControlRequest(document, query, name)), headers=_API_HEADERS)
        except KeyError as error:
            missing = error.args[0]  # the number of a fault, or the id of anything else
            shown = f"fault {missing}" if isinstance(missing, int) else repr(str(missing)[:100])
            return self.refusal(404, f"there is no {shown}")

    def _phone_qr(self, _: Request) -> Answer:
        svg = qr_svg(self._sandbox.phone_url)
        if svg is None:
            return self.refusal(404, "the extra sandbox is not installed")
        # The SVG is made for HTML, where it needs no namespace.
        image = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        return Answer(image.encode(), content_type=_TYPES["svg"], headers=_PAGE_HEADERS)

    def _events(self, request: Request) -> Stream:
        _query("/events", request)
        return Stream(self._lines(), "text/event-stream", _API_HEADERS)

    def _lines(self) -> Generator[bytes, None, None]:
        """Yield the present state and then every event, and a comment now and then that finds a reader who has left."""
        reader, state = self._sandbox.subscribe()
        try:
            number = count(1)
            for event in state:
                yield _line(next(number), event)
            yield b": the state is complete\n\n"
            while reader.is_open and not self._stopping.is_set():
                news = self._sandbox.next_event(reader, _COMMENT_EVERY_S)
                if news is not None:
                    yield _line(next(number), news)
                elif reader.is_open:
                    yield b": nothing happened\n\n"
        finally:
            reader.close()

    def _api(self, request: Request) -> Answer | Abort:
        if self._sandbox.is_away:
            return Abort.CLOSE
        x_auth = request.headers.get("X-Auth", "").encode("latin-1")
        arrival = self._sandbox.receive(request.body, x_auth, request.port, request.headers.items())
        answer: Answer | Abort = Abort.CLOSE
        try:
            answer = self._carried_out(arrival)
        finally:
            self._sandbox.answered(arrival, answer)
        return answer

    def _carried_out(self, arrival: Arrival) -> Answer | Abort:
        if arrival.call is None:
            return _json(arrival.refusal)
        if arrival.fault is not None:
            return self._with_fault(arrival.call, arrival.fault)
        return _json(self._sandbox.carry_out(arrival.call))

    def _with_fault(self, call: Call, fault: InjectedFault) -> Answer | Abort:
        """Carry out a request as far as its fault lets it."""
        kind = fault.kind
        if kind is FaultKind.REQUEST_DELAYED and self._stopping.wait(fault.after_s):
            return Abort.CLOSE
        answer = self._sandbox.carry_out(call, is_stuck=kind is FaultKind.STUCK) if kind.effect else None
        if kind is FaultKind.ANSWER_DELAYED and self._stopping.wait(fault.after_s):
            return Abort.CLOSE
        if kind in {FaultKind.REQUEST_LOST, FaultKind.ANSWER_LOST}:
            return Abort.CLOSE
        if kind in {FaultKind.SILENT, FaultKind.SILENT_AFTER_EFFECT}:
            return Abort.HANG
        if kind in {FaultKind.HTML, FaultKind.HTML_AFTER_EFFECT}:
            return Answer(_PORTAL_PAGE, content_type=_HTML)
        if kind in {FaultKind.HTTP_ERROR, FaultKind.HTTP_ERROR_AFTER_EFFECT}:
            return Answer(f"sandbox fault {fault.status}".encode(), fault.status, "text/plain; charset=utf-8")
        if kind in {FaultKind.MALFORMED, FaultKind.MALFORMED_AFTER_EFFECT}:
            return Answer(broken(answer or result_answer(call.request_id, {})))
        if answer is None or kind is FaultKind.ERROR_AFTER_EFFECT:
            return _json(error_answer(call.request_id, BankError(fault.error_code)))
        return replace(
            _json(altered(answer, kind)),
            times=2 if kind is FaultKind.DUPLICATE_ANSWER else 1,
            is_cut=kind is FaultKind.TRUNCATED,
            over_s=fault.after_s if kind is FaultKind.SLOW_ANSWER else 0.0,
        )


def _query(pattern: str, request: Request) -> dict[str, str]:
    """Return the members of a query. ValueError for one that the path does not take."""
    query = parse_qsl(urlsplit(request.target).query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    allowed = QUERIES.get(pattern, frozenset())
    for field, _ in query:
        if field not in allowed:
            raise ValueError(f"query: has {field[:100]!r}; allowed are {', '.join(sorted(allowed)) or 'none'}")
    for name in allowed:
        if sum(field == name for field, _ in query) > 1:
            raise ValueError(f"query: has {name!r} more than once")
    return dict(query)


def _leads_here(name: str, host: str) -> bool:
    """Return whether a name is one that no other site can have."""
    if name in {"localhost", host.lower()} or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _line(number: int, event: Event) -> bytes:
    """Return an event as the stream has it."""
    return f"id: {number}\nevent: {event.kind.value}\ndata: {event.data}\n\n".encode("ascii")


def _json(document: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(as_json(document).encode("ascii"), status, headers=headers, document=document)
