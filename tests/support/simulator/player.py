"""Who plays a history: sales one after the other, trouble around them, and an end at which everything is delivered."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from fakes.till import PowerCut
from hookspecs import PaymentStatus
from payme_plugin.ledger.errors import JournalError
from payme_plugin.sandbox import CancelPlan
from simulator.cashier import People
from simulator.shop import HostBehaviour, Readiness, TenderState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from simulator.process import Process
    from simulator.shop import Sale, Shop

_UNFINISHED = frozenset({"intent", "created", "paying", "paid"})
_NOT_READY = "payme.not_ready"
_JUMPS_S = (-90_000, -4_000, -700, -30, 30, 700, 4_000, 90_000)
_MOST_ROUNDS = 40
_ROUND_S = 1_200.0
_HEADS = 0.5
_MOST_IN_A_ROW = 4
_MOST_WHILE_OFF = 5
_LONG_OFF_S = 20_000.0


class HistoryPlayer:
    """Plays one history at a shop.

    Args:
        shop: where.
        rng: what happens.
        sales: how many sales are made.
        behaviour: behaviour of the host that are not chosen at random.
    """

    def __init__(self, shop: Shop, rng: Random, sales: int, behaviour: Mapping[str, object]) -> None:
        self._shop = shop
        self._rng = rng
        self._sales = sales
        self._behaviour = behaviour
        self._people = People(shop, rng)
        self._stage = shop.stage
        self._troubles: tuple[Callable[[], None], ...] = ()
        self._trouble_every_s = 0.0
        self._is_calm = False
        self._in_a_row = 0
        self._while_off = 0

    @property
    def secrets(self) -> tuple[str, ...]:
        """The codes of the buyers."""
        return tuple(self._people.codes)

    def play(self) -> None:
        """Play it to its end."""
        self._set_scene()
        while len(self._shop.sales) < self._sales:
            try:
                self._day()
            except PowerCut:
                self._shop.discard()
                self._in_a_row += 1
            self._stage.sleep(self._downtime_s())
        self._is_calm = True
        _deliver_everything(self._shop, self._people)

    # What kind of history it is.

    def _set_scene(self) -> None:
        rng, shop = self._rng, self._shop
        readiness = rng.choice((*[Readiness.ON_TIME] * 5, Readiness.LATE, *[Readiness.EARLY] * 2, Readiness.NEVER))
        shop.behaviour = HostBehaviour(
            asks_again=rng.random() < 0.7,
            asks_paid_again=rng.random() < 0.2,
            readiness=readiness,
            has_queue=rng.random() < 0.4,
            forgets=rng.choice((0.2, 0.6) if readiness is Readiness.EARLY else (0.0, 0.0, 0.2)),
            says_yes=rng.choice((0.0, 0.0, 0.0, 0.2)),
            says_no=rng.choice((0.0, 0.0, 0.3)),
            acknowledges_later=rng.choice((0.5, 1.0) if readiness is Readiness.EARLY else (0.0, 0.0, 0.5, 1.0)),
            repeats=rng.choice((0.0, 0.3)),
            doubles=rng.choice((0.0, 0.0, 0.2)),
            loses=rng.choice((0.0, 0.0, 0.1)),
            dies=0.4 if readiness is Readiness.EARLY else rng.choice((0.0, 0.0, 0.05)),
        )
        for name, value in self._behaviour.items():
            setattr(shop.behaviour, name, value)
        shop.paymego.weather.level = rng.choice((0.0, 0.05, 0.15, 0.4))
        shop.paymego.weather.changes = rng.choice((0.0, 0.05, 0.2))
        shop.disk.failing = rng.choice((0.0, 0.0, 0.0, 0.02))
        self._people.stops = rng.choice((0.0, 0.1, 0.4))
        self._people.fumbles = rng.choice((0.0, 0.1, 0.4))
        self._people.refusals = rng.choice((0.0, 0.1, 0.5))
        kinds = (
            self._storm,
            self._fill_the_disk,
            self._fill_the_disk,
            self._jump,
            self._staff,
            self._staff,
            self._kill_the_till,
            self._kill_a_command,
            self._deliver_by_command,
            self._deliver_by_command,
            self._work_beside,
            self._lead_beside,
            self._deliver_a_message,
            self._deliver_a_message,
            self._switch_account,
            self._break_the_settings,
            *[shop.chain.break_down] * (4 if shop.chain.is_used else 0),
        )
        self._troubles = tuple(rng.sample(kinds, rng.randrange(len(kinds))))
        self._trouble_every_s = rng.choice((8.0, 40.0, 300.0))
        if shop.chain.is_used:
            shop.chain.start()
        self._plan_trouble()

    def _plan_trouble(self) -> None:
        if self._troubles:
            every_s = self._trouble_every_s if self._while_off < _MOST_WHILE_OFF else _LONG_OFF_S
            in_s = self._rng.expovariate(1 / every_s)
            self._stage.at(self._stage.monotonic() + in_s, self._trouble)

    def _trouble(self) -> None:
        if self._is_calm:
            return
        # Few things happen while the till is off for hours.
        self._while_off = 0 if self._shop.process is not None else self._while_off + 1
        if self._while_off < _MOST_WHILE_OFF:
            self._rng.choice(self._troubles)()
        self._plan_trouble()

    def _storm(self) -> None:
        self._shop.paymego.weather.storm_until = self._stage.monotonic() + self._rng.choice((2.0, 15.0, 90.0))

    def _fill_the_disk(self) -> None:
        self._shop.disk.full_until = self._stage.monotonic() + self._rng.choice((0.5, 5.0, 40.0))

    def _jump(self) -> None:
        far = self._rng.random() < 0.05
        self._stage.set_wall(1000 * (self._rng.choice((-8, 8)) * 86_400 if far else self._rng.choice(_JUMPS_S)))

    def _kill_the_till(self) -> None:
        if self._shop.process is not None and self._in_a_row < _MOST_IN_A_ROW:
            self._shop.process.life.kill()

    def _kill_a_command(self) -> None:
        for life in self._stage.lives:
            if not life.is_dead and life.name.startswith("command"):
                life.kill()

    def _switch_account(self) -> None:
        self._shop.account = 1 - self._shop.account

    def _break_the_settings(self) -> None:
        self._shop.broken_until = self._stage.monotonic() + self._rng.choice((20.0, 700.0))

    def _staff(self) -> None:
        """Let Payme's staff put a receipt aside, and close it later, if it is still there then."""
        bank, now_ms = self._shop.paymego.bank, self._shop.paymego.now_ms
        receipts = [receipt for receipt in bank.receipts(now_ms)[-6:] if receipt.state in {1, 2, 3, 4, 21}]
        if not receipts:
            return
        receipt_id = self._rng.choice(receipts).receipt_id
        aside = self._rng.choice((5, 6, 20, 20, 30, 4))
        try:
            bank.put_state(now_ms, receipt_id, aside)
        except ValueError:
            return
        self._shop.checks.note(f"staff puts {receipt_id[-6:]} at {aside}", "staff")
        self._stage.at(
            self._stage.monotonic() + self._rng.choice((1.0, 20.0, 200.0)), lambda: self._put_back(receipt_id)
        )

    def _put_back(self, receipt_id: str) -> None:
        paymego = self._shop.paymego
        if paymego.state(receipt_id) in {5, 6, 20, 30}:
            self._shop.checks.note(f"staff puts {receipt_id[-6:]} at 4", "staff")
            paymego.bank.put_state(paymego.now_ms, receipt_id, 4)

    # Processes beside the till.

    def _deliver_by_command(self) -> None:
        self._begin_command(self._drain)

    def _work_beside(self) -> None:
        self._begin_command(lambda process: process.work_beside())

    def _lead_beside(self) -> None:
        """Let another till on this folder be ready, which leads only if nobody does."""

        def lead(process: Process) -> None:
            till = self._shop.process
            if till is not None and till.background.is_leader:
                self._shop.be_ready_beside(process)
            elif process.background.lead():
                self._stage.sleep(self._rng.choice((1.0, 30.0, 400.0)))

        self._begin_command(lead)

    def _begin_command(self, run: Callable[[Process], None]) -> None:
        if sum(not process.life.is_dead for process in self._shop.checks.processes.values()) > 3:
            return
        process = self._shop.new_process(f"command-{len(self._stage.lives)}")
        if self._rng.random() < 0.3:
            process.life.fuse = self._rng.randrange(1, 200)
        self._stage.at(self._stage.monotonic() + self._rng.choice((5.0, 60.0, 600.0)), process.life.end)

        def command() -> None:
            with contextlib.suppress(JournalError):
                run(process)
            process.life.end()

        self._stage.spawn(process.life, command)

    def _drain(self, process: Process) -> None:
        processor, merchant = process.new_processor(), process.background.merchants()
        if merchant is not None:
            processor.deliver_until_empty(merchant, self._shop.settings().pay_duration_ms / 1000)

    def _deliver_a_message(self) -> None:
        process = self._shop.process
        if process is not None and not process.life.is_dead:
            self._stage.spawn(process.life, self._shop.deliver_message)

    # What the cashier's day is made of.

    def _day(self) -> None:
        rng, shop = self._rng, self._shop
        if rng.random() < 0.3:  # a till that has just started has no settings that were good before
            self._break_the_settings()
        fuse = rng.choice((None, None, 60, 400, 1000)) if self._in_a_row < _MOST_IN_A_ROW else None
        shop.start(with_worker=rng.random() < 0.8, fuse=None if fuse is None else rng.randrange(1, fuse))
        shop.restore(self._people.ui)
        while len(shop.sales) < self._sales:
            self._sell()
            self._in_a_row = 0
            while rng.random() < 0.4:
                self._do_something_else()
            if rng.random() < 0.05:
                break
        shop.stop()

    def _sell(self) -> None:
        rng, shop = self._rng, self._shop
        if rng.random() < 0.7:  # what the host does every minute, and before the next payment
            shop.do_duties(self._people.ui, at_once=False)
        sale = shop.open_sale(rng.choice((1, 100, 1_500_000, 999_999_999)))
        for _ in range(3):
            qr_code = self._people.fresh_code() if rng.random() < 0.2 else None
            status = shop.pay(sale, self._people.ui(), qr_code)
            if status in {PaymentStatus.PAID, PaymentStatus.PENDING} or rng.random() < _HEADS:
                break
        self._stage.sleep(rng.choice((0.0, 1.0, 5.0, 40.0)))
        if sale.paid is None or rng.random() < 0.25:
            shop.annul(sale, self._people.ui())
        if sale.is_open and sale.paid is not None and rng.random() < 0.85:
            shop.close(sale)

    def _do_something_else(self) -> None:
        rng, shop = self._rng, self._shop
        self._stage.sleep(rng.choice((0.0, 0.5, 10.0, 100.0)))
        closed = [sale for sale in shop.sales[-8:] if sale.closed_at is not None and sale.paid is not None]
        parked = [sale for sale in shop.sales if sale.is_open and sale.paid is not None and not sale.annulling]
        if rng.random() < shop.behaviour.repeats:
            self._repeat()
        kind = rng.random()
        if parked and kind < 0.3:
            self._finish(rng.choice(parked))
        elif closed and kind < 0.8:
            shop.refund(rng.choice(closed), self._people.ui(), loses_record=rng.random() < 0.2)
        elif closed and kind < 0.9:
            shop.refund_partly(rng.choice(closed), self._people.ui())
        else:
            shop.deliver_message()

    def _repeat(self) -> None:
        """Call a hook once more that has returned: an acknowledgement, a closed receipt, ``on_ready``."""
        rng, shop = self._rng, self._shop
        tenders = [each for sale in shop.sales[-8:] for each in sale.tenders if each.is_acknowledged]
        notified = [sale for sale in shop.sales[-8:] if sale.is_notified]
        if tenders and rng.random() < _HEADS:
            shop.acknowledge(rng.choice(tenders), again=True)
        elif notified and rng.random() < _HEADS:
            shop.notify_closed(rng.choice(notified))
        elif shop.is_ready:
            shop.be_ready()

    def _finish(self, sale: Sale) -> None:
        if self._rng.random() < _HEADS:
            self._shop.annul(sale, self._people.ui())
        if sale.is_open and sale.paid is not None and not sale.annulling:
            self._shop.close(sale)

    def _downtime_s(self) -> float:
        rng, stays_off = self._rng, self._shop.behaviour.stays_off
        return rng.choice((0.0, 1.0, 20.0, 600.0, 40_000.0)) if rng.random() < 1 - stays_off else 8 * 86_400.0


def _deliver_everything(shop: Shop, people: People) -> None:
    """Let nothing go wrong any more, and time run until nothing is left to be done; then count the money."""
    stage, paymego, checks = shop.stage, shop.paymego, shop.checks
    shop.behaviour.calm()
    stage.slowness = people.stops = people.fumbles = people.refusals = 0.0
    paymego.weather.clear()
    shop.disk.clear()
    shop.broken_until = 0.0
    for life in stage.lives:
        life.fuse = None
    # What is still on its way arrives, and what the staff put aside is put back.
    if shop.process is not None:
        shop.stop()
    stage.sleep(_ROUND_S)
    for process in checks.processes.values():
        process.life.end()
        process.discard()
    for receipt in paymego.bank.receipts(paymego.now_ms):
        paymego.bank.plan_cancel(receipt.receipt_id, CancelPlan())
    checks.note("from here on nothing goes wrong")
    if shop.chain.is_used:
        shop.chain.finish()
    _rest(shop, people)
    if shop.behaviour.readiness is Readiness.NEVER:
        checks.note("from here on the host is ready")
        shop.behaviour.readiness = Readiness.ON_TIME
        _rest(shop, people)
    _check_money(shop)


def _rest(shop: Shop, people: People) -> None:
    """Start and stop the till, and finish what is open, until no cancellation is left that can end."""
    for _ in range(_MOST_ROUNDS):
        shop.start(with_worker=True)
        shop.restore(people.ui)
        for sale in shop.sales:
            if sale.is_open and sale.paid is not None:
                shop.close(sale)
            elif sale.is_open and sale.tender(TenderState.ASKED) is None:
                shop.annul(sale, people.ui())
        for _ in range(2 * len(shop.queue)):
            shop.deliver_message()
        shop.stage.sleep(_ROUND_S)
        process = shop.process
        assert process is not None
        is_shown = shop.notices.get((process.life, _NOT_READY)) is not None
        if is_shown is shop.is_ready:
            shop.checks.fault(9, f"the host {'is' if shop.is_ready else 'is not'} ready, and the notice is wrong")
        shop.stop()
        is_settled = all(sale.tender(TenderState.ASKED) is None for sale in shop.sales)
        if (
            is_settled
            and not shop.queue
            and all(row.ended_at or row.held == "old" for row in shop.checks.rows.cancellations())
        ):
            break
        shop.account = 1 - shop.account


def _check_money(shop: Shop) -> None:
    """Compare what Payme holds with what the host recorded, and the journal with both."""
    paymego, checks = shop.paymego, shop.checks
    expected: dict[str, int] = {}
    for sale in shop.sales:
        expected |= sale.expected
    old = {row.receipt_id for row in checks.rows.cancellations() if row.ended_at is None and row.held == "old"}
    excused = {payment.receipt_id for payment in checks.rows.payments() if payment.payment_id in shop.at_fault}
    _check_open_payments(shop)
    for row in checks.rows.cancellations():
        if row.ended_at is None and row.held != "old":
            checks.fault(4, f"the cancellation of {row.payment_id} is still live")
    for message in shop.queue:
        if not any(receipt_id in message.message_id for receipt_id in old):
            checks.fault(4, f"message {message.message_id} is still in the host's queue")
    for receipt in paymego.bank.receipts(paymego.now_ms):
        wanted = expected.pop(receipt.receipt_id, 0)
        if receipt.held != wanted and receipt.receipt_id not in old | excused:
            checks.fault(0, f"receipt {receipt.receipt_id}: Payme holds {receipt.held}, the host recorded {wanted}")
    for receipt_id in expected:
        checks.fault(0, f"the host recorded receipt {receipt_id}, which Payme does not know")
    _check_charges(shop)


def _check_charges(shop: Shop) -> None:
    paymego, checks = shop.paymego, shop.checks
    moves = Counter(move.receipt_id for move in paymego.bank.movements(paymego.now_ms) if move.amount > 0)
    for receipt_id, times in moves.items():
        if times > 1:
            checks.fault(0, f"receipt {receipt_id} was charged {times} times")


def _check_open_payments(shop: Shop) -> None:
    """Check that every payment is decided."""
    for payment in shop.checks.rows.payments():
        is_open = payment.state == "recorded" and payment.closed_at is None
        if payment.state in _UNFINISHED:
            shop.checks.fault(6, f"{payment.payment_id} is still {payment.state}")
        elif is_open and payment.payment_id not in shop.at_fault and not shop.has_payment(payment.payment_id):
            shop.checks.fault(6, f"{payment.payment_id} is still recorded, and the host does not have it")
