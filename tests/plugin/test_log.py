"""A log that the host can't write: no hook raises, and no result changes."""

from __future__ import annotations

import logging
import threading
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING

import pytest

from fakes.till import ScriptedUi, open_sale
from hookspecs import CancelRequest, PaymentStatus, QueueMessage, QueueVerdict, ReversalStatus
from payme_plugin.clock import SystemClock
from payme_plugin.locale import load_catalogue
from payme_plugin.sandbox import BuyerAction
from payme_plugin.texts import LANGUAGES, NO_TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.served_till import ServedTill


@pytest.fixture
def lost_log(tmp_path: Path) -> Iterator[None]:
    """A log as ``docs/host.md`` sets it up, whose folder was taken away: its handler raises at every line."""
    folder = tmp_path / "logs"
    folder.mkdir()
    handler = WatchedFileHandler(folder / "terminal.log")
    loggers = [logging.getLogger(name) for name in ("payme", "pos")]
    levels = [each.level for each in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    (folder / "terminal.log").unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        loggers[0].info("a line")
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)
    handler.close()


@pytest.mark.usefixtures("lost_log")
def test_every_hook_answers_as_ever_where_the_log_can_not_be_written(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(payDuration=5000)
    held = till.sandbox.held()
    plugins = till.plugins
    odd = QueueMessage(message_id="m1", kind="payme.cancel", body="no JSON", created_at=1)

    refused = till.pay(till.code(BuyerAction.LACKS_FUNDS), payment_id="p1")
    paid = till.pay(till.code(), payment_id="p2")
    assert paid.payment is not None
    sale = open_sale(payments=(paid.payment,))
    back = plugins.on_cancel(CancelRequest(payment=paid.payment, receipt=sale, reason=""), ScriptedUi(SystemClock()))
    plugins.on_receipt_closed(open_sale(payments=(paid.payment,), closed_at=1))
    answer = plugins.on_queue_message(odd)
    plugins.on_stop()

    assert (refused.status, paid.status) == (PaymentStatus.REFUSED, PaymentStatus.PAID)
    assert back is not None
    assert back.status is ReversalStatus.REVERSED
    assert answer is QueueVerdict.DROP
    assert till.sandbox.held() == held
    assert plugins.faults == ()


def join_warm_up() -> None:
    """Wait for the threads that prepare a till after its start."""
    for thread in threading.enumerate():
        if thread.name == "payme-warm-up":
            thread.join(60)


def test_a_catalogue_that_cant_be_read_is_in_the_log_at_the_start(
    new_till: Callable[..., ServedTill],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    join_warm_up()  # that of an earlier test
    monkeypatch.setattr("importlib.resources.files", lambda _package: tmp_path / "an installation without its data")
    load_catalogue.cache_clear()
    try:
        till = new_till()
        paid = till.pay(till.code())
        join_warm_up()
    finally:
        load_catalogue.cache_clear()

    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [language for language in LANGUAGES for text in errors if f"/locale/{language}/" in text] == list(LANGUAGES)
    assert (paid.status, paid.message) == (PaymentStatus.PAID, NO_TEXTS)
