"""An exception or invalid answer of ``Ui`` or ``Host`` is logged, and the safe default is used."""

from __future__ import annotations

import html
import json
import logging
from typing import TYPE_CHECKING, cast

import pytest

from fakes.paymego import Passage
from fakes.till import VirtualHost
from hookspecs import Host, PaymentStatus, QueueMessage
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.sandbox import BuyerAction
from payme_plugin.secret import Secret, foreign_fault, remember

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World

MESSAGE = QueueMessage(message_id="m", kind="payme.cancel", body="{}", created_at=0)


class OddHost:
    """A host whose every part gives the same answer, or raises it."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> object:
        return self._give() if name in {"identity", "language", "slip_width"} else lambda *_: self._give()

    def _give(self) -> object:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def guarded(answer: object) -> GuardedHost:
    return GuardedHost(cast("Host", OddHost(answer)))


# ---------------------------------------------------------------------------------------------------------------------
# The cashier's Ui
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scanned", [RuntimeError("12345678"), RecursionError(), b"12345678", 12345678, object(), True])
def test_a_scan_that_raises_or_is_not_a_text_counts_as_none(
    world: World, caplog: pytest.LogCaptureFixture, scanned: object
) -> None:
    outcome = world.pay(scanned)

    assert (outcome.status, world.paymego.count("receipts.pay")) == (PaymentStatus.ABORTED, 0)
    how = "raised" if isinstance(scanned, Exception) else "returned"
    assert f"Ui.scan {how} {type(scanned).__name__}" in caplog.text
    assert "12345678" not in caplog.text


def test_progress_that_raises_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))
    ui.on_progress = lambda _: ValueError("no screen")

    assert world.pay(ui=ui).status is PaymentStatus.PAID
    assert "Ui.progress raised ValueError: no screen (at ValueError < till.py:" in caplog.text


@pytest.mark.parametrize("spelled", ["{0}/{0}", "'{0}'", "\n{0}\n"])
@pytest.mark.parametrize("code", ["0012345", "A&B\"C'\\D<E>"])
def test_a_scanned_code_is_in_no_log_whatever_the_host_raises_later(
    world: World, caplog: pytest.LogCaptureFixture, code: str, spelled: str
) -> None:
    world.set(codePattern=".+")
    ui = world.cashier(code)
    ui.on_progress = lambda _: ValueError(spelled.format(code), code, html.escape(code), json.dumps(code))
    world.paymego.passage = lambda _: Passage(back_s=2)

    world.pay(ui=ui)

    assert "Ui.progress raised ValueError" in caplog.text
    for form in (code, html.escape(code), json.dumps(code)[1:-1], repr(code)[1:-1]):
        assert form not in caplog.text


# ---------------------------------------------------------------------------------------------------------------------
# Its exceptions
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["posKey=canary&Key", "{'posKey': 'canary&Key', 'posId': 'x'}", "POSKEY: \n canary&Key", "no canary&Key here"],
)
def test_the_key_is_in_no_text_of_an_exception_of_the_host(text: str) -> None:
    if "posKey" not in text:
        remember(Secret("canary&Key"))

    assert "canary" not in foreign_fault(KeyError(text))


def test_the_text_of_an_exception_is_one_short_line_and_its_class_if_it_has_none() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    shown = foreign_fault(ValueError("a\nb\x1b[31m" + "c" * 10_000))

    assert shown.startswith("ValueError: a b [31mccc")
    assert (shown.isprintable(), len(shown) < 400) == (True, True)
    assert "Silent: <" in foreign_fault(Silent())


# ---------------------------------------------------------------------------------------------------------------------
# The host
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [ValueError("out of paper"), None, 0, -1, 3.5, [], b"ru", ""])
def test_a_host_that_raises_or_answers_nonsense_counts_as_one_that_knows_and_takes_nothing(answer: object) -> None:
    host = guarded(answer)

    assert (host.is_recorded("p1"), host.enqueue(MESSAGE)) == (None, False)
    assert (host.slip_width(32), host.language("ru")) == (32, "ru")


@pytest.mark.parametrize("answer", [True, False, None])
def test_a_valid_answer_is_taken_but_true_is_not_a_width(answer: bool | None) -> None:
    host = guarded(answer)

    assert (host.is_recorded("p1"), host.enqueue(MESSAGE), host.slip_width(32)) == (answer, answer is True, 32)


def test_whatever_the_host_raises_is_logged_with_its_words_and_its_place(caplog: pytest.LogCaptureFixture) -> None:
    host = guarded(ValueError("out of paper"))

    host.is_recorded("p1"), host.enqueue(MESSAGE), host.slip_width(32), host.language("ru")
    host.notice("payme.x", "text")

    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 5
    assert all("ValueError: out of paper (at ValueError < " in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("answer", [ValueError("out of paper"), None, b"/tmp", "", 7])
def test_a_folder_and_a_name_that_the_host_does_not_give_are_faults_that_name_the_method(answer: object) -> None:
    what = "raised ValueError: out of paper" if isinstance(answer, Exception) else ""

    with pytest.raises(Unavailable, match=rf"Host\.data_dir.*{what}"):
        guarded(answer).data_dir()
    with pytest.raises(Unavailable, match=rf"Host\.identity.*{what}"):
        guarded(answer).identity()


def test_a_folder_may_be_a_text_or_a_path(tmp_path: Path) -> None:
    assert [guarded(folder).data_dir() for folder in (tmp_path, str(tmp_path))] == [tmp_path, tmp_path]


def test_a_notice_is_shown_once_and_withdrawn_once(tmp_path: Path) -> None:
    till = VirtualHost(tmp_path)
    host = GuardedHost(till)

    for text in ("one", "one", "two", None, None, "two"):
        host.notice("payme.x", text)

    assert till.notice_log == [("payme.x", "one"), ("payme.x", "two"), ("payme.x", None), ("payme.x", "two")]
