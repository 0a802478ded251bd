"""A run over real HTTP in its own thread delays neither a sale nor the stop, and the shift report waits for nothing."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING

import pytest

from fakes.fixtures import new_till, running, sandbox
from fakes.till import VirtualHost
from fakes.waiting import comes_true
from hookspecs import PaymentStatus, Shift
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import FaultKind, InjectedFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.served_till import ServedTill
    from payme_plugin.reconciler import Reconciler

__all__ = ["new_till", "running", "sandbox"]

pytestmark = pytest.mark.floor

SHIFT = Shift(number=1, opened_at=0, closed_at=1)


@pytest.fixture
def till(new_till: Callable[..., ServedTill], monkeypatch: pytest.MonkeyPatch) -> ServedTill:
    made: list[PaymePlugin] = []

    def keep(self: PaymePlugin) -> None:
        made.append(self)
        usual(self)

    usual = PaymePlugin.__init__
    monkeypatch.setattr(PaymePlugin, "__init__", keep)
    till = new_till(timeout=30)
    till.reconciler = reconciler_of(made[0])  # type: ignore[attr-defined]
    return till


def reconciler_of(plugin: PaymePlugin) -> Reconciler:
    assert plugin._dispatcher is not None
    return plugin._dispatcher._service.background.reconciler


def run(till: ServedTill) -> None:
    till.reconciler.start_run()  # type: ignore[attr-defined]


def texts(till: ServedTill) -> list[str]:
    return till.plugins.on_shift_closed(SHIFT)


def test_a_run_ends_with_a_text_for_the_shift_report(till: ServedTill) -> None:
    till.acknowledge(till.pay(till.code()))
    changed_at = till.row().updated_at
    assert texts(till) == []
    assert comes_true(lambda: SystemClock().wall_ms() > changed_at)
    run(till)
    assert comes_true(lambda: len(texts(till)) == 1)
    assert "15 000.00\nСошлось чеков: 1\n" in texts(till)[0]


def test_while_payme_does_not_answer_a_sale_goes_on_and_the_stop_ends_the_run(till: ServedTill) -> None:
    till.sandbox.inject(InjectedFault(FaultKind.SILENT, method="receipts.get_all"))
    before = len(till.sandbox.requests)
    run(till)
    assert comes_true(lambda: "get_all" in till.requests_since(before))

    assert till.pay(till.code()).status is PaymentStatus.PAID
    began_at = time.monotonic()
    till.plugins.on_stop()
    assert time.monotonic() - began_at < 2.5
    assert not till.reconciler._thread.is_alive()  # type: ignore[attr-defined]


def test_the_stop_waits_for_a_host_that_is_listing_its_sales(till: ServedTill, monkeypatch: pytest.MonkeyPatch) -> None:
    is_asked = Event()

    def sales(*_: object) -> None:
        is_asked.set()
        time.sleep(0.3)

    monkeypatch.setattr(VirtualHost, "sales", sales)
    run(till)
    assert is_asked.wait(10)
    till.plugins.on_stop()
    assert not till.reconciler._thread.is_alive()  # type: ignore[attr-defined]


def test_the_shift_report_does_not_wait_for_a_locked_journal(till: ServedTill) -> None:
    run(till)
    assert comes_true(lambda: len(texts(till)) == 1)
    path = till.host.folder / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        began_at = time.monotonic()
        assert len(texts(till)) == 1
        assert time.monotonic() - began_at < 0.5
