"""Where the journal of requests goes: into the main log of an Artix till where that is there."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fakes.waiting import comes_true
from payme_plugin.cli import files, status
from payme_plugin.sandbox import Behaviour, BuyerAction
from payme_plugin.till import reference_identity
from tests.command.conftest import KEY, environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Shop

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?:DEBUG|INFO |WARN |ERROR|FATAL) payme  - (.*)")


@pytest.fixture
def main_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the till's main log, where nothing is yet."""
    path = tmp_path / "current" / "terminal.log"
    path.parent.mkdir()
    monkeypatch.setattr(files, "MAIN_LOG", path)
    return path


def told(path: Path) -> list[str]:
    """The events of a log; each line has the layout of the main log."""
    lines = [LINE.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [found.group(1) if found else "no event" for found in lines]


def test_every_request_and_answer_of_a_payment_is_in_the_main_log(shop: Shop, main_log: Path) -> None:
    main_log.write_text("2026-01-31 12:34:56,789 INFO  payme  - of the till\n", encoding="utf-8")
    code = shop.sandbox.issue_code()
    shop.pay(code, "--payment-id", "p1")

    (receipt,) = shop.sandbox.receipts()
    events = [re.sub(r"\d+ ms", "N ms", event) for event in told(main_log) if not event.startswith("settings: ")]
    assert events == [
        "of the till",
        "request receipts.create",
        f"answer receipts.create receipt={receipt.receipt_id} state=0 N ms",
        f"request receipts.pay receipt={receipt.receipt_id}",
        f"answer receipts.pay receipt={receipt.receipt_id} state=4 N ms",
        f"on_payment p1: PAID, receipt {receipt.receipt_id}, error -, cancellation none, N ms",
    ]
    assert not (shop.folder / "terminal.log").exists()
    text = main_log.read_text(encoding="utf-8")
    assert code not in text
    assert KEY not in text


def test_without_a_main_log_it_is_the_data_folders(shop: Shop, main_log: Path) -> None:
    shop.pay(shop.sandbox.issue_code())

    assert "request receipts.create" in told(shop.folder / "terminal.log")
    assert not main_log.exists()


@pytest.mark.parametrize("till", [None, "artix-shop-7"], ids=["its own journal", "another till's journal"])
def test_what_is_delivered_is_in_the_main_log(shop: Shop, main_log: Path, till: str | None) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "p1")
    if till is not None:
        shop.give_journal_to(till)
        (shop.folder / "terminal.log").unlink()
    main_log.touch()
    shop.run("queue", "deliver", "--until-empty")

    (receipt,) = shop.sandbox.receipts()
    assert f"request receipts.cancel receipt={receipt.receipt_id}" in told(main_log)
    assert "cancellation 1 of payment p1: Payme says cancelled (50)" in told(main_log)


def test_the_worker_delivers_into_the_main_log_and_follows_it_into_the_next_shift(shop: Shop, main_log: Path) -> None:
    def owe() -> None:
        shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)))

    main_log.touch()
    owe()
    shop.give_journal_to("artix-shop-7")
    script = (
        "import sys; from pathlib import Path; from payme_plugin.cli import files, main;"
        " files.MAIN_LOG = Path(sys.argv.pop(1)); main(prog_name='payme')"
    )
    arguments = [sys.executable, "-c", script, str(main_log), *shop.options, "worker"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:  # noqa: S603
        try:
            assert comes_true(lambda: "cancellation 1 of payment" in main_log.read_text(encoding="utf-8"), 20)
            main_log.rename(main_log.with_name("shift-1.log"))
            main_log.touch()
            shop.give_journal_to(reference_identity())
            owe()
            assert comes_true(lambda: "cancellation 2 of payment" in main_log.read_text(encoding="utf-8"), 20)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()

    assert (process.returncode, err) == (0, b"")
    assert not (shop.folder / "terminal.log").exists()


@pytest.mark.parametrize("command", [["reconcile", "--from", "2026-01-31", "--to", "2026-01-31"]])
def test_what_is_only_asked_is_logged_where_there_is_a_log_and_makes_none(
    shop: Shop, main_log: Path, command: list[str]
) -> None:
    shop.folder.mkdir()
    shop.run(*command)
    assert list(shop.folder.iterdir()) == []
    main_log.touch()
    shop.run(*command)

    assert "request receipts.get_all" in told(main_log)


def test_an_unforeseen_fault_names_the_main_log(shop: Shop, main_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> object:
        raise ZeroDivisionError(folder)

    main_log.touch()
    monkeypatch.setattr(status, "read_journal", broken)
    shop.folder.mkdir()
    (sentence,) = shop.run("status").sentences

    assert sentence.endswith(f"Details are in {main_log}.")
    (event,) = told(main_log)
    assert event.startswith("the command failed")
