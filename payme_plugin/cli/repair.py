"""``payme journal repair``: a damaged journal set aside, what can be read of it kept, what it lacks looked up."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Group
from payme_plugin.cli.delivery import open_asking_client
from payme_plugin.cli.journal import read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, Refusal, UsageFault, echo_document, fault, local_time, uzs
from payme_plugin.cli.payme_list import account_of, list_receipts
from payme_plugin.cli.receipt_states import holds_money, state_in_words
from payme_plugin.cli.reconcile import receipt_document
from payme_plugin.cli.till import checked_settings
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import ForeignJournal, InUse, JournalError
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.repair import repair as repair_file
from payme_plugin.till import FolderUnusable, TillBusy, locked, reference_identity

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.ledger.repair import Repaired
    from payme_plugin.paymego.receipts import ServerReceipt

__all__ = ["journal"]

_DAY_MS = 86_400_000
_DAYS_OF_A_LOST_JOURNAL = 30
_MOST_DAYS = 3_660
_MARGIN_MS = 3_600_000


journal = Group("journal")


@journal.command()
@click.option(
    "--days",
    type=click.IntRange(1, _MOST_DAYS),
)
@click.option(
    "--till",
    "identity",
    metavar="NAME",
)
@pass_options
def repair(options: GlobalOptions, days: int | None, identity: str | None) -> int:
    """Save what can be read of a damaged journal; tell what Payme has that the journal lacks.

    The damaged file is kept under another name. A sound journal is left as it is. Stop the till and its workers first.

    Exit code: 0 sound or repaired, even where Payme's list can't be had, 1 a live process works with it, 2 usage, the
    folder, or another till's journal.
    """
    folder = options.data_dir
    path = folder / FILE_NAME
    repaired = _repaired(folder, path, identity)
    lacking, why_not = (None, None) if repaired is None else _lacking(options, days)
    if why_not is not None:
        fault(f"warning: what the journal lacks can't be told: {why_not}")
    if options.json:
        echo_document(_document(path, repaired, lacking))
    else:
        _show(path, repaired, lacking)
    return int(ExitCode.DONE)


def _repaired(folder: Path, path: Path, identity: str | None) -> Repaired | None:
    is_certain = identity is not None or (folder / "receipts").is_dir()
    try:
        if not path.exists():
            message = f"there is no journal in {folder}; name another folder with --data-dir"
            raise UsageFault(message)
        # Another host's folder has no such lock, and gets none.
        with locked(folder) if (folder / "till.lock").exists() else nullcontext():
            return repair_file(path, identity or reference_identity(), _stamp(), is_certain=is_certain)
    except (InUse, TillBusy) as error:
        raise Refusal(str(error)) from error
    except ForeignJournal as error:
        message = f"{error}; to repair it, stop its till and name that till with --till"
        raise UsageFault(message) from error
    except (JournalError, FolderUnusable, OSError) as error:
        message = f"the journal {path} can't be repaired: {error}"
        raise UsageFault(message) from error


def _stamp() -> str:
    """Return the local time as a part of a file's name, fine enough for two repairs in a row."""
    now_ms = SystemClock().wall_ms()
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now_ms // 1000))}-{now_ms % 1000:03d}"


def _lacking(options: GlobalOptions, days: int | None) -> tuple[list[ServerReceipt] | None, str | None]:
    """Return the receipts of Payme's list that the journal lacks; or None, and why there is no list."""
    with read_journal(options.data_dir) as reader:
        payments = [] if reader is None else reader.payments()
    clock = SystemClock()
    now_ms = clock.wall_ms()
    oldest_ms = min((row.created_at for row in payments), default=now_ms - _DAYS_OF_A_LOST_JOURNAL * _DAY_MS)
    begin_ms = oldest_ms - _MARGIN_MS if days is None else now_ms - days * _DAY_MS
    try:
        settings = checked_settings(options.conf_file)
        with open_asking_client(options.data_dir, settings, clock) as client:
            listed = list_receipts(client, clock, settings.timeout_s, begin_ms, now_ms + _MARGIN_MS)
    except (UsageFault, Refusal) as error:
        return None, error.format_message()
    known = {row.receipt_id for row in payments}
    lacking = [receipt for receipt in listed if receipt.receipt_id not in known]
    return sorted(lacking, key=lambda receipt: not holds_money(receipt.state)), None


def _document(path: Path, repaired: Repaired | None, lacking: list[ServerReceipt] | None) -> dict[str, object]:
    return {
        "journal": str(path),
        "repaired": repaired is not None,
        "fault": None if repaired is None else repaired.fault,
        "set_aside": None if repaired is None else str(repaired.set_aside),
        "copied": None if repaired is None else repaired.copied,
        "unreadable": None if repaired is None else repaired.unreadable,
        "queued_again": None if repaired is None else repaired.queued_again,
        "only_at_payme": None if lacking is None else [receipt_document(receipt) for receipt in lacking],
    }


def _show(path: Path, repaired: Repaired | None, lacking: list[ServerReceipt] | None) -> None:
    if repaired is None:
        click.echo(f"The journal {path} is sound; nothing was changed.")
        return
    click.echo(f"The journal {path} was damaged: {repaired.fault}.")
    click.echo(f"It is kept as {repaired.set_aside}.")
    saved = ", ".join(f"{count} of {table.replace('_', ' ')}" for table, count in repaired.copied.items())
    click.echo(f"Saved rows: {saved}. Places that could not be read: {repaired.unreadable}.")
    if not any(repaired.copied.values()):
        click.echo("Nothing of it can be read.")
    if repaired.queued_again:
        click.echo(f"Cancellations that could not be read and are queued again: {repaired.queued_again}.")
    if lacking is None:
        return
    click.echo()
    if not lacking:
        click.echo("Payme has no receipt that the journal lacks.")
        return
    click.echo("Payme has these receipts, and the journal does not; another till of this kassa may have made them:")
    for receipt in lacking:
        at_ms = receipt.create_time_ms
        click.echo(
            f"  {'' if at_ms is None else local_time(at_ms):<19}  {uzs(receipt.amount or 0):>14}"
            f"  {state_in_words(receipt.state)}, receipt {receipt.receipt_id}"
        )
        if (account := account_of(receipt)) is not None:
            click.echo(f"  {'':<19}  {'':>14}  {account}")
