"""What a host owes, in the words of ``docs/host.md``, and what a failure says: what the host did, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Duty(Enum):
    """A duty; its value names it in reports."""

    LOADING = "loading"
    IDENTITY = "identity"
    ALIVE = "alive"
    READY = "ready"
    ONE_HOOK = "one-hook"
    PAYMENT_ID = "payment-id"
    STORED_FIRST = "stored-first"
    REPEAT = "repeat-payment"
    PAID_ONLY = "paid-only"
    RECORD = "record"
    PENDING = "pending"
    ACKNOWLEDGE = "acknowledge"
    ACKNOWLEDGE_AGAIN = "acknowledge-again"
    RECEIPT_CLOSED = "receipt-closed"
    IS_RECORDED = "is-recorded"
    CANCEL = "cancel"
    REFUND = "refund"
    VALIDATE = "validate-refund"
    REPEAT_REVERSAL = "repeat-reversal"
    SLIPS = "slips"
    MONEY = "money"


@dataclass(frozen=True, slots=True)
class Played:
    """What the kit does for a duty, and where ``docs/host.md`` describes it."""

    what: str
    place: str


_START = "At every start, in this order"
_ACKNOWLEDGEMENT = "Acknowledgement"
_REVERSALS = "Cancels and refunds"

PLAYED: dict[Duty, Played] = {
    Duty.LOADING: Played("the plugin is loaded by its entry point", "How plugins are loaded"),
    Duty.IDENTITY: Played("identity and data folder at every start", "What the host offers"),
    Duty.ALIVE: Played("every command is answered, whatever fails", "What PosPlugins returns"),
    Duty.READY: Played("starts after kills; on_ready and repeats fail", _START),
    Duty.ONE_HOOK: Played("hooks are never called side by side", "Threads and time"),
    Duty.PAYMENT_ID: Played("restarts, a restored backup of the sales", "Payments"),
    Duty.STORED_FIRST: Played("kills in on_payment and on_payment_recorded", "Payments"),
    Duty.REPEAT: Played("kills, HookFailed and PENDING at on_payment", _START),
    Duty.PAID_ONLY: Played("buyers who pay or not, network faults", "Payments"),
    Duty.RECORD: Played("records of PAID sales at every later hook", "Payments"),
    Duty.PENDING: Played("a payment without a result over two starts", "Payments"),
    Duty.ACKNOWLEDGE: Played("each sale that is PAID", _ACKNOWLEDGEMENT),
    Duty.ACKNOWLEDGE_AGAIN: Played("on_payment_recorded fails, its answer is lost", _ACKNOWLEDGEMENT),
    Duty.RECEIPT_CLOSED: Played("on_receipt_closed fails; kills around it", _ACKNOWLEDGEMENT),
    Duty.IS_RECORDED: Played("stored, annulled, lost and unknown payments", _ACKNOWLEDGEMENT),
    Duty.CANCEL: Played("REVERSED, QUEUED, REFUSED, PENDING sales", _REVERSALS),
    Duty.REFUND: Played("REVERSED, QUEUED, REFUSED", _REVERSALS),
    Duty.VALIDATE: Played("a violated rule", "Cancels and refunds"),
    Duty.REPEAT_REVERSAL: Played("kills and HookFailed in cancels and refunds", _REVERSALS),
    Duty.SLIPS: Played("sales, cancels and refunds", "Messages, slips and attributes"),
    Duty.MONEY: Played("Payme's money against the sales, one by one", "What the host owes"),
}
"""Every duty, in the order of the report."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A way to break a duty.

    Attributes:
        duty: the duty.
        did: what the host did.
        to_do: what it has to do instead.
    """

    duty: Duty
    did: str
    to_do: str


NOT_LOADED = Breach(
    Duty.LOADING,
    "The host did not call the plugin that the kit put in front of sys.path.",
    "Load plugins with PosPlugins.load_entry_points, by a Python that reads PYTHONPATH, and then call on_start.",
)
IDENTITY_CHANGED = Breach(
    Duty.IDENTITY,
    "Host.identity or Host.data_dir was another one after a restart; the plugin then does not find its own payments.",
    "Return the same name and the same folder at every start of a till.",
)
FAILED = Breach(
    Duty.ALIVE,
    "The host failed: it ended, did not answer, or answered something else.",
    "Catch HookFailed around each hook, and answer every command with one line.",
)
BEFORE_START = Breach(Duty.READY, "The host called a hook before on_start.", "Call on_start first.")
READY_EARLY = Breach(
    Duty.READY,
    "The host called on_ready while a payment, a cancel or a refund of an earlier run had no result, or a stored PAID "
    "was not acknowledged; the plugin then returns money that the host has in a sale.",
    "Call on_ready last, when every such call has returned.",
)
READY_MISSING = Breach(
    Duty.READY,
    "The host did not call on_ready although every call that it owed had returned; payments whose sale is lost stay "
    "charged.",
    "Call on_ready at the end of every start, and repeat it if it raises HookFailed.",
)
READY_TWICE = Breach(
    Duty.READY, "The host called on_ready again after it had returned.", "Call on_ready once per start."
)
SIDE_BY_SIDE = Breach(
    Duty.ONE_HOOK, "The host called a hook while another one ran.", "Call one hook of a till at a time."
)
ID_REUSED = Breach(
    Duty.PAYMENT_ID,
    "The host used the payment_id of another payment for a new one.",
    "Use an id that no payment ever had, e.g. uuid4().hex: a counter starts again after a restart or with a backup.",
)
NOT_STORED = Breach(
    Duty.STORED_FIRST,
    "The host was killed in on_payment, and did not know the payment after its restart.",
    "Store the payment_id with its sale durably before on_payment is called.",
)
PAID_NOT_STORED = Breach(
    Duty.STORED_FIRST,
    "The host acknowledged a PAID payment before it had stored the result, and lost it at a kill.",
    "Store what on_payment returned durably before any other hook is called.",
)
NOT_REPEATED = Breach(
    Duty.REPEAT,
    "The host did not ask again for a payment that has no result.",
    "Call on_payment with repeated=True for it at every start, after HookFailed, and every minute while it is PENDING.",
)
REPEATED_WITH_NEW_ID = Breach(
    Duty.REPEAT,
    "The host asked again for a payment without a result, with another payment_id; the buyer may pay twice.",
    "Store the payment_id with its sale, and use it again when the payment is repeated.",
)
NOT_MARKED_REPEATED = Breach(
    Duty.REPEAT,
    "The host asked again for a payment without repeated=True.",
    "Set PaymentRequest.repeated when a payment is asked for again.",
)
WRONG_STATE = Breach(
    Duty.PAID_ONLY,
    "The host's sale does not follow from the result of on_payment.",
    "Add the tender on PAID only; remove it on REFUSED, ABORTED, UNKNOWN and None.",
)
NO_PAYMENT = Breach(
    Duty.PAID_ONLY, "The host did not call on_payment for a sale.", "Call on_payment when the tender is selected."
)
RECORD_CHANGED = Breach(
    Duty.RECORD,
    "The host passed another PaymentRecord to a hook than the one that on_payment returned with PAID.",
    "Store all four fields of PaymentResult.payment, with the whole data, and pass them unchanged: without them the "
    "plugin can't return the money once its own journal is lost.",
)
PENDING_ENDED = Breach(
    Duty.PENDING,
    "The host ended a sale whose payment has no result: after PENDING or HookFailed it must stay as it is.",
    "Neither add nor remove the tender, and keep the sale open until on_payment returns another result.",
)
NOT_ACKNOWLEDGED = Breach(
    Duty.ACKNOWLEDGE,
    "The host stored a PAID payment and did not call on_payment_recorded.",
    "Call on_payment_recorded as soon as PAID is stored: the plugin returns unacknowledged money after a restart.",
)
NOT_ACKNOWLEDGED_AGAIN = Breach(
    Duty.ACKNOWLEDGE_AGAIN,
    "on_payment_recorded raised HookFailed, and the host did not repeat it in time.",
    "Repeat it until it returns: before the next payment, every minute, and at every start before on_ready.",
)
NOT_REPORTED = Breach(
    Duty.RECEIPT_CLOSED,
    "The host closed a receipt and did not call on_receipt_closed, with the receipt's payments, until it returned.",
    "Call on_receipt_closed after the receipt has closed, and again at every start until it returns. Receipt.payments "
    "has the payments that the receipt was paid with.",
)
WRONG_VETO = Breach(
    Duty.IS_RECORDED,
    "Host.is_recorded returned True for a payment that is in no sale of the host; its buyer's money is never returned.",
    "Return True only for a payment that is stored with an open, parked or closed sale, False or None for any other.",
)
NO_VETO = Breach(
    Duty.IS_RECORDED,
    "Host.is_recorded did not return True or None for a payment that is stored with a sale.",
    "Store PAID before any other hook is called. Look the id up among the payment ids, and among data['receipt_id'], "
    "of all stored payments; return None if in doubt.",
)
NO_CANCEL = Breach(
    Duty.CANCEL,
    "The host annulled a sale without on_cancel.",
    "Call on_cancel for each payment of the sale, also for a PENDING one: without data then.",
)
CANCEL_IGNORED = Breach(
    Duty.CANCEL,
    "on_cancel returned REVERSED or QUEUED, and the host did not annul the sale.",
    "Annul the sale after REVERSED and after QUEUED: in both cases the buyer gets the money back.",
)
CANCEL_ANYWAY = Breach(
    Duty.CANCEL,
    "on_cancel did not return REVERSED or QUEUED, and the host annulled the sale.",
    "Keep the sale after REFUSED; after HookFailed keep it and call again.",
)
NO_REFUND = Breach(
    Duty.REFUND, "The host refunded a sale without on_full_refund.", "Call on_full_refund while the refund closes."
)
REFUND_IGNORED = Breach(
    Duty.REFUND,
    "on_full_refund returned REVERSED or QUEUED, and the host did not close the refund.",
    "Close the refund after REVERSED and after QUEUED, and pay out nothing by other means.",
)
REFUND_ANYWAY = Breach(
    Duty.REFUND,
    "on_full_refund did not return REVERSED or QUEUED, and the host closed the refund.",
    "Do not close the refund after REFUSED; after HookFailed leave it open and call again.",
)
NOT_VALIDATED = Breach(
    Duty.VALIDATE,
    "The host did not ask validate_refund before a refund, or went on although it reported a violation.",
    "Call validate_refund before on_full_refund, and close the refund only if the list is empty.",
)
REVERSAL_NOT_REPEATED = Breach(
    Duty.REPEAT_REVERSAL,
    "A cancel or refund had begun without a result, and the host did not call the hook again.",
    "Store its start before the hook, and repeat it at every start before on_ready.",
)
REFUND_ID_CHANGED = Breach(
    Duty.REPEAT_REVERSAL,
    "The host repeated a refund with another refund_id.",
    "Store the refund_id before on_full_refund, and use it again when the call is repeated.",
)
PRINTED_EARLY = Breach(
    Duty.SLIPS,
    "The host printed a slip of a sale before its receipt had closed.",
    "Keep PaymentResult.slips with the sale and print them after it has closed.",
)
NOT_PRINTED = Breach(
    Duty.SLIPS,
    "The host did not print each slip as often as Slip.copies says.",
    "Print each slip of a sale after it has closed, and of a cancel or refund at once, `copies` times.",
)
CHARGED_WITHOUT_SALE = Breach(
    Duty.MONEY,
    "Payme holds the buyer's money, and the host has no sale for it.",
    "Keep what on_payment, on_cancel and on_full_refund returned, durably, before anything else is done.",
)
SALE_WITHOUT_MONEY = Breach(
    Duty.MONEY,
    "The host has a sale, and Payme holds no money for it.",
    "Close a sale only after PAID, and annul or refund it only through the hooks.",
)
WRONG_AMOUNT = Breach(
    Duty.MONEY,
    "The amount of the host's sale is not what its buyer paid.",
    "Pass the amount of the sale, in tiyin, as PaymentRequest.amount, and list it with each sale.",
)
NOT_PLAYED = Breach(
    Duty.ALIVE,
    "A play could not be finished, because a sale that its buyer paid was not PAID.",
    "Pass `code` as PaymentRequest.qr_code, and the settings and folders of the first line to the plugin. The message "
    "below is the plugin's for the cashier.",
)
