"""The one place that builds the parts and hands them to the operations, for the plugin and for the command."""

from __future__ import annotations

import logging
import secrets
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hookspecs import PaymentResult, PaymentStatus, PaymentType
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import JournalError
from payme_plugin.operations.endings import JOURNAL_NOTICE, refusal
from payme_plugin.operations.guards import GuardedHost
from payme_plugin.operations.payment import take_payment
from payme_plugin.operations.recording import confirm_payments
from payme_plugin.operations.slip_desk import SlipDesk, TemplateShelf
from payme_plugin.operations.tools import Tools
from payme_plugin.paymego import codes
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.kassa import Kassa
from payme_plugin.settings import SettingsError, SettingsReader
from payme_plugin.storage import Storage
from payme_plugin.texts import Text, Texts
from payme_plugin.upkeep import Upkeep
from slips import SlipPress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hookspecs import Host, PaymentRequest, QueueMessage, QueueVerdict, Receipt, Ui
    from payme_plugin.clock import Clock
    from payme_plugin.settings import Settings

__all__ = ["PLUGIN_NAME", "Service"]

PLUGIN_NAME = "payme"

_log = logging.getLogger("payme")

_SETTINGS_NOTICE = "payme.settings"
_TENDER_NOTICE = "payme.tender"
_DEFAULT_SLIP_WIDTH = 32
_DEFAULT_LANGUAGE = "ru"
_REQUEST_ID_BITS = 53


class Service:
    """The plugin at work, from the till's start to its stop.

    Args:
        host: the till.
        clock: time; the machine's own unless another is handed in.
    """

    def __init__(self, host: Host, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._host = GuardedHost(host)
        self._settings = SettingsReader(lambda: host.settings(PLUGIN_NAME), codes)
        self._storage = Storage(host, self._clock)
        self._client: tuple[tuple[Kassa, Path | None], PaymeGoClient] | None = None
        self._press: tuple[str | None, SlipPress, TemplateShelf] | None = None
        self._lock = threading.Lock()
        self._is_busy = False
        self._upkeep = Upkeep(
            self._host,
            self._storage,
            settings=self._settings.read,
            texts=lambda: self._texts(None),
            new_client=lambda settings: _new_client(_kassa_of(settings), settings.ca_file, self._clock),
            clock=self._clock,
        )

    def start(self) -> None:
        """Check the settings, open the journal, and warm up in the background what the first payment would wait for.

        Money effect: none.
        """
        settings = self._checked_settings()
        texts = self._texts(settings)
        self._tell_journal(texts)
        press, shelf = self._slip_press(settings)
        press.import_parts()
        client = self._client_of(settings) if settings is not None else None
        template = settings.slip_template if settings is not None else None

        def warm_up() -> None:
            try:
                if client is not None:
                    client.warm_up()
                press.warm_up()
                shelf.get(template)
            except Exception as error:  # noqa: BLE001 - told again, with its notice, when a slip is made
                _log.warning("warming up: %s", error)

        threading.Thread(target=warm_up, name="payme-warm-up", daemon=True).start()
        self._upkeep.start(run_worker=settings is None or settings.run_worker)

    def stop(self) -> None:
        """End the background and close what is open; unfinished payments and cancellations stay durable."""
        self._upkeep.stop()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client[1].close()
        self._storage.close()

    def payment_types(self) -> list[PaymentType]:
        """Return the tender of the settings, or none, with a notice that says how to set it."""
        settings = self._checked_settings()
        texts = self._texts(settings)
        number = self._settings.payment_type()
        self._host.notice(_TENDER_NOTICE, None if number is not None else texts(Text.NOTICE_NO_PAYMENT_TYPE))
        return [] if number is None else [PaymentType(number=number, name=texts(Text.TENDER_NAME))]

    def pay(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Take a payment; None where the tender isn't ours.

        Money effect: may charge.
        """
        if self._settings.payment_type() != request.payment_type:
            return None
        began_at = self._clock.monotonic()
        with self._one_at_a_time() as is_alone:
            result = self._pay_alone(request, ui) if is_alone else self._busy(request)
        _log.info(
            "on_payment %s: %s, %d tiyin, receipt %s, error %s, cancellation %s, %d ms",
            request.payment_id,
            result.status.value,
            result.amount,
            result.receipt_id or "-",
            result.error_code if result.error_code is not None else "-",
            "queued" if result.cancellation_queued else "none",
            (self._clock.monotonic() - began_at) * 1000,
        )
        return result

    def receipt_closed(self, receipt: Receipt) -> None:
        """Confirm the payments in a closed receipt.

        Money effect: none.
        """
        try:
            confirm_payments(self._storage.journal(), receipt, self._clock.wall_ms())
        except JournalError as error:
            # The payments stay paid; the host's word about them is asked for later.
            _log.error("receipt %s/%s is closed, but: %s", receipt.shift, receipt.number, error)
            self._host.notice(JOURNAL_NOTICE, self._texts(None)(Text.NOTICE_JOURNAL_UNWRITABLE))

    def queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Work on a message of the host's queue; None where its kind is not ours.

        Money effect: may cancel.
        """
        return self._upkeep.queue_message(message)

    def _pay_alone(self, request: PaymentRequest, ui: Ui) -> PaymentResult:
        self._upkeep.begin_payment(request.payment_id)
        try:
            result = self._pay(request, ui)
        finally:
            self._upkeep.end_payment()
        if result.cancellation_queued:
            self._upkeep.wake()
        return result

    def _pay(self, request: PaymentRequest, ui: Ui) -> PaymentResult:
        texts = self._texts(None)
        try:
            settings = self._settings.read()
            self._tell_settings(settings)
            texts = self._texts(settings)
            return take_payment(self._tools(settings, texts), request, ui)
        except SettingsError as error:
            first = error.faults[0].short
            _log.error("payment %s is refused, the settings can't be used: %s", request.payment_id, error)
            return refusal(request.amount, texts(Text.PAYMENT_SETTINGS_BROKEN, fault=first))
        except JournalError as error:
            _log.error("payment %s is refused, the journal can't be used: %s", request.payment_id, error)
            self._host.notice(JOURNAL_NOTICE, texts(Text.NOTICE_JOURNAL_UNWRITABLE))
            return refusal(request.amount, texts(Text.PAYMENT_JOURNAL_UNWRITABLE))
        except Exception:  # noqa: BLE001
            # No hook raises. What was durable before the fault decides later; until then nobody may hand out goods.
            _log.exception("payment %s: a fault of the plugin", request.payment_id)
            return PaymentResult(
                status=PaymentStatus.UNKNOWN, amount=request.amount, message=texts(Text.PAYMENT_CHARGE_MAY_HANG)
            )

    def _busy(self, request: PaymentRequest) -> PaymentResult:
        return refusal(request.amount, self._texts(None)(Text.PAYMENT_BUSY))

    @contextmanager
    def _one_at_a_time(self) -> Iterator[bool]:
        """Yield whether no other money hook is under way; nothing is locked meanwhile."""
        with self._lock:
            is_alone, self._is_busy = not self._is_busy, True
        try:
            yield is_alone
        finally:
            if is_alone:
                with self._lock:
                    self._is_busy = False

    def _tools(self, settings: Settings, texts: Texts) -> Tools:
        journal = self._storage.journal()
        press, shelf = self._slip_press(settings)
        return Tools(
            client=self._client_of(settings),
            clock=self._clock,
            journal=journal,
            owner=self._storage.owner.token,
            is_alive=self._storage.owner.is_alive,
            settings=settings,
            texts=texts,
            slips=SlipDesk(
                press=press,
                shelf=shelf,
                template=settings.slip_template,
                width=self._host.slip_width(_DEFAULT_SLIP_WIDTH),
                copies=settings.slip_copies,
                texts=texts,
                notice=self._host.notice,
            ),
            notice=self._host.notice,
        )

    def _client_of(self, settings: Settings) -> PaymeGoClient:
        wanted = (_kassa_of(settings), settings.ca_file)
        with self._lock:
            if self._client is not None and self._client[0] == wanted:
                return self._client[1]
            former, client = self._client, _new_client(*wanted, self._clock)
            self._client = (wanted, client)
        if former is not None:
            former[1].close()
        return client

    def _slip_press(self, settings: Settings | None) -> tuple[SlipPress, TemplateShelf]:
        encoding = settings.slip_encoding if settings is not None else None
        with self._lock:
            if self._press is None or self._press[0] != encoding:
                press = SlipPress(encoding=encoding)
                self._press = (encoding, press, TemplateShelf(press))
            return self._press[1], self._press[2]

    def _checked_settings(self) -> Settings | None:
        try:
            settings = self._settings.read()
        except SettingsError as error:
            _log.error("the settings can't be used: %s", error)
            first = error.faults[0].short
            self._host.notice(_SETTINGS_NOTICE, self._texts(None)(Text.NOTICE_SETTINGS_BROKEN, fault=first))
            return None
        self._tell_settings(settings)
        for warning in settings.warnings:
            _log.warning("settings: %s", warning)
        return settings

    def _tell_settings(self, settings: Settings) -> None:
        problem = self._settings.problem
        if problem is None:
            self._host.notice(_SETTINGS_NOTICE, None)
            return
        _log.error("the changed settings can't be used, the former ones stay in force: %s", problem)
        first = problem.faults[0].short
        text = self._texts(settings)(Text.NOTICE_SETTINGS_KEPT_LAST_GOOD, fault=first)
        self._host.notice(_SETTINGS_NOTICE, text)

    def _tell_journal(self, texts: Texts) -> None:
        try:
            self._storage.journal()
        except JournalError as error:
            _log.error("the journal can't be used: %s", error)
            self._host.notice(JOURNAL_NOTICE, texts(Text.NOTICE_JOURNAL_UNWRITABLE))
        else:
            self._host.notice(JOURNAL_NOTICE, None)

    def _texts(self, settings: Settings | None) -> Texts:
        chosen = settings.language if settings is not None else None
        return Texts(chosen or self._host.language(_DEFAULT_LANGUAGE))


def _kassa_of(settings: Settings) -> Kassa:
    return Kassa(settings.pos_id, settings.pos_key, settings.url)


def _new_client(kassa: Kassa, ca_file: Path | None, clock: Clock) -> PaymeGoClient:
    return PaymeGoClient(
        kassa, clock=clock, ca_file=ca_file, request_ids=lambda: secrets.randbits(_REQUEST_ID_BITS), log=_log
    )
