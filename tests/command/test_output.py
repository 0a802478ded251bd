"""What is written to stdout, stderr and the log. An output that fails does not change the exit code."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from payme_plugin.cli import files, status
from payme_plugin.cli.output import echo_document, echo_documents, style
from payme_plugin.sandbox import CancelPlan, FaultKind, InjectedFault
from payme_plugin.till import reference_identity
from tests.command.conftest import KEY, LACKING, OTHER_TILL, payme, payme_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command.conftest import CommandTill

pytestmark = pytest.mark.floor

BAD_ID = "p\x1b[31m\n\u202ex"
ESCAPED_ID = "p\\x1b[31m\\n\\u202ex"
FINAL = "The outcome is final and the exit code tells it"


@contextmanager
def full_disk() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def closed_pipe() -> Iterator[int]:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


# ---------------------------------------------------------------------------------------------------------------------
# An output that can't be written
# ---------------------------------------------------------------------------------------------------------------------


def test_a_final_outcome_keeps_its_exit_code_if_it_can_not_be_printed(shop: CommandTill) -> None:
    for payment_id in ("p1", "p2"):
        shop.pay(shop.sandbox.issue_code(), "--payment-id", payment_id)
    shop.sandbox.plan_cancel(shop.sandbox.receipts()[1].receipt_id, CancelPlan(refused_with=-31800))
    with full_disk() as full, closed_pipe() as closed:
        for output, code, words in (
            (full, 0, ("pay", "--amount", "1", "--payment-id", "p3", "--qr", shop.sandbox.issue_code())),
            (closed, 0, ("--json", "pay", "--amount", "1", "--payment-id", "p4", "--qr", shop.sandbox.issue_code())),
            (closed, 1, ("pay", "--amount", "1", "--qr", shop.sandbox.issue_code(LACKING))),
            (closed, 0, ("cancel", "p1")),
            (full, 3, ("--json", "refund", "p2")),
            (full, 3, ("queue", "deliver")),
            (full, 0, ("settings", "set", "slipCopies=1")),
        ):
            ended = payme_process(*shop.options, *words, stdout=output)
            assert (ended.code, FINAL in ended.err) == (code, True), words
    assert "slipCopies = 1" in shop.conf.read_text(encoding="utf-8")
    assert [shop.payment(paid)["status"] for paid in ("p3", "p4")] == ["PAID", "PAID"]


def test_a_list_that_can_not_be_printed_ends_with_70_and_for_a_reader_that_has_gone_with_141(shop: CommandTill) -> None:
    shop.folder.mkdir()
    with full_disk() as full, closed_pipe() as closed:
        on_full_disk, into_closed_pipe = (
            payme_process(*shop.options, "status", stdout=output) for output in (full, closed)
        )

    reason = "The output can't be written: No space left on device."
    assert (on_full_disk.code, on_full_disk.sentences) == (70, [reason])
    assert (into_closed_pipe.code, into_closed_pipe.err) == (141, "")


def test_a_stderr_that_can_not_be_written_changes_nothing(shop: CommandTill) -> None:
    code = shop.sandbox.issue_code()
    with full_disk() as full:
        paid = payme_process(*shop.options, "pay", "--amount", "1", scanned=f"{code}\n", stderr=full)

    assert (paid.code, "PAID" in paid.out) == (0, True)


def test_a_network_fault_is_not_taken_for_a_closed_output(shop: CommandTill) -> None:
    shop.sandbox.inject(InjectedFault(FaultKind.ANSWER_LOST, method="receipts.get_all"))
    shop.folder.mkdir()

    assert shop.run("reconcile", "--from", "2026-01-31", "--to", "2026-01-31").code == 1


# ---------------------------------------------------------------------------------------------------------------------
# Text from outside, and terminals that lack letters or colours
# ---------------------------------------------------------------------------------------------------------------------


def test_names_from_outside_reach_the_terminal_escaped(shop: CommandTill) -> None:
    shop.owe()
    for table in ("payment", "event", "cancellation"):
        shop.change_journal(f"UPDATE {table} SET payment_id = ?", BAD_ID)  # noqa: S608 - a table's name of our own
    adding = ["queue", "add", BAD_ID, "--reason", "x"]

    for command in (["status"], ["status", BAD_ID], ["queue", "list"], ["queue", "show", "1"], adding):
        ended = shop.run(*command)
        assert ESCAPED_ID in ended.out + ended.err, command
        assert not re.search("[\x1b\u202e]", ended.out + ended.err), command
    for command in (["status", f"no{BAD_ID}"], ["status", "--data-dir", f"/nowhere/{BAD_ID}"], [BAD_ID]):
        (sentence,) = payme(*command).sentences
        assert ESCAPED_ID in sentence
    listed = shop.run("--json", "status")
    assert (listed.document[0]["payment_id"], "\u202e" in listed.out) == (BAD_ID, False)


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_and_a_dumb_terminal_get_no_escape_sequence(
    monkeypatch: pytest.MonkeyPatch, plain: dict[str, str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert style("fault\x1b", fg="red") == "\x1b[31mfault\\x1b\x1b[0m"
    for name, value in plain.items():
        monkeypatch.setenv(name, value)
    assert style("fault", fg="red") == "fault"


def test_letters_that_a_terminal_lacks_do_not_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    ended = payme_process("status", "Карл", "--data-dir", str(tmp_path))

    assert (ended.code, ended.err.startswith("payme: There is no payment ")) == (1, True)


# ---------------------------------------------------------------------------------------------------------------------
# The log
# ---------------------------------------------------------------------------------------------------------------------

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?:DEBUG|INFO |WARN |ERROR|FATAL) payme  - (.*)")
RECONCILE = ("reconcile", "--from", "2026-01-31", "--to", "2026-01-31")


@pytest.fixture
def main_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the till's main log, where nothing is yet."""
    path = tmp_path / "current" / "terminal.log"
    path.parent.mkdir()
    monkeypatch.setattr(files, "MAIN_LOG", path)
    return path


def events(path: Path) -> list[str]:
    """The events of a log; each line has the layout of the main log."""
    lines = [LINE.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [found.group(1) if found else "no event" for found in lines]


def test_every_request_and_answer_of_a_payment_is_in_the_main_log(shop: CommandTill, main_log: Path) -> None:
    main_log.write_text("2026-01-31 12:34:56,789 INFO  payme  - of the till\n", encoding="utf-8")
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")

    (receipt,) = shop.sandbox.receipts()
    before, *logged = [re.sub(r" \d+ ms$", "", event) for event in events(main_log) if "settings: " not in event]
    assert before == "of the till"
    assert logged == [
        "request receipts.create",
        f"answer receipts.create receipt={receipt.receipt_id} state=0",
        f"request receipts.pay receipt={receipt.receipt_id}",
        f"answer receipts.pay receipt={receipt.receipt_id} state=4",
        f"on_payment p1: PAID, receipt {receipt.receipt_id}, error -, cancellation none,",
    ]
    assert not (shop.folder / "terminal.log").exists()


def test_without_a_main_log_it_is_the_data_folders_and_no_secret_is_anywhere(shop: CommandTill, main_log: Path) -> None:
    code = shop.sandbox.issue_code()
    paid = shop.pay(code)

    assert "request receipts.create" in events(shop.folder / "terminal.log")
    assert not main_log.exists()
    for secret in (code, KEY):
        assert secret not in paid.out + paid.err
        assert secret.encode() not in b"".join(shop.files().values())


@pytest.mark.parametrize("till", [reference_identity(), OTHER_TILL], ids=["its own journal", "another till's journal"])
def test_what_is_delivered_is_in_the_main_log(shop: CommandTill, main_log: Path, till: str) -> None:
    receipt_id = shop.owe()
    shop.give_journal_to(till)
    main_log.touch()
    shop.run("queue", "deliver", "--until-empty")

    assert f"request receipts.cancel receipt={receipt_id}" in events(main_log)
    assert "cancellation 1 of payment p1: Payme says cancelled (50)" in events(main_log)


def test_a_read_only_command_is_logged_if_there_is_a_log_and_creates_none(shop: CommandTill, main_log: Path) -> None:
    shop.folder.mkdir()
    shop.run(*RECONCILE)
    assert shop.files() == {}
    main_log.touch()
    shop.run(*RECONCILE)

    assert "request receipts.get_all" in events(main_log)


def test_an_internal_error_is_one_sentence_and_its_details_are_in_the_log_if_there_may_be_one(
    shop: CommandTill, main_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> object:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(status, "read_journal", broken)
    shop.folder.mkdir()
    own = shop.run("status")
    main_log.touch()
    into_main = shop.run("status")

    logs = (shop.folder / "terminal.log", main_log)
    for ended, log in zip((own, into_main), logs, strict=True):
        (sentence,) = ended.sentences
        assert (ended.code, "secret" in sentence) == (70, False)
        assert sentence.startswith("Internal error (ZeroDivisionError in broken).")
        assert sentence.endswith(f"Details are in {log}.")
        (event,) = events(log)
        assert event.startswith("the command failed")
        assert ("ZeroDivisionError" in event, "secret" in event) == (True, False)


def test_an_internal_error_makes_no_log_in_another_hosts_folder(
    shop: CommandTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.owe()
    shop.give_journal_to()
    (shop.folder / "terminal.log").unlink()
    before = shop.files()
    monkeypatch.delattr(status, "read_journal")
    ended = shop.run("status")

    assert (ended.code, ended.sentences) == (
        70,
        ["Internal error (NameError in status). The outcome was not reported: run `payme status`."],
    )
    assert shop.files() == before


@pytest.mark.parametrize("documents", [[], [{"id": BAD_ID}], [{"id": "p1", "rows": [1]}, {"id": "p2"}, {"id": "p3"}]])
def test_a_list_is_printed_member_by_member_as_the_same_document(
    capsys: pytest.CaptureFixture[str], documents: list[object]
) -> None:
    before: list[str] = []

    def members() -> Iterator[object]:
        for each in documents:
            before.append(capsys.readouterr().out)
            yield each

    echo_documents(members())
    printed = "".join([*before, capsys.readouterr().out])
    echo_document(documents)

    assert printed == capsys.readouterr().out
    assert ('"p1"' in "".join(before)) is (len(documents) == 3), "before the last one was asked for"
