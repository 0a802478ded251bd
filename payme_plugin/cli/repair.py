"""``payme journal repair``: sets a damaged journal aside, keeps what can be read of it, and lists what it lacks."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from payme_plugin.cli import output
from payme_plugin.cli.command import Group
from payme_plugin.cli.files import existing_data_dir, read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import CommandFailed, ExitCode, Refusal, UsageFault, echo, fault, local_time, uzs
from payme_plugin.cli.payme_list import account_of, holds_money, list_receipts, receipt_document, state_in_words
from payme_plugin.cli.till import checked_settings, till_errors
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import ForeignJournal, InUse, JournalError
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.repair import repair as repair_file
from payme_plugin.locale import message
from payme_plugin.till import locked, reference_identity

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.ledger.repair import Repaired
    from payme_plugin.paymego.receipts import ServerReceipt

_DAY_MS = 86_400_000
_DAYS_OF_A_LOST_JOURNAL = 30
_MOST_DAYS = 3_660

journal = Group("journal")


@journal.command()
@click.option("--days", type=click.IntRange(1, _MOST_DAYS), metavar="N")
@click.option("--till", "identity", metavar="NAME")
@pass_options
def repair(options: GlobalOptions, days: int | None, identity: str | None) -> None:
    """Save what can be read of a damaged journal, and list what Payme has that the journal lacks."""
    folder = existing_data_dir(options)
    path = folder / FILE_NAME
    repaired = _repaired(folder, path, identity)
    options.result = ExitCode.DONE
    lacking = None
    if repaired is not None:
        try:
            lacking = _lacking(options, days)
        except CommandFailed as error:
            fault(message("cli.lacking_unknown", reason=error.format_message()))
    if options.json:
        output.echo_document(_document(path, repaired, lacking))
    else:
        _show(path, repaired, lacking)


def _repaired(folder: Path, path: Path, identity: str | None) -> Repaired | None:
    is_certain = identity is not None or (folder / "receipts").is_dir()
    try:
        if not path.exists():
            raise UsageFault(message("cli.no_journal", path=folder))
        # Another host's folder has no such lock, and gets none.
        with till_errors(), locked(folder) if (folder / "till.lock").exists() else nullcontext():
            return repair_file(path, identity or reference_identity(), _stamp(), is_certain=is_certain)
    except InUse as error:
        raise Refusal(str(error)) from error
    except ForeignJournal as error:
        raise UsageFault(message("cli.repair_foreign", reason=error)) from error
    except (JournalError, OSError) as error:
        raise UsageFault(message("cli.repair_failed", path=path, reason=error)) from error


def _stamp() -> str:
    """Return the local time as a part of a file's name, to the millisecond."""
    now_ms = SystemClock().wall_ms()
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now_ms // 1000))}-{now_ms % 1000:03d}"


def _lacking(options: GlobalOptions, days: int | None) -> list[ServerReceipt]:
    """Return the receipts of Payme's list that the journal lacks, those that may hold money first.

    Raises:
        CommandFailed: the settings can't be used, or Payme's list can't be had.
    """
    with read_journal(options.data_dir) as reader:
        oldest_ms = None if reader is None else reader.oldest_ms()
    now_ms = SystemClock().wall_ms()
    if days is not None or oldest_ms is None:
        oldest_ms = now_ms - (days or _DAYS_OF_A_LOST_JOURNAL) * _DAY_MS
    listed = list_receipts(options.data_dir, checked_settings(options.conf_file), oldest_ms, now_ms)
    with read_journal(options.data_dir) as reader:
        lacking = [
            each for each in listed.receipts if reader is None or reader.find_receipt(str(each.receipt_id)) is None
        ]
    return sorted(lacking, key=lambda receipt: not holds_money(receipt.state))


def _document(path: Path, repaired: Repaired | None, lacking: list[ServerReceipt] | None) -> dict[str, object]:
    return output.document_of(
        repaired,
        "journal repaired fault set_aside copied unreadable queued_again only_at_payme",
        journal=str(path),
        repaired=repaired is not None,
        set_aside=repaired and str(repaired.set_aside),
        only_at_payme=None if lacking is None else [receipt_document(receipt) for receipt in lacking],
    )


def _show(path: Path, repaired: Repaired | None, lacking: list[ServerReceipt] | None) -> None:
    if repaired is None:
        echo(message("cli.journal_intact", path=path))
        return
    echo(message("cli.journal_was_damaged", path=path, fault=repaired.fault))
    echo(message("cli.journal_set_aside", path=repaired.set_aside))
    copied = ", ".join(f"{table} {count}" for table, count in repaired.copied.items())
    echo(message("cli.journal_copied", copied=copied, unreadable=repaired.unreadable))
    if repaired.queued_again:
        echo(message("cli.journal_queued_again", count=repaired.queued_again))
    if lacking is None:
        return
    echo()
    echo(message("cli.lacking" if lacking else "cli.nothing_lacking"))
    for receipt in lacking:
        at_ms = receipt.create_time_ms
        when, state = "" if at_ms is None else local_time(at_ms), state_in_words(receipt.state)
        shown = message("cli.lacking_receipt", state=state, receipt_id=receipt.receipt_id)
        echo(f"  {when:<19}  {uzs(receipt.amount or 0):>14}  ", shown)
        if (account := account_of(receipt)) is not None:
            echo(" " * 39, account)
