"""What the plugin refuses, and that no hook raises but for wrong types."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.till import ScriptedUi, VirtualHost, open_sale, request_for, scan_after
from faults.full_disk import full_disk
from hookspecs import HookFailed, PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.plugin import PaymePlugin
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.served_till import ServedTill
    from hookspecs import PaymentResult

RU = Texts("ru")
JOURNAL = "payme.journal"


def test_a_second_one_from_another_thread_is_refused_too_and_nothing_is_locked_during_a_scan(till: ServedTill) -> None:
    seconds: list[PaymentResult] = []

    def sell_elsewhere() -> None:
        thread = threading.Thread(target=lambda: seconds.append(till.pay(till.code(), payment_id="p2")))
        thread.start()
        thread.join(10)

    first = till.pay(scan_after(sell_elsewhere, till.code()))

    assert first.status is PaymentStatus.PAID
    assert [one.message for one in seconds] == [RU(Text.PAYMENT_BUSY)]
    assert till.pay(till.code(), payment_id="p3").status is PaymentStatus.PAID


def test_after_a_hook_that_was_cut_short_the_next_one_is_served(till: ServedTill) -> None:
    with pytest.raises(KeyboardInterrupt):
        till.pay(KeyboardInterrupt())

    assert till.pay(till.code(), payment_id="p2").status is PaymentStatus.PAID


@pytest.mark.parametrize("request_", [None, "p1", {}, object()])
def test_wrong_types_raise(till: ServedTill, request_: object) -> None:
    plugin = PaymePlugin()

    with pytest.raises(TypeError, match="expected PaymentRequest"):
        plugin.on_payment(request_, ScriptedUi(SystemClock()))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected PaymentRecord"):
        plugin.on_payment_recorded(request_)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected Receipt"):
        plugin.on_receipt_closed(request_)  # type: ignore[arg-type]
    with pytest.raises(HookFailed) as raised:
        till.plugins.on_payment(request_, ScriptedUi(SystemClock()))  # type: ignore[arg-type]
    assert isinstance(raised.value.__cause__, TypeError)


def test_another_tills_journal_is_refused_without_any_request(new_till: Callable[..., ServedTill]) -> None:
    first = new_till("till-1")
    first.pay(first.code())
    first.plugins.on_stop()
    before = len(first.sandbox.requests)
    held = (first.host.folder / FILE_NAME).read_bytes()

    second = new_till(host=VirtualHost(first.host.folder, name="till-2"))
    result = second.pay(second.code(), payment_id="p2")
    second.plugins.on_stop()

    assert result.status is PaymentStatus.REFUSED
    assert second.host.notices[JOURNAL] == RU(Text.NOTICE_JOURNAL_FOREIGN)
    assert second.requests_since(before) == []
    assert (first.host.folder / FILE_NAME).read_bytes() == held


@pytest.mark.parametrize(
    ("place", "notice"),
    [
        ("kernel", Text.NOTICE_JOURNAL_UNWRITABLE),
        ("file", Text.NOTICE_JOURNAL_UNWRITABLE),
        ("damaged", Text.NOTICE_JOURNAL_DAMAGED),
        ("newer", Text.NOTICE_JOURNAL_TOO_NEW),
    ],
)
def test_a_journal_that_can_not_be_used_refuses_the_sale_without_any_request(
    new_till: Callable[..., ServedTill], tmp_path: Path, place: str, notice: Text
) -> None:
    folder = tmp_path / "data"
    if place == "kernel":
        folder = Path("/proc")
    elif place == "file":
        folder.write_text("not a folder")
    elif place == "newer":
        Journal(folder / FILE_NAME, host_identity="till-1", clock=SystemClock()).close()
        with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
            connection.execute("PRAGMA user_version = 9999")
    else:
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(b"damaged " * 500)
    till = new_till(host=VirtualHost(folder))
    before = len(till.sandbox.requests)
    ui = ScriptedUi(SystemClock(), [till.code()])

    result = till.pay(ui=ui)

    assert result.status is PaymentStatus.REFUSED
    assert result.message == RU(Text.PAYMENT_JOURNAL_UNWRITABLE)
    assert (till.requests_since(before), ui.prompts) == ([], [])
    assert till.host.notices[JOURNAL] == RU(notice)


def test_a_disk_that_is_full_at_the_start_and_has_room_later_is_used_later(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(starts=False)
    with full_disk():
        till.plugins.on_start(till.host)
        refused = till.pay(till.code())

    paid = till.pay(till.code())

    assert (refused.status, paid.status) == (PaymentStatus.REFUSED, PaymentStatus.PAID)
    assert JOURNAL not in till.host.notices


def test_before_the_start_and_after_the_stop_nothing_is_ours() -> None:
    plugin = PaymePlugin()

    assert plugin.payment_types() == []
    assert plugin.on_payment(request_for(), ScriptedUi(SystemClock())) is None
    plugin.on_receipt_closed(open_sale())
    plugin.on_stop()
    plugin.on_stop()
