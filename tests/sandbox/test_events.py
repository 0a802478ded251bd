"""The stream of events: what it tells, and that a reader can neither block the bank nor fill its memory."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, EventKind, InjectedFault, Sandbox, app, http_server
from payme_plugin.sandbox.events import MAX_WAITING
from payme_plugin.sandbox.faults import FaultKind
from tests.sandbox.conftest import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = "/sandbox/v1/events"
COMPLETE = ": the state is complete"


class Stream:
    """An open stream of events."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines = lines
        self.ids: list[int] = []

    def next(self) -> tuple[str, Any]:
        """Return the name and the document of the next event; a comment has no document."""
        block: dict[str, str] = {}
        for line in self.lines:
            if line.startswith(":"):
                next(self.lines)
                return line, None
            if not line:
                self.ids.append(int(block["id"]))
                return block["event"], json.loads(block["data"])
            name, _, value = line.partition(": ")
            block[name] = value
        raise EOFError

    def until_complete(self) -> list[tuple[str, Any]]:
        return list(iter(self.next, (COMPLETE, None)))

    def until(self, name: str, **members: object) -> Any:  # noqa: ANN401 - any JSON
        """Return the document of the next event of a name that has these members."""
        while True:
            found, document = self.next()
            if found == name and (not members or members.items() <= document.items()):
                return document


@contextmanager
def reading(sandbox: Sandbox) -> Iterator[Stream]:
    with closing(HTTPConnection("127.0.0.1", sandbox.port, timeout=20)) as connection:
        connection.request("GET", EVENTS)
        with connection.getresponse() as answer:
            assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
            yield Stream(line.decode("ascii").rstrip("\n") for line in answer)


@pytest.fixture
def own() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def till(own: Sandbox) -> Iterator[Client]:
    with urllib3.HTTPConnectionPool("127.0.0.1", own.port, maxsize=1) as pool:
        yield Client(pool, f"{own.pos_id}:{own.pos_key}")


def test_a_stream_begins_with_the_present_state_as_the_calls_show_it(own: Sandbox, till: Client) -> None:
    receipt_id, phone_id = till.create(), own.add_phone().phone_id
    till.control("/sandbox/v1/faults", {"kind": "html", "times": None, "method": "receipts.none"})
    with reading(own) as stream:
        state = stream.until_complete()

    assert [name for name, _ in state] == ["server", "faults", "phone", "receipt", "request"]
    server, faults, phone, receipt, request = (document for _, document in state)
    assert {**server, "now_ms": 0} == {**till.read("/sandbox/v1"), "now_ms": 0}
    assert faults == till.read("/sandbox/v1/faults")
    assert phone == till.read(f"/sandbox/v1/phones/{phone_id}")
    assert [receipt] == till.read("/sandbox/v1/receipts")
    assert [request] == till.read("/sandbox/v1/requests")
    assert receipt["receipt_id"] == receipt_id


def test_every_change_is_an_event_and_its_ids_increase(own: Sandbox, till: Client) -> None:
    with reading(own) as stream:
        stream.until_complete()
        receipt_id, phone_id = till.create(500), own.add_phone(1_000).phone_id
        assert stream.until("request", method="receipts.create", took_ms=None)["answer"] is None
        assert stream.until("receipt", receipt_id=receipt_id)["state"] == 0
        assert stream.until("request", method="receipts.create")["answer"]["result"]["receipt"]["_id"] == receipt_id
        assert stream.until("phone")["balance"] == 1_000

        till.call("receipts.pay", {"id": receipt_id, "token": own.issue_code(phone_id=phone_id)})
        assert stream.until("receipt", receipt_id=receipt_id)["state"] == 4
        assert stream.until("phone")["balance"] == 500

        own.inject(InjectedFault(FaultKind.ERROR, "receipts.check"))
        assert [fault["kind"] for fault in stream.until("faults")] == ["error"]
        till.call("receipts.check", {"id": receipt_id})
        assert stream.until("request", method="receipts.check", fault="error")["number"] == 3
        assert stream.until("request", method="receipts.check")["answer"]["error"]["code"] == -32400

        till.control("/sandbox/v1/server", {"away": True})
        assert stream.until("server")["away"] is True
        own.add_account("shop-2")
        assert [account["pos_id"] for account in stream.until("server")["accounts"]][1:] == ["shop-2"]

    assert stream.ids == list(range(1, len(stream.ids) + 1))


def test_a_receipt_that_moves_by_itself_is_an_event_when_its_time_comes(own: Sandbox, till: Client) -> None:
    receipt_id = till.create()
    plan = CancelPlan(settle_s=0.3)
    code = own.issue_code(Behaviour(BuyerAction.CONFIRMS, after_s=0.2, cancel=plan))
    with reading(own) as stream:
        stream.until_complete()
        till.call("receipts.pay", {"id": receipt_id, "token": code})
        assert stream.until("receipt")["state"] == 1
        assert stream.until("receipt", state=4)["held"] == 1_500_000
        till.call("receipts.cancel", {"id": receipt_id})
        assert stream.until("receipt")["state"] == 21
        assert stream.until("receipt")["held"] == 0


def test_on_a_virtual_clock_it_is_an_event_as_soon_as_the_clock_says_so() -> None:
    now = [1_700_000_000_000]
    sandbox = Sandbox(clock=lambda: now.pop() if len(now) > 1 else now[0])
    receipt_id = str(sandbox.bank.call(now[0], "receipts.create", {"amount": 5, "account": {}})["receipt"]["_id"])  # type: ignore[call-overload, index]
    code = sandbox.issue_code(Behaviour(BuyerAction.CONFIRMS, after_s=3_600.0))
    sandbox.bank.call(now[0], "receipts.pay", {"id": receipt_id, "token": code})
    reader = sandbox._readers.subscribe()
    later = now[0] + 3_600_000
    # The reader looks at the clock once before it waits, and then again.
    now[:] = [later, now[0]]
    event = sandbox.next_event(reader, 5.0)

    assert event is not None
    assert json.loads(event.data)["paid_ms"] == later


def test_a_stream_shows_no_code_card_key_or_phone(own: Sandbox, till: Client) -> None:
    phone_id = own.add_phone(card="9860123412341234", phone="998907654321").phone_id
    key = own.add_account("shop-2").pos_key
    code, receipt_id = own.issue_code(phone_id=phone_id), till.create()
    told = []
    with reading(own) as stream:
        told += stream.until_complete()
        till.call("receipts.pay", {"id": receipt_id, "token": code})
        told.append(stream.until("request", method="receipts.pay"))
    with reading(own) as stream:
        told += stream.until_complete()

    for secret in (code, "9860123412341234", "998907654321", key, own.pos_key):
        assert secret not in repr(told)


def test_two_readers_get_the_same_events(own: Sandbox, till: Client) -> None:
    with reading(own) as first, reading(own) as second:
        first.until_complete()
        second.until_complete()
        till.create()
        assert [first.next() for _ in range(3)] == [second.next() for _ in range(3)]


def test_a_head_request_gets_only_the_head(own: Sandbox) -> None:
    with urllib3.HTTPConnectionPool("127.0.0.1", own.port, timeout=5) as pool:
        answer = pool.urlopen("HEAD", EVENTS, retries=False)

    assert (answer.status, answer.data) == (200, b"")


def test_a_comment_comes_while_nothing_happens_and_finds_a_reader_that_has_left(
    own: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_COMMENT_EVERY_S", 0.05)
    with reading(own) as stream:
        stream.until_complete()
        assert [stream.next() for _ in range(2)] == [(": nothing happened", None)] * 2
    server = own._server
    assert server is not None
    with server._changed:
        assert server._changed.wait_for(lambda: not server._open, 10)

    assert not own._readers.is_read


def test_a_stop_ends_every_stream_at_once() -> None:
    sandbox = Sandbox().start()
    with reading(sandbox) as stream:
        stream.until_complete()
        began = time.monotonic()
        sandbox.stop()
        with pytest.raises(EOFError):
            stream.next()

    assert time.monotonic() - began < 3


def test_the_stream_of_a_sandbox_that_starts_again_begins_anew(own: Sandbox, till: Client) -> None:
    receipt_id = till.create()
    own.stop()
    own.start()
    with reading(own) as stream:
        assert receipt_id in repr(stream.until_complete())


def test_a_reader_that_stops_reading_is_cut_and_holds_up_nobody(
    own: Sandbox, till: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "_SLOWEST_READER_S", 0.3)
    with socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        idle.settimeout(30)
        idle.connect(("127.0.0.1", own.port))
        idle.sendall(f"GET {EVENTS} HTTP/1.1\r\n\r\n".encode())
        while not own._readers.is_read:
            time.sleep(0.005)
        (reader,) = own._readers._readers
        large = {"amount": 1, "account": {}, "detail": {"text": "x" * 100_000}}
        asked = 0
        while reader.is_open and asked < 1_000:
            assert "result" in till.call("receipts.create", large)
            asked += 1

        assert asked < 200, "it is cut for too many bytes or, on a busy machine, for the time before"
        assert own._readers._readers == ()
        assert not reader._waiting
        server = own._server
        assert server is not None
        with server._changed:
            assert server._changed.wait_for(lambda: len(server._open) == 1, 10), "only the till's connection is left"


def test_a_reader_holds_a_bounded_number_of_events(own: Sandbox) -> None:
    reader, _ = own.subscribe()
    for _ in range(MAX_WAITING):
        own.clear_faults()
    assert reader.is_open
    own.clear_faults()

    assert (reader.is_open, reader.is_late, own.next_event(reader, 1.0)) == (False, True, None)


def test_a_closed_reader_gets_nothing_more_and_wakes_whoever_waits_for_it(own: Sandbox) -> None:
    reader, _ = own.subscribe()
    own.clear_faults()
    event = own.next_event(reader, 1.0)
    waiting = threading.Thread(target=own.next_event, args=(reader, 60.0))
    waiting.start()
    reader.close()
    waiting.join(10)
    own.clear_faults()

    assert event is not None
    assert (event.kind, event.data) == (EventKind.FAULTS, "[]")
    assert not waiting.is_alive()
    assert own.next_event(reader, 0.0) is None
