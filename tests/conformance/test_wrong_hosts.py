"""A host that breaks one duty fails that duty, with the sentence that says what to do, and no other."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from payme_plugin.testing import HostConformance
from payme_plugin.testing.conformance import duties, plays
from payme_plugin.testing.conformance.duties import Duty

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.testing.conformance.duties import Breach
    from payme_plugin.testing.conformance.plays import Play
    from tests.conformance.conftest import Change

_READY = """        if not till.is_ready:
            plugins.on_ready()
            till.is_ready = True
"""
_REPEATS = """        for sale in sales(UNSETTLED):
            if sale["begun"]:
"""
_REVERSED = "    change(sale, begun=None, state=done, reported=1)\n"


_RECORDED = "                change(sale, recorded=1)\n"
_REPORTED = "                change(sale, reported=1)\n"
_FAILURE = "        print(failure, file=sys.stderr)  # the next call repeats it\n"


def after(stored: str, call: str) -> Change:
    """Return the change that stores a call as made before it is made."""
    return call + stored, stored + call


@dataclass(frozen=True)
class Wrong:
    """A host that breaks a duty.

    Attributes:
        changes: what is wrong in it.
        play: where that shows first.
        breaches: what is reported.
    """

    changes: tuple[Change, ...]
    play: Play
    breaches: tuple[Breach, ...] = field(default=())


SEVEN = {
    "forgets to acknowledge": Wrong(
        (("                plugins.on_payment_recorded(record_of(sale))\n", ""),),
        plays.a_quiet_day,
        (duties.NOT_ACKNOWLEDGED,),
    ),
    "calls on_ready too early": Wrong(
        ((_READY, ""), (_REPEATS, _READY + _REPEATS)),
        plays.failing_start,
        (duties.READY_EARLY,),
    ),
    "vetoes wrongly": Wrong(
        (('return None if state == "pending" else state in {"open", "closed", "refunded"}', "return True"),),
        plays.a_restored_backup,
        (duties.WRONG_VETO,),
    ),
    "closes after QUEUED without annulling": Wrong(
        (
            (
                _REVERSED,
                '    if done == "annulled" and result.status is ReversalStatus.QUEUED:\n'
                "        change(sale, begun=None)\n"
                '        close(*sales("number = ?", sale["number"]))\n'
                '        return "closed"\n' + _REVERSED,
            ),
        ),
        plays.results_of_reversals,
        (duties.CANCEL_IGNORED,),
    ),
    "prints before closing": Wrong(
        (
            (
                '        change(sale, state="open", data',
                '        print_slips(json.loads(slips))\n        slips = "[]"\n        change(sale, state="open", data',
            ),
        ),
        plays.a_quiet_day,
        (duties.PRINTED_EARLY,),
    ),
    "does not repeat": Wrong(
        (('            elif sale["state"] == "pending":\n                pay(sale)\n', ""),),
        plays.failing_start,
        (duties.NOT_REPEATED,),
    ),
    "reuses a payment id": Wrong(
        (
            ("(uuid4().hex, amount)", "(str(next(ids)), amount)"),
            ("import json\n", "import itertools\nimport json\n"),
            ("till, plugins = Till(), PosPlugins()", "till, plugins, ids = Till(), PosPlugins(), itertools.count(1)"),
        ),
        plays.a_restored_backup,
        (duties.ID_REUSED,),
    ),
}

OTHERS = {
    "has another identity after a restart": Wrong(
        (
            ('    identity = "till-1"', '    identity = f"till-{os.getpid()}"'),
            ("import json\n", "import json\nimport os\n"),
        ),
        plays.failing_start,
        (duties.IDENTITY_CHANGED,),
    ),
    "has another data folder after a restart": Wrong(
        (
            ('return start["plugin_folder"]', "return f\"{start['plugin_folder']}/{os.getpid()}\""),
            ("import json\n", "import json\nimport os\n"),
        ),
        plays.failing_start,
        (duties.IDENTITY_CHANGED,),
    ),
    "does not store the payment first": Wrong(
        (("settle()\nprint(json", "book.execute(\"DELETE FROM sale WHERE state = 'pending'\")\nsettle()\nprint(json"),),
        plays.failing_start,
        (duties.NOT_STORED,),
    ),
    "acknowledges before it stores PAID": Wrong(
        (
            (
                '        change(sale, state="open", data=',
                '        plugins.on_payment_recorded(result.payment)\n        change(sale, state="open", data=',
            ),
        ),
        plays.failing_start,
        (duties.PAID_NOT_STORED,),
    ),
    "asks for another amount": Wrong(
        (
            ('"amount": sale["amount"]}\n    asked', '"amount": sums}\n    asked'),
            ("    ids = {", '    sums = sale["amount"] // 100\n    ids = {'),
        ),
        plays.a_quiet_day,
        (duties.WRONG_AMOUNT,),
    ),
    "lists another amount": Wrong(
        (('(sale["payment_id"], sale["amount"], "pending"', '(sale["payment_id"], sale["amount"] + 1, "pending"'),),
        plays.a_quiet_day,
        (duties.WRONG_AMOUNT,),
    ),
    "repeats with another id": Wrong(
        (
            (
                "                pay(sale)\n",
                """                change(sale, payment_id=uuid4().hex)
                pay(*sales("number = ?", sale["number"]))
""",
            ),
        ),
        plays.failing_start,
        (duties.REPEATED_WITH_NEW_ID,),
    ),
    "repeats without the flag": Wrong(
        (("repeated=code is None", "repeated=False"),), plays.failing_start, (duties.NOT_MARKED_REPEATED,)
    ),
    "sells what is not paid": Wrong(
        (('        change(sale, state="unpaid")', '        change(sale, state="closed")'),),
        plays.a_quiet_day,
        (duties.WRONG_STATE,),
    ),
    "stores a part of the record": Wrong(
        (
            (
                "data=json.dumps(dict(result.payment.data))",
                'data=json.dumps({"plugin": "payme", "receipt_id": result.payment.data["receipt_id"]})',
            ),
        ),
        plays.a_quiet_day,
        (duties.RECORD_CHANGED,),
    ),
    "cancels without the record": Wrong(
        (("CancelRequest(payment=record_of(sale)", 'CancelRequest(payment=record_of({**dict(sale), "data": None})'),),
        plays.a_quiet_day,
        (duties.RECORD_CHANGED,),
    ),
    "ends a pending sale": Wrong(
        (("    elif status is not PaymentStatus.PENDING:\n", "    else:\n"),),
        plays.without_a_result,
        (duties.PENDING_ENDED,),
    ),
    "acknowledges once": Wrong(
        (after(_RECORDED, "                plugins.on_payment_recorded(record_of(sale))\n"),),
        plays.acknowledgements,
        (duties.NOT_ACKNOWLEDGED_AGAIN,),
    ),
    "reports a closed receipt once": Wrong(
        (
            after(
                _REPORTED, "                plugins.on_receipt_closed(receipt_of(sale, payments=(record_of(sale),)))\n"
            ),
        ),
        plays.acknowledgements,
        (duties.NOT_REPORTED,),
    ),
    "reports a closed receipt without its payments": Wrong(
        (("on_receipt_closed(receipt_of(sale, payments=(record_of(sale),)))", "on_receipt_closed(receipt_of(sale))"),),
        plays.a_quiet_day,
        (duties.NOT_REPORTED,),
    ),
    "annuls an open sale at a start without on_cancel": Wrong(
        (
            (
                "settle()\nprint(json",
                "book.execute(\"UPDATE sale SET state = 'annulled' WHERE state = 'open'\")\nsettle()\nprint(json",
            ),
        ),
        plays.acknowledgements,
        (duties.NO_CANCEL,),
    ),
    "refunds what is forbidden": Wrong(
        (("None if plugins.validate_refund(request) else ", ""),),
        plays.results_of_reversals,
        (duties.NOT_VALIDATED,),
    ),
    "annuls and refunds after REFUSED": Wrong(
        (("    if result is None or result.status is ReversalStatus.REFUSED:\n", "    if result is None:\n"),),
        plays.results_of_reversals,
        (duties.CANCEL_ANYWAY, duties.REFUND_ANYWAY),
    ),
    "repeats a refund with another id": Wrong(
        (('refund_id=sale["refund_id"]', "refund_id=uuid4().hex"),),
        plays.results_of_reversals,
        (duties.REFUND_ID_CHANGED,),
    ),
    "does not repeat a cancel": Wrong(
        (("                reverse(sale)\n", "                pass\n"),),
        plays.results_of_reversals,
        (duties.REVERSAL_NOT_REPEATED,),
    ),
    "prints one copy": Wrong(
        (('range(slip["copies"])', "range(1)"),),
        plays.a_quiet_day,
        (duties.NOT_PRINTED,),
    ),
    "never calls on_ready": Wrong(((_READY, ""),), plays.a_quiet_day, (duties.READY_MISSING,)),
    "calls on_ready again": Wrong(
        (("            till.is_ready = True\n", ""),), plays.a_quiet_day, (duties.READY_TWICE,)
    ),
    "ends at HookFailed": Wrong(
        ((f"    except HookFailed as failure:\n{_FAILURE}", f"    except KeyError as failure:\n{_FAILURE}"),),
        plays.failing_start,
        (duties.FAILED,),
    ),
}


def check(command: tuple[str, ...], wrong: Wrong, chosen: tuple[Play, ...]) -> None:
    report = HostConformance(command, seed=7, plays=chosen).run()

    broken = {failure.breach for failure in report.failures}
    assert broken == set(wrong.breaches), str(report)
    shown = " ".join(str(report).split())
    for breach in wrong.breaches:
        assert f"{breach.duty.value}: {breach.did} {breach.to_do} See docs/host.md" in shown


@pytest.mark.parametrize("name", SEVEN)
def test_one_of_the_seven_fails_for_its_duty_only(host: Callable[..., tuple[str, ...]], name: str) -> None:
    check(host(*SEVEN[name].changes), SEVEN[name], (SEVEN[name].play,))


def test_a_second_mistake_that_the_first_hides_is_missed_and_not_passed(host: Callable[..., tuple[str, ...]]) -> None:
    ends_pending = ("    elif status is not PaymentStatus.PENDING:\n", "    else:\n")
    command = host(*SEVEN["calls on_ready too early"].changes, ends_pending)
    report = HostConformance(command, seed=7, plays=(plays.without_a_result,)).run()

    assert {failure.breach for failure in report.failures} == {duties.READY_EARLY}, str(report)
    assert {report.result_of(duty) for duty in (Duty.PENDING, Duty.REPEAT)} == {"missed"}
    assert report.result_of(Duty.PAID_ONLY) == "passed"  # of sales that were PAID at once


@pytest.mark.parametrize(
    ("change", "details"),
    [
        (("    print_slips(json.loads(sale", "    (json.loads(sale"), {"due after the sale has closed"}),
        (
            ("    print_slips([{", "    ([{"),
            {"due at once after the cancel", "due at once after the refund"},
        ),
    ],
)
def test_slips_that_are_not_printed_are_named_with_when_they_are_due(
    host: Callable[..., tuple[str, ...]], change: Change, details: set[str]
) -> None:
    report = HostConformance(host(change), plays=(plays.a_quiet_day,)).run()

    assert {failure.breach for failure in report.failures} == {duties.NOT_PRINTED}, str(report)
    assert {failure.detail.partition(" copies, ")[2] for failure in report.failures} == details


def test_a_play_that_the_plugin_ends_with_its_refusal_is_reported_with_the_words_for_the_cashier(
    host: Callable[..., tuple[str, ...]],
) -> None:
    changes = (
        ("receipt=receipt_of(sale), qr_code", "receipt=receipt_of(sale, payments=(record_of(sale),)), qr_code"),
        ('    identity = "till-1"', '    identity, language = "till-1", "en"'),
    )
    report = HostConformance(host(*changes), plays=(plays.a_quiet_day,)).run()

    (failure,) = report.failures
    assert failure.breach == duties.NOT_PLAYED
    assert failure.detail.startswith("The amount is more than the receipt still owes")


@pytest.mark.conformance
@pytest.mark.parametrize("name", OTHERS)
def test_each_other_wrong_host_fails_for_its_duty_only(host: Callable[..., tuple[str, ...]], name: str) -> None:
    check(host(*OTHERS[name].changes), OTHERS[name], (OTHERS[name].play,))


@pytest.mark.conformance
@pytest.mark.skipif("PAYME_CONFORMANCE_LONG" not in os.environ, reason="takes minutes: set PAYME_CONFORMANCE_LONG=1")
@pytest.mark.parametrize("name", SEVEN)
def test_in_every_play_one_of_the_seven_fails_for_its_duty_only(
    host: Callable[..., tuple[str, ...]], name: str
) -> None:
    check(host(*SEVEN[name].changes), SEVEN[name], plays.PLAYS)
