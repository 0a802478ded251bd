"""A journal whose file is damaged: what can't be made durable is not cancelled, and the notice names the repair.

Nothing is sent before it is durable (docs/architecture.md, guarantee 1). Refunds go on after ``payme journal repair``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import HookedWorld, Sold
from fakes.till import TENDER, ScriptedUi, open_sale
from hookspecs import CancelRequest, HookFailed, ReversalStatus
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.repair import repair
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.served_till import ServedTill
    from payme_plugin.sandbox import Sandbox


def test_nothing_is_cancelled_until_it_is_repaired_and_then_a_refund_goes_on_from_the_tills_record(
    new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    till, ui = new_till(), ScriptedUi(SystemClock())
    record = till.acknowledge(till.pay(till.code()))
    sold = Sold(record, open_sale(payments=(record,), closed_at=1))
    till.plugins.on_receipt_closed(sold.receipt)
    till.plugins.on_stop()
    for name in ("-wal", "-shm"):
        (till.host.folder / (FILE_NAME + name)).unlink(missing_ok=True)
    (till.host.folder / FILE_NAME).write_bytes(b"no journal" * 1000)
    till.plugins.on_start(till.host)
    sent, refund = len(sandbox.requests), HookedWorld.refund_of(sold)
    lost = replace(record, data={})

    assert till.plugins.validate_refund(refund) == [], "what only the journal knows is not told"
    assert [each.rule for each in till.plugins.validate_refund(replace(refund, amount=5))] == ["partial-refund"]
    with pytest.raises(HookFailed):
        till.plugins.on_full_refund(refund, ui)
    for payment in (record, lost):
        with pytest.raises(HookFailed):
            till.plugins.on_cancel(CancelRequest(payment=payment, receipt=open_sale()), ui)
    of_another_tender = replace(lost, payment_type=TENDER + 1)
    assert till.plugins.on_cancel(CancelRequest(payment=of_another_tender, receipt=open_sale()), ui) is None
    till.plugins.on_stop()
    assert till.host.notices["payme.journal"] == Texts("ru")(Text.NOTICE_JOURNAL_DAMAGED)
    assert "cancel" not in till.requests_since(sent)

    assert repair(till.host.folder / FILE_NAME, till.host.identity, "1") is not None
    till.plugins.on_start(till.host)
    result = till.plugins.on_full_refund(refund, ui)
    assert result is not None
    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
