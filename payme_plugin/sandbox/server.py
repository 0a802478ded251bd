"""``Sandbox``: a PaymeGO server over HTTP in this process, with a log of requests, injected faults and events."""

from __future__ import annotations

import hmac
import random
import ssl
import time
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from threading import Event as Stopping
from threading import Lock
from typing import TYPE_CHECKING, final

from payme_plugin.sandbox import control
from payme_plugin.sandbox.app import App
from payme_plugin.sandbox.bank import SANDBOX_POS_ID, Bank
from payme_plugin.sandbox.events import EventKind, Events
from payme_plugin.sandbox.faults import FaultPlan, FaultRule, InjectedFault, RequestFacts, facts_of
from payme_plugin.sandbox.http_server import LOOPBACK, Answer, HttpServer, reachable
from payme_plugin.sandbox.jsonrpc import BankError, ErrorCode, error_answer, read_call, read_object, result_answer
from payme_plugin.sandbox.records import MerchantAccount, PhoneView
from payme_plugin.sandbox.request_log import Arrival, RequestLog, WireRequest
from payme_plugin.sandbox.scenario import MAX_ACCOUNTS, NewAccount, NewPhone, Played, ScenarioError
from payme_plugin.sandbox.store import StateFault, StateFile, StateFileError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from payme_plugin.sandbox.behaviour import Behaviour, CancelPlan
    from payme_plugin.sandbox.events import Event, Reader
    from payme_plugin.sandbox.http_server import Abort
    from payme_plugin.sandbox.jsonrpc import Call, JsonObject
    from payme_plugin.sandbox.receipt import Buyer, ReceiptView
    from payme_plugin.sandbox.records import BankRecords, CodeView, ReceiptAction
    from payme_plugin.sandbox.scenario import Scenario

SANDBOX_POS_KEY = "no%secret#just&a?key@for=the;sandbox"
"""Not a secret: it opens only a sandbox. It has every character of real keys that is special in settings files."""

_EVENT_RECEIPTS = 200
_EVENT_REQUESTS = 200
_EVENT_PHONES = 100
"""How many of each a new reader of the events gets first."""

_POLL_S = 0.05


@final
class Sandbox:
    """A PaymeGO, from ``start`` (or ``with``) to ``stop``, for tests and demonstrations. No money moves.

    Its methods may be called from any thread.

    Args:
        port: where to listen; 0: any free port.
        host: the address to listen on; ``0.0.0.0`` or ``::``: all addresses of the machine.
        pos_id: the id of the first merchant account.
        pos_key: its key, which must be the one in ``state``; default: that one, else ``SANDBOX_POS_KEY``.
        clock: returns Unix milliseconds; default: the machine's time at the start, then without jumps. Injected
            delays always use real time.
        cancel: how cancellations go; see ``CancelPlan``.
        buyer: whose phone and card paid receipts show.
        rng: where receipt ids and codes come from; default: the system's.
        certfile: a PEM file with a certificate: https is served.
        keyfile: a PEM file with its key, if ``certfile`` has none.
        state: a file that keeps accounts, phones, codes and receipts; it is read at the first start.

    Raises:
        ValueError: a ``keyfile`` without a ``certfile``.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = LOOPBACK,
        pos_id: str = SANDBOX_POS_ID,
        pos_key: str | None = None,
        clock: Callable[[], int] | None = None,
        cancel: CancelPlan | None = None,
        buyer: Buyer | None = None,
        rng: random.Random | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> None:
        if keyfile is not None and certfile is None:
            raise ValueError("keyfile needs certfile")
        self._rng = rng or random.SystemRandom()
        self.bank = Bank(self._rng, cancel=cancel, buyer=buyer, pos_id=pos_id)
        self.bank.put_account(MerchantAccount(pos_id, SANDBOX_POS_KEY if pos_key is None else pos_key))
        self.now_ms = clock or _steady_clock()
        self.pos_id = pos_id
        self._given_key = pos_key
        self._state = None if state is None else StateFile(state)
        self._is_restored = False
        self.host = host
        self.is_away = False
        self._has_real_clock = clock is None
        self._port = port
        self._bound = ""
        self._certfile = certfile
        self._keyfile = keyfile
        self._server: HttpServer | None = None
        self._stopping = Stopping()
        self._faults = FaultPlan(self._rng)
        self._requests = RequestLog()
        self._readers = Events()
        self._lock = Lock()

    def start(self) -> Sandbox:
        """Listen, and return itself. Once stopped it may be started again: it keeps its receipts and its port.

        Raises:
            PortUnavailable: the port is taken, not allowed, or out of range.
            OSError: the certificate or its key can't be used.
            StateFileError: the state file can't be used.
        """
        if self._server is None:
            tls = None
            if self._certfile is not None:
                tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                tls.load_cert_chain(self._certfile, self._keyfile)
            self._open_state()
            self._stopping = Stopping()
            try:
                self._server = HttpServer(self.host, self._port, App(self, self._stopping), self._stopping, tls)
            except OSError:
                self._close_state()
                raise
            self._port = self._server.port
            self._bound = str(self._server.server_address[0]).partition("%")[0]
            self._server.start()
        return self

    def stop(self) -> None:
        """Cut every connection and stop listening; nothing happens if it is not running."""
        server, self._server = self._server, None
        if server is not None:
            self._stopping.set()
            self._readers.close()
            server.stop()
            self._close_state()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _open_state(self) -> None:
        if self._state is None:
            return
        with self._lock:
            records = self._state.open()
            if not self._is_restored:
                stored = next((each for each in records.accounts if each.pos_id == self.pos_id), None)
                if stored is not None and self._given_key not in {None, stored.pos_key}:
                    self._state.close()
                    raise StateFileError(self._state.path, StateFault.OTHER_KEY, self.pos_id)
                self.bank.restore(records)
                if self._has_real_clock:
                    self.now_ms = _steady_clock(records.latest_ms)
                self._is_restored = True
            try:
                self._settle()
            except StateFileError:
                self._state.close()
                raise

    def _close_state(self) -> None:
        if self._state is not None:
            with self._lock:
                self._state.close()

    @property
    def pos_key(self) -> str:
        """The key of the first merchant account."""
        account = self.bank.account(self.pos_id)
        return account.pos_key if account is not None else ""

    @property
    def port(self) -> int:
        """The port that it listens on. RuntimeError before the first start."""
        if not self._port:
            raise RuntimeError("the sandbox has not been started")
        return self._port

    @property
    def origin(self) -> str:
        """Scheme, address and port, without a path. For ``0.0.0.0`` and ``::`` an address that a network can reach."""
        host = reachable(self.host)
        return f"{'https' if self._certfile else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. RuntimeError before the first start."""
        if not self._bound:
            raise RuntimeError("the sandbox has not been started")
        return ip_address(self._bound).is_loopback

    @property
    def url(self) -> str:
        """The address for the setting ``url``."""
        return f"{self.origin}/api"

    @property
    def control_url(self) -> str:
        """The address of the control API, e.g. ``/codes`` below it."""
        return f"{self.origin}{control.PREFIX}"

    @property
    def dashboard_url(self) -> str:
        """The page that shows receipts and requests."""
        return f"{self.origin}/"

    @property
    def phone_url(self) -> str:
        """The page with the buyer's phone."""
        return f"{self.origin}/phone"

    @property
    def accounts(self) -> tuple[MerchantAccount, ...]:
        """The merchant accounts, the first one first."""
        return self.bank.accounts

    def add_account(self, pos_id: str, pos_key: str | None = None, name: str | None = None) -> MerchantAccount:
        """Add a merchant account, which sees only its own receipts; return it with its key.

        Args:
            pos_id: 1 to 64 letters, digits, ``-`` and ``_``.
            pos_key: 1 to 200 printable ASCII characters without blanks and double quotes; default: a new key.
            name: as buyers see it, 1 to 100 characters; default: the ``pos_id``.

        Raises:
            ValueError: a value that is not allowed, an account with this id, or over 1000 accounts.
        """
        new = NewAccount(pos_id, pos_key, name)
        with self._lock:
            if self.bank.account(pos_id) is not None:
                raise ValueError(f"pos_id is {pos_id!r}: there is an account with this id")
            if len(self.bank.accounts) >= MAX_ACCOUNTS:
                raise ValueError(f"there are {MAX_ACCOUNTS} accounts: no more are allowed")
            account = new.add_to(self.bank, self._rng)
            self._settle()
            self._publish_server()
        return account

    def add_phone(self, balance: int | None = None, *, card: str | None = None, phone: str | None = None) -> PhoneView:
        """Add a buyer's phone, and return it.

        Args:
            balance: tiyin in its wallet; default 1 000 000 UZS.
            card: 12 to 19 digits, kept and shown masked; default: a card of the sandbox.
            phone: its number, 5 to 15 digits; default: a number of the sandbox.

        Raises:
            ValueError: a value that is not allowed.
        """
        new = NewPhone(balance, card, phone)
        with self._lock:
            phone_id = new.add_to(self.bank)
            self._settle()
            return self.bank.phone(self.now_ms(), phone_id)

    def play(self, scenario: Scenario) -> Played:
        """Prepare the sandbox with a scenario, whole or not at all, and return what was added.

        Its faults take the place of those still to happen. An account that is there already stays as it is.

        Raises:
            ScenarioError: accounts that the sandbox has with another key or name, or over 1000 accounts.
            StateFileError: what was added can't be stored.
        """
        with self._lock:
            if problems := list(scenario.conflicts(self.bank)):
                raise ScenarioError(*problems)
            accounts = tuple(new.add_to(self.bank, self._rng) for new in scenario.accounts)
            phones = [new.add_to(self.bank) for new in scenario.phones]
            now_ms = self.now_ms()
            codes = tuple(self.bank.issue_code(now_ms, behaviour) for behaviour in scenario.codes)
            self._settle()
            self._faults.clear()
            faults = tuple(self._faults.inject(fault) for fault in scenario.faults)
            self._publish_server()
            self._publish_faults()
            return Played(faults, codes, accounts, tuple(self.bank.phone(now_ms, phone_id) for phone_id in phones))

    def phone(self, phone_id: str) -> PhoneView:
        """Return a phone with its balance and receipts. KeyError if there is no such phone."""
        with self._lock:
            return self.bank.phone(self.now_ms(), phone_id)

    def set_away(self, away: bool) -> None:
        """Cut every till at once until it is called with False; the control API and the pages still work."""
        with self._lock:
            self.is_away = away
            self._publish_server()
        if away and self._server is not None:
            self._server.cut("/api")

    def receive(self, body: bytes, x_auth: bytes, connection: int, headers: Iterable[tuple[str, str]] = ()) -> Arrival:
        """Read and log a request and check its key; return it with its fault, or with the answer that refuses it."""
        began_s = time.monotonic()
        document: JsonObject = {}
        call: Call | None = None
        refused: BankError | None = None
        try:
            document = read_object(body)
            call = read_call(document)
        except BankError as error:
            refused = error
        request_id = document.get("id")
        with self._lock:
            account = self.bank.account(x_auth.partition(b":")[0].decode("latin-1"))
            right = f"{account.pos_id}:{account.pos_key}".encode() if account is not None else b""
            authorised = account is not None and hmac.compare_digest(x_auth, right)
            pos_id = account.pos_id if account is not None else None
            fault = None
            if call is not None and account is not None and authorised:
                fault = self._faults.take(self._facts_of(call, account.pos_id, headers))
            method, params = (call.method, call.params) if call is not None else ("", {})
            kind = fault.kind if fault is not None else None
            logged = WireRequest(self.now_ms(), method, params, request_id, connection, authorised, kind, pos_id=pos_id)
            logged = self._requests.add(logged, len(body))
            self._publish_request(logged)
            if fault is not None:
                self._publish_faults()
        if refused is None and not authorised:
            refused = BankError(ErrorCode.ACCESS_DENIED)
        if call is None or refused is not None:
            refusal = error_answer(request_id, refused or BankError(ErrorCode.INVALID_REQUEST))
            return Arrival(logged.number, began_s, None, None, refusal)
        return Arrival(logged.number, began_s, replace(call, pos_id=pos_id), fault, None)

    def answered(self, arrival: Arrival, answer: Answer | Abort) -> None:
        """Log what became of a request."""
        took_ms = round((time.monotonic() - arrival.began_s) * 1000)
        ended = (answer.status, answer.document, len(answer.body)) if isinstance(answer, Answer) else (None, None, 0)
        with self._lock:
            logged = self._requests.finish(arrival.number, took_ms, *ended)
            if logged is not None:
                self._publish_request(logged)

    def _facts_of(self, call: Call, pos_id: str, headers: Iterable[tuple[str, str]]) -> RequestFacts:
        """Return what faults select a request by. The lock is held."""
        try:
            receipt = self.bank.receipt(self.now_ms(), str(call.params.get("id")))
        except KeyError:
            return facts_of(call, pos_id, None, headers)
        return facts_of(call, pos_id, receipt if receipt.pos_id == pos_id else None, headers)

    def carry_out(self, call: Call, *, is_stuck: bool = False) -> JsonObject:
        """Let the bank carry out a request, and return its answer; see ``Bank.call`` for ``is_stuck``."""
        try:
            with self._lock:
                try:
                    result = self.bank.call(self.now_ms(), call.method, call.params, call.pos_id, is_stuck=is_stuck)
                finally:
                    self._settle()
        except BankError as error:
            return error_answer(call.request_id, error)
        except StateFileError as error:
            return error_answer(call.request_id, BankError(ErrorCode.INTERNAL_ERROR, str(error)))
        return result_answer(call.request_id, result)

    def issue_code(self, behaviour: Behaviour | None = None, phone_id: str | None = None) -> str:
        """Return a new code, which pays at once if no ``behaviour`` is given.

        Args:
            behaviour: what the buyer does with it.
            phone_id: the phone that shows it and pays; ``None``: no phone of the bank. KeyError: no such phone.
        """
        with self._lock:
            code = self.bank.issue_code(self.now_ms(), behaviour, phone_id)
            self._settle()
        return code

    def buyer_answers(self, code: str, *, confirms: bool) -> bool:
        """Let the buyer confirm or decline by hand; return whether a payment waited for it."""
        with self._lock:
            waited = self.bank.buyer_answers(self.now_ms(), code, confirms=confirms)
            self._settle()
        return waited

    def phone_answers(self, phone_id: str, receipt_id: str, *, confirms: bool) -> bool:
        """Let the buyer answer on a phone; return whether the receipt waited for it. KeyError: no such phone."""
        with self._lock:
            waited = self.bank.phone_answers(self.now_ms(), phone_id, receipt_id, confirms=confirms)
            self._settle()
        return waited

    def act(self, receipt_id: str, action: ReceiptAction) -> ReceiptView:
        """Do by hand what the buyer or the bank might do to a receipt, and return it; see ``Bank.act``."""
        with self._lock:
            self.bank.act(self.now_ms(), receipt_id, action)
            self._settle()
            return self.bank.receipt(self.now_ms(), receipt_id)

    def plan_cancel(self, receipt_id: str, plan: CancelPlan) -> None:
        """Let the next cancellations of a receipt go by ``plan``. KeyError if there is no such receipt."""
        with self._lock:
            self.bank.plan_cancel(receipt_id, plan)
            self._settle()

    def put_state(self, receipt_id: str, state: int) -> None:
        """Put a receipt into a state as Payme's staff might; see ``Bank.put_state``."""
        with self._lock:
            self.bank.put_state(self.now_ms(), receipt_id, state)
            self._settle()

    def inject(self, fault: InjectedFault) -> FaultRule:
        """Add a fault to those still to happen, and return it with its number."""
        with self._lock:
            rule = self._faults.inject(fault)
            self._publish_faults()
        return rule

    def remove_fault(self, number: int) -> None:
        """Forget one fault. KeyError if it is not among those still to happen."""
        with self._lock:
            self._faults.remove(number)
            self._publish_faults()

    def clear_faults(self) -> None:
        """Forget every fault still to happen."""
        with self._lock:
            self._faults.clear()
            self._publish_faults()

    @property
    def faults(self) -> tuple[InjectedFault, ...]:
        """The faults still to happen."""
        return self._faults.live

    @property
    def fault_rules(self) -> tuple[FaultRule, ...]:
        """The faults still to happen, with their numbers."""
        return self._faults.rules

    @property
    def requests(self) -> tuple[WireRequest, ...]:
        """The last requests, oldest first, codes masked: at most 10,000, with at most 8 MiB of bodies and answers."""
        return self.requests_after()

    def requests_after(self, number: int = 0, limit: int | None = None) -> tuple[WireRequest, ...]:
        """Return the last ``limit`` of the requests with a higher number than ``number``, oldest first."""
        with self._lock:
            return self._requests.after(number, limit)

    def receipts(self, newest: int | None = None) -> tuple[ReceiptView, ...]:
        """Return all receipts, or the newest ones, as they are now, oldest first."""
        with self._lock:
            return self.bank.receipts(self.now_ms(), newest)

    def held(self, receipt_id: str | None = None) -> int:
        """Return the tiyin that Payme holds now, for one receipt or for all."""
        with self._lock:
            return self.bank.held(self.now_ms(), receipt_id)

    def pays(self, code: str) -> int:
        """Return how many ``receipts.pay`` with this code reached the bank."""
        return self.bank.pays(code)

    def code(self, code: str) -> tuple[CodeView, ReceiptView | None, int] | None:
        """Return a code, the receipt that it was used for, and the milliseconds left to it; ``None``: unknown."""
        with self._lock:
            now_ms = self.now_ms()
            known = self.bank.code(code)
            if known is None:
                return None
            receipt = self.bank.receipt(now_ms, known.used_by) if known.used_by else None
            return known, receipt, max(0, known.expires_ms - now_ms)

    @property
    def is_watched(self) -> bool:
        """Whether anybody reads the events, e.g. the dashboard in a browser."""
        return self._readers.is_read

    def subscribe(self) -> tuple[Reader, Iterator[Event]]:
        """Return a reader of what happens from now on, and events with the present state.

        The state has the server, the faults, the last 100 phones, 200 receipts and 200 requests. Close the reader.
        RuntimeError before the first start.
        """
        with self._lock:
            now_ms = self.now_ms()
            phones = [self.bank.phone(now_ms, phone_id) for phone_id in self.bank.phones()[-_EVENT_PHONES:]]
            state: list[tuple[EventKind, object]] = [
                (EventKind.SERVER, control.server_document(self)),
                (EventKind.FAULTS, control.faults_document(self)),
                *((EventKind.PHONE, phone) for phone in phones),
                *((EventKind.RECEIPT, receipt) for receipt in self.bank.receipts(now_ms, _EVENT_RECEIPTS)),
                *((EventKind.REQUEST, request) for request in self._requests.after(limit=_EVENT_REQUESTS)),
            ]
            return self._readers.subscribe(), (control.event(kind, subject) for kind, subject in state)

    def next_event(self, reader: Reader, timeout_s: float) -> Event | None:
        """Return a reader's next event, also of a receipt that moves by itself; ``None``: none came, or it ended."""
        ends_s = time.monotonic() + timeout_s
        while True:
            wait_s = ends_s - time.monotonic()
            with self._lock:
                step_ms, now_ms = self.bank.next_step_ms, self.now_ms()
                if step_ms is not None and step_ms <= now_ms:
                    with suppress(StateFileError):  # the step was stored when it was planned
                        self._settle()
                    continue
            if step_ms is not None:
                wait_s = min(wait_s, (step_ms - now_ms) / 1000 if self._has_real_clock else _POLL_S)
            event = reader.next(max(0.0, wait_s))
            if event is not None or not reader.is_open or time.monotonic() >= ends_s:
                return event

    def _settle(self) -> None:
        """Store what has changed in the bank, and tell it to the readers, also if it can't be stored. The lock is held.

        Raises:
            StateFileError: it can't be stored; the next change stores it too.
        """
        changes = self.bank.take_changes(self.now_ms())
        try:
            if self._state is not None:
                self._state.write(changes)
        finally:
            self._publish_changes(changes)

    def _publish_changes(self, changes: BankRecords) -> None:
        if not self._readers.is_read:
            return
        for receipt in changes.receipts:
            self._publish(EventKind.RECEIPT, receipt.view(changes.latest_ms))
        for phone_id in changes.shown_phones:
            self._publish(EventKind.PHONE, self.bank.phone(changes.latest_ms, phone_id))

    def _publish_server(self) -> None:
        if self._readers.is_read:
            self._publish(EventKind.SERVER, control.server_document(self))

    def _publish_faults(self) -> None:
        if self._readers.is_read:
            self._publish(EventKind.FAULTS, control.faults_document(self))

    def _publish_request(self, request: WireRequest) -> None:
        if self._readers.is_read:
            self._publish(EventKind.REQUEST, request)

    def _publish(self, kind: EventKind, subject: object) -> None:
        self._readers.publish(control.event(kind, subject))


def _steady_clock(not_before_ms: int = 0) -> Callable[[], int]:
    """Return a clock of Unix milliseconds that starts at the machine's time, or later, and then never jumps."""
    offset_ns = max(time.time_ns(), not_before_ms * 1_000_000) - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + offset_ns) // 1_000_000
