"""A ``Ui`` or a ``Host`` that raises or answers nonsense: logged with its words, and taken as the safe answer."""

from __future__ import annotations

import html
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from fakes.paymego import Passage
from fakes.till import VirtualHost
from hookspecs import PaymentStatus, QueueMessage
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.sandbox import BuyerAction
from payme_plugin.secret import Secret, foreign_fault, remember
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World

MESSAGE = QueueMessage(message_id="m", kind="payme.cancel", body="{}", created_at=0)


@pytest.mark.parametrize("fault", [RuntimeError("12345678"), KeyError("x"), OSError(5, "no"), RecursionError()])
def test_a_scan_that_raises_is_no_scan(world: World, caplog: pytest.LogCaptureFixture, fault: Exception) -> None:
    result = world.pay(fault)

    assert result.status is PaymentStatus.ABORTED
    assert world.paymego.count("receipts.pay") == 0
    assert f"Ui.scan raised {type(fault).__name__}" in caplog.text
    assert "12345678" not in caplog.text


@pytest.mark.parametrize("scanned", [b"12345678901234567890", 12345678901234567890, ["1"], object(), 1.5, True])
def test_a_scan_that_is_no_text_is_no_scan(world: World, caplog: pytest.LogCaptureFixture, scanned: object) -> None:
    result = world.pay(scanned)

    assert result.status is PaymentStatus.ABORTED
    assert world.paymego.count("receipts.pay") == 0
    assert f"Ui.scan returned {type(scanned).__name__}" in caplog.text
    assert "1234567890" not in caplog.text


@pytest.mark.parametrize(
    "scanned", ["\ud800" * 20, "\x00" * 20, "1" * 1_000_000, "🂡" * 50, "\u202e123456", "]Q1" * 1_000_000]
)
def test_a_hostile_scan_is_implausible(world: World, scanned: str) -> None:
    ui = world.cashier(scanned, world.paymego.code())

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.PAID
    foreign = {"\ud800": "U+D800", "🂡": "🂡", "\u202e": "U+202E", "]": "]"}.get(scanned[0])
    text = Text.SCAN_IMPLAUSIBLE if foreign is None else Text.SCAN_FOREIGN_CHARACTER
    assert ui.prompts[1].startswith(world.text(text, character=foreign))


def test_a_hostile_scan_that_the_pattern_lets_through_harms_nothing(world: World) -> None:
    world.set(codePattern=".+")

    result = world.pay("\ud800\x00\u202e", "🂡", None)

    assert result.status is PaymentStatus.ABORTED
    assert world.paymego.count("receipts.pay") == 2


def test_progress_that_raises_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))
    ui.hand = lambda _: ValueError("no screen")

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.PAID
    assert "Ui.progress raised ValueError: no screen (at ValueError < till.py:" in caplog.text


@pytest.mark.parametrize("spelled", ["{0}", "{0}/{0}", "'{0}'", "\n{0}\n", "scanned: {0}"])
@pytest.mark.parametrize("code", ["12345678901234567890", "0012345", "A&B\"C'\\D<E>"])
def test_a_scanned_code_is_in_no_log_whatever_the_host_raises_later(
    world: World, caplog: pytest.LogCaptureFixture, code: str, spelled: str
) -> None:
    world.set(codePattern=".+")
    ui = world.cashier(code)
    ui.hand = lambda _: ValueError(spelled.format(code), code, html.escape(code), json.dumps(code))
    world.paymego.passage = lambda _: Passage(back_s=2)

    world.pay(ui=ui)

    assert "Ui.progress raised ValueError" in caplog.text
    for form in (code, html.escape(code), json.dumps(code)[1:-1], repr(code)[1:-1]):
        assert form not in caplog.text


@pytest.mark.parametrize(
    "text",
    ["posKey=canary&Key", "{'posKey': 'canary&Key', 'posId': 'x'}", "POSKEY: \n canary&Key", "no canary&Key here"],
)
def test_the_key_is_in_no_text_of_an_exception_of_the_host(text: str) -> None:
    if "posKey" not in text:
        remember(Secret("canary&Key"))

    assert "canary" not in foreign_fault(KeyError(text))


def test_an_exception_whose_text_can_not_be_made_is_logged_by_its_class() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Silent: <" in foreign_fault(Silent())


def test_the_text_of_an_exception_is_one_short_line() -> None:
    told = foreign_fault(ValueError("a\nb\x1b[31m" + "c" * 10_000))

    assert told.startswith("ValueError: a b [31mccc")
    assert told.isprintable()
    assert len(told) < 400


class RaisingHost(VirtualHost):
    """A till whose every part is broken."""

    @property
    def identity(self) -> str:
        raise ValueError("out of paper")

    def data_dir(self, plugin: str) -> Path:
        raise ValueError("out of paper")

    @property
    def language(self) -> str:
        raise ValueError("out of paper")

    @property
    def slip_width(self) -> int:
        raise ValueError("out of paper")

    def is_recorded(self, payment_id: str) -> bool | None:
        raise ValueError("out of paper")

    def enqueue(self, message: QueueMessage) -> bool:
        raise ValueError("out of paper")

    def notice(self, key: str, text: str | None) -> None:
        raise ValueError("out of paper")


def test_a_host_that_raises_counts_as_one_that_knows_and_takes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = GuardedHost(RaisingHost(tmp_path))

    assert host.is_recorded("p1") is None
    assert host.enqueue(MESSAGE) is False
    assert (host.slip_width(32), host.language("ru")) == (32, "ru")
    host.notice("payme.x", "text")
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 5
    assert all("ValueError: out of paper (at ValueError < " in record.getMessage() for record in caplog.records)


def test_a_folder_and_a_name_that_the_host_can_not_give_are_faults_that_name_the_method(tmp_path: Path) -> None:
    host = GuardedHost(RaisingHost(tmp_path))

    with pytest.raises(Unavailable, match=r"Host\.data_dir raised ValueError: out of paper"):
        host.data_dir()
    with pytest.raises(Unavailable, match=r"Host\.identity raised ValueError: out of paper"):
        host.identity()


class OddHost(VirtualHost):
    """A till whose folder and name are what a test says."""

    answer: Any = None

    @property
    def identity(self) -> str:
        return self.answer  # type: ignore[no-any-return]

    def data_dir(self, plugin: str) -> Path:
        return self.answer  # type: ignore[no-any-return]


def test_a_folder_may_be_a_text_or_a_path(tmp_path: Path) -> None:
    till = OddHost(tmp_path)
    for folder in (tmp_path, str(tmp_path)):
        till.answer = folder
        assert GuardedHost(till).data_dir() == tmp_path


@pytest.mark.parametrize("given", [None, b"/tmp", "", 7, object()])
def test_a_folder_or_name_of_another_type_is_a_fault_that_names_the_method(tmp_path: Path, given: object) -> None:
    till = OddHost(tmp_path)
    till.answer = given

    with pytest.raises(Unavailable, match=r"Host\.data_dir"):
        GuardedHost(till).data_dir()
    with pytest.raises(Unavailable, match=r"Host\.identity"):
        GuardedHost(till).identity()


def test_a_host_without_a_name_is_a_fault_that_names_it(tmp_path: Path) -> None:
    class Nameless:
        def data_dir(self, plugin: str) -> str:
            return str(tmp_path)

    host = GuardedHost(Nameless())  # type: ignore[arg-type]

    assert host.data_dir() == tmp_path
    with pytest.raises(Unavailable, match=r"Host\.identity raised AttributeError"):
        host.identity()


@pytest.mark.parametrize("answer", [1, 0, "yes", [], object()])
def test_an_answer_that_is_no_bool_says_nothing(tmp_path: Path, answer: object) -> None:
    till = VirtualHost(tmp_path)
    till.recorded["p1"] = answer  # type: ignore[assignment]
    till.takes_messages = answer  # type: ignore[assignment]

    assert GuardedHost(till).is_recorded("p1") is None
    assert GuardedHost(till).enqueue(MESSAGE) is False


@pytest.mark.parametrize("answer", [True, False, None])
def test_a_plain_answer_passes(tmp_path: Path, answer: bool | None) -> None:
    till = VirtualHost(tmp_path)
    till.recorded["p1"] = answer

    assert GuardedHost(till).is_recorded("p1") is answer


@pytest.mark.parametrize("width", [0, -1, True, "32", 3.5, None])
def test_a_width_that_is_no_positive_integer_is_the_default(tmp_path: Path, width: object) -> None:
    till = VirtualHost(tmp_path)
    till.width = width  # type: ignore[assignment]

    assert GuardedHost(till).slip_width(32) == 32


@pytest.mark.parametrize("language", ["", None, 7, b"ru"])
def test_a_language_that_is_no_text_is_the_default(tmp_path: Path, language: object) -> None:
    till = VirtualHost(tmp_path)
    till.tongue = language  # type: ignore[assignment]

    assert GuardedHost(till).language("ru") == "ru"


def test_a_notice_is_shown_once_and_withdrawn_once(tmp_path: Path) -> None:
    till = VirtualHost(tmp_path)
    host = GuardedHost(till)

    for text in ("one", "one", "two", None, None, "two"):
        host.notice("payme.x", text)

    assert till.notice_log == [("payme.x", "one"), ("payme.x", "two"), ("payme.x", None), ("payme.x", "two")]
