"""A sandbox, a folder, and one process of the host after the other, with what a cashier does and what fails."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from hookspecs import PaymentStatus, ReversalStatus
from payme_plugin.sandbox import Behaviour, CancelPlan, Sandbox
from payme_plugin.testing.conformance import duties
from payme_plugin.testing.conformance.decider import Disturbance, HookDecider
from payme_plugin.testing.conformance.process import HostFailed, HostProcess, Killed
from payme_plugin.testing.conformance.protocol import STANDS, VERSION, Done, Listed, SaleState, Shown, Start, Started
from payme_plugin.testing.conformance.watch import Payment, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from payme_plugin.testing.conformance.duties import Breach

PAYMENT_TYPE = 141

_FIRST_AMOUNT = 1_500_000
_SETTLE_S = 20.0
_MOMENT_S = 1.0
_QUICK = {"timeout": "2", "payDuration": "2000", "frequency": "100"}


class NotPlayed(Exception):
    """The host did not do what the rest of a play needs; why it did not is a failure of its own."""


@final
class Stage:
    """Where one play takes place; a context manager that ends with the host killed and its folder left.

    Args:
        command: the host's command.
        folder: an empty folder.
        play: the name of the play.
        answer_timeout_s: how long the host may take for one answer.
        stopped: is set when the run ends before its plays do.

    Attributes:
        sandbox: the bank.
        watch: what the host did.
        hooks: decides at each hook of the host.
        kills: how often the host was killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        play: str,
        *,
        answer_timeout_s: float,
        stopped: threading.Event | None = None,
    ) -> None:
        self.sandbox = Sandbox(cancel=CancelPlan(settle_s=0))
        self.watch = Watch(play)
        self.hooks = HookDecider(self.watch)
        self.kills = 0
        self._command = command
        self._folder = folder
        self._timeout_s = answer_timeout_s
        self._stopped = stopped or threading.Event()
        self._process: HostProcess | None = None
        self._amounts = itertools.count(_FIRST_AMOUNT, 100)
        self._own, self._plugins, self._scratch = folder / "host", folder / "plugin", folder / "kit"
        for each in (self._own, self._plugins, self._scratch):
            each.mkdir()

    def __enter__(self) -> Stage:
        self.sandbox.start()
        self.write_settings()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
        self.sandbox.stop()

    def write_settings(self, *, usable: bool = True) -> None:
        """Write the settings file; one that is not usable makes repeated payments PENDING and cancels QUEUED."""
        values = {
            "url": self.sandbox.url if usable else "nowhere",
            "posId": self.sandbox.pos_id,
            "posKey": f'"{self.sandbox.pos_key}"',
            "paymentType": str(PAYMENT_TYPE),
            **_QUICK,
        }
        path = self._folder / "payme.conf"
        path.touch(0o600)
        path.write_text("[Main]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()), encoding="utf-8")

    # ------------------------------------------------------------------------------------------------------------------
    # The host
    # ------------------------------------------------------------------------------------------------------------------

    def start(self, *, clock_s: float = 0.0) -> None:
        """Start the host and check what it owes at a start.

        Raises:
            HostFailed: it can't be started or played with.
            Killed: a disturbance has killed it.
        """
        self.watch.begin_run()
        self._process = HostProcess(
            self._command,
            self._scratch,
            self.hooks,
            answer_timeout_s=self._timeout_s,
            stopped=self._stopped,
            clock_s=clock_s,
        )
        settings = {"confFile": str(self._folder / "payme.conf")}
        own, plugins = str(self._own), str(self._plugins)
        start = Start(settings=settings, folder=own, plugin_folder=plugins, payment_type=PAYMENT_TYPE)
        spoken = self._answer(start, Started).version
        if spoken != VERSION:
            raise HostFailed(f"the adapter speaks version {spoken} of the protocol, the kit {VERSION}")
        if not self.watch.check(self.watch.run.has_called, duties.NOT_LOADED):
            raise NotPlayed
        self.watch.end_start(self.sales())
        self.close_open_sales()

    def restart(self, *disturbances: Disturbance) -> None:
        """Start the host again after a kill; ``disturbances`` happen at its start."""
        if disturbances:
            self.hooks.disturb(*disturbances)
        self.start()

    def stop(self) -> None:
        """Let the host end by itself."""
        with self._ending_with_the_host() as process:
            process.end()
            self.watch.check(process.code == 0, duties.FAILED, detail=f"it ended with {process.code} after 'stop'")
        self._ended()

    def kill(self) -> None:
        """Kill the host between two commands."""
        process = self._running()
        self._was_killed()
        process.kill()

    def tick(self, *, kill_after_s: float | None = None) -> None:
        """Let the host do what it does every minute."""
        self._answer({"do": "tick"}, Done, kill_after_s)

    def sales(self) -> dict[str, SaleState]:
        """Return the state of each sale, by its payment."""
        listed = self._answer({"do": "sales"}, Listed).sales
        for sale in listed:
            payment = self.watch.payments.get(sale.payment_id)
            if payment is not None and sale.amount != payment.amount:
                detail = f"listed with {sale.amount} instead of {payment.amount} tiyin"
                self.watch.check(False, duties.WRONG_AMOUNT, payment, detail)
        return {sale.payment_id: sale.state for sale in listed}

    def lose_sales_since(self, backup: Path) -> None:
        """Put a copy of the host's own folder in its place, as a restored backup does; the plugin's folder stays."""
        shutil.rmtree(self._own)
        shutil.copytree(backup, self._own, symlinks=True)

    def back_up(self) -> Path:
        """Copy the host's own folder and return the copy."""
        copied = self._folder / "backup"
        shutil.copytree(self._own, copied, symlinks=True)
        return copied

    def _running(self) -> HostProcess:
        if self._process is None:
            raise NotPlayed
        return self._process

    def _was_killed(self) -> None:
        self.kills += 1
        self._ended()

    def _ended(self) -> None:
        self._process = None
        self.hooks.disturb()

    def _answer(self, command: object, kind: type[Any], kill_after_s: float | None = None) -> Any:  # noqa: ANN401 - kind
        with self._ending_with_the_host() as process:
            return process.ask(command, kind, kill_after_s=kill_after_s)

    @contextmanager
    def _ending_with_the_host(self) -> Iterator[HostProcess]:
        """Yield the process; note that it was killed, or kill it because it failed."""
        process = self._running()
        try:
            yield process
        except Killed:
            self._was_killed()
            raise
        except HostFailed:
            process.kill()
            self._ended()
            raise

    # ------------------------------------------------------------------------------------------------------------------
    # The cashier
    # ------------------------------------------------------------------------------------------------------------------

    def sell(
        self, behaviour: Behaviour | None = None, *, closes: bool = True, kill_after_s: float | None = None
    ) -> Payment:
        """Sell something and check what the cashier sees; return the payment.

        Args:
            behaviour: what the buyer does; None: pays.
            closes: the receipt closes if it is paid.
            kill_after_s: kill the host after so long.
        """
        self.watch.begin_sale()
        amount = next(self._amounts)
        code = self.sandbox.issue_code(behaviour)
        command = {"do": "sell", "amount": amount, "code": code, "close": closes}
        self.hooks.held_open = None if closes else amount
        before = set(self.watch.payments)
        state = self._shown(command, kill_after_s)
        payment = self.watch.of(amount)
        others = [each for payment_id, each in self.watch.payments.items() if payment_id not in before]
        if payment is None and others:
            self.watch.check(False, duties.WRONG_AMOUNT, others[-1], f"{others[-1].amount} instead of {amount} tiyin")
            raise NotPlayed
        if not self.watch.check(payment is not None, duties.NO_PAYMENT) or payment is None:
            raise NotPlayed
        if any(each.payment_id == payment.payment_id for each in self.watch.reused):
            raise NotPlayed
        if payment.status in {None, PaymentStatus.PENDING}:
            self.watch.check(state is SaleState.PENDING, duties.PENDING_ENDED, payment, state.value)
        elif payment.status is PaymentStatus.PAID:
            # A host that has repeated the payment meanwhile need not know any more that it was to close the receipt.
            asked = SaleState.CLOSED if closes else SaleState.OPEN
            fits = state in (STANDS if payment.is_disturbed else {asked})
            self.watch.check(fits, duties.WRONG_STATE, payment, f"PAID is {state.value} with close {closes}")
            self._check_paid(payment, is_closed=state is SaleState.CLOSED)
        else:
            fits = state is SaleState.UNPAID
            self.watch.check(fits, duties.WRONG_STATE, payment, f"{payment.status.name} is {state.value}")
        return payment

    def _check_paid(self, payment: Payment, *, is_closed: bool) -> None:
        self._wait_for(lambda: payment.has_tried or payment.is_reported)
        self.watch.check(payment.has_tried or payment.is_reported, duties.NOT_ACKNOWLEDGED, payment)
        payment.is_stored = True
        if is_closed:
            self._check_closed(payment)

    def _check_closed(self, payment: Payment) -> None:
        def is_reported() -> bool:
            return payment.is_reported or payment.failed_in == self.watch.run.number

        self._wait_for(is_reported)
        self.watch.check(is_reported(), duties.NOT_REPORTED, payment)
        self.watch.check_printed(payment, payment.sale_slips, "after the sale has closed")

    def _wait_for(self, has_come: Callable[[], bool]) -> None:
        """Wait a moment for a host that calls a hook after its answer, e.g. in another thread."""
        until = time.monotonic() + _MOMENT_S
        with self._ending_with_the_host() as process:
            while not has_come() and time.monotonic() < until:
                process.serve(_MOMENT_S / 20)

    def close(self, payment: Payment) -> None:
        """Close a sale that was kept open."""
        payment.is_held_open = False
        state = self._shown({"do": "close", "payment_id": payment.payment_id})
        self.watch.check(state is SaleState.CLOSED, duties.WRONG_STATE, payment, f"'close' is {state.value}")
        self._check_closed(payment)

    def close_open_sales(self) -> None:
        """Close what the host has open, e.g. after a restart: one sale at a time is open."""
        for payment_id, state in self.sales().items():
            payment = self.watch.payments.get(payment_id)
            if state is SaleState.OPEN and payment is not None and not payment.is_lost:
                self.close(payment)

    def annul(self, payment: Payment, *, kill_after_s: float | None = None) -> None:
        """Annul a sale and check that the host does what ``on_cancel`` says."""
        payment.is_held_open = False
        state = self._shown({"do": "annul", "payment_id": payment.payment_id}, kill_after_s)
        status = None if payment.cancel is None else payment.cancel.status
        self._check_reversed(payment, state, status, is_refund=False)

    def refund(self, payment: Payment, *, is_forbidden: bool = False, kill_after_s: float | None = None) -> None:
        """Refund a closed sale and check that the host does what ``on_full_refund`` says.

        Args:
            payment: its payment.
            is_forbidden: ``validate_refund`` reports a violation.
            kill_after_s: kill the host after so long.
        """
        state = self._shown({"do": "refund", "payment_id": payment.payment_id}, kill_after_s)
        if is_forbidden:
            stands = payment.refund is None and state is SaleState.REFUSED
            self.watch.check(stands, duties.NOT_VALIDATED, payment, f"'refund' is {state.value}")
            return
        status = None if payment.refund is None else payment.refund.status
        self._check_reversed(payment, state, status, is_refund=True)

    def _check_reversed(
        self, payment: Payment, state: SaleState, status: ReversalStatus | None, *, is_refund: bool
    ) -> None:
        done = SaleState.REFUNDED if is_refund else SaleState.ANNULLED
        begun = payment.refund if is_refund else payment.cancel
        without, ignored, anyway = _BREACHES[is_refund]
        detail = f"{'no result' if status is None else status.name} is {state.value}"
        if not self.watch.check(begun is not None, without, payment):
            return
        if begun is not None and begun.is_returned:
            self.watch.check(state is done, ignored, payment, detail)
            due = f"at once after the {'refund' if is_refund else 'cancel'}"
            self.watch.check_printed(payment, payment.reversal_slips, due)
        else:
            expected = SaleState.PENDING if status is None else SaleState.REFUSED
            self.watch.check(state is expected, anyway, payment, detail)
        listed = self.sales().get(payment.payment_id)
        # A host may call again at any time, so the last result counts.
        last = payment.refund if is_refund else payment.cancel
        is_returned = last is not None and last.is_returned
        text = "not listed" if listed is None else f"listed as {listed.value}"
        self.watch.check((listed is done) == is_returned, ignored if is_returned else anyway, payment, text)

    def _shown(self, command: dict[str, object], kill_after_s: float | None = None) -> SaleState:
        state: SaleState = self._answer(command, Shown, kill_after_s).state
        return state

    # ------------------------------------------------------------------------------------------------------------------
    # The end
    # ------------------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let the host finish with nothing in its way, and compare its sales with Payme's money, one by one."""
        self.hooks.disturb()
        self.sandbox.clear_faults()
        self.write_settings()
        if self._process is not None:
            self.stop()
        self.start()
        until = time.monotonic() + _SETTLE_S
        while self._unsettled() and time.monotonic() < until:
            time.sleep(0.1)
            self.tick()
        for amount, held, listed in self._accounts():
            payment, detail = self.watch.of(amount), f"{held} tiyin held, {listed.value if listed else 'not listed'}"
            if payment is not None and not payment.is_lost:
                self._check_end(payment, listed)
            stands = listed in STANDS
            self.watch.check(bool(held) <= stands, duties.CHARGED_WITHOUT_SALE, payment, detail)
            self.watch.check(bool(held) >= stands, duties.SALE_WITHOUT_MONEY, payment, detail)
        self.stop()

    def _check_end(self, payment: Payment, listed: SaleState | None) -> None:
        """Check that the reversals which the host was told of at any time have ended its sale, and no others."""
        for reversal, done in ((payment.cancel, SaleState.ANNULLED), (payment.refund, SaleState.REFUNDED)):
            if reversal is None:
                continue
            _, ignored, anyway = _BREACHES[done is SaleState.REFUNDED]
            text = "not listed" if listed is None else f"listed as {listed.value}"
            breach = ignored if reversal.is_returned else anyway
            self.watch.check((listed is done) == reversal.is_returned, breach, payment, text)

    def _unsettled(self) -> bool:
        for amount, held, listed in self._accounts():
            payment = self.watch.of(amount)
            if (payment is None or not payment.is_broken) and (
                bool(held) != (listed in STANDS) or listed is SaleState.PENDING
            ):
                return True
        return False

    def _accounts(self) -> list[tuple[int, int, SaleState | None]]:
        """Return for each amount: what Payme holds, and the state of the host's sale."""
        sales = self.sales()
        held = {payment.amount: 0 for payment in self.watch.payments.values()}
        for receipt in self.sandbox.receipts():
            held[receipt.amount] = held.get(receipt.amount, 0) + receipt.held
        payments = {amount: self.watch.of(amount) for amount in held}
        states = {amount: None if each is None else sales.get(each.payment_id) for amount, each in payments.items()}
        return [(amount, held[amount], states[amount]) for amount in held]


_BREACHES: dict[bool, tuple[Breach, Breach, Breach]] = {
    False: (duties.NO_CANCEL, duties.CANCEL_IGNORED, duties.CANCEL_ANYWAY),
    True: (duties.NO_REFUND, duties.REFUND_IGNORED, duties.REFUND_ANYWAY),
}
