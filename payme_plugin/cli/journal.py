"""The journal as the command sees it: read-only, and guarded where it belongs to another till."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin.cli.output import UsageFault
from payme_plugin.ledger.errors import Damaged, JournalError
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.till import reference_identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["journal_identity", "read_journal", "refuse_foreign_journal", "unusable"]


@contextmanager
def read_journal(folder: Path) -> Iterator[JournalReader | None]:
    """Open the journal in ``folder`` for reading, changing and creating nothing; None where there is none.

    Raises:
        UsageFault: the folder is none, or the journal can't be read.
    """
    _require_folder(folder)
    path = folder / FILE_NAME
    try:
        reader = JournalReader.open_read_only(path)
        try:
            yield reader
        finally:
            if reader is not None:
                reader.close()
    except JournalError as error:
        raise unusable(path, error) from error


def unusable(path: Path, error: JournalError) -> UsageFault:
    """Return the sentence for a journal that can't be used, with what helps."""
    help_ = ". `payme journal repair` saves what can be read of it" if isinstance(error, Damaged) else ""
    return UsageFault(f"the journal {path} can't be used: {error}{help_}")


def journal_identity(folder: Path) -> str | None:
    """Return the name of the till that the journal in ``folder`` belongs to; None where there is no journal.

    Raises:
        UsageFault: it can't be read.
    """
    with read_journal(folder) as reader:
        return None if reader is None else reader.host_identity


def _require_folder(folder: Path) -> None:
    """Let a folder through, and one that isn't there yet."""
    try:
        fits = folder.is_dir() or not folder.exists()
        reason = "it is a file"
    except OSError as error:
        fits, reason = False, error.strerror or type(error).__name__
    if not fits:
        message = f"the data folder {folder} can't be used: {reason}; name another one with --data-dir"
        raise UsageFault(message)


def refuse_foreign_journal(folder: Path) -> None:
    """Let only the reference till's own journal through.

    Raises:
        UsageFault: the journal in ``folder`` belongs to another till, or can't be read.
    """
    owner = journal_identity(folder)
    if owner not in (None, reference_identity()):
        message = (
            f"the journal in {folder} belongs to the till {owner!r}, and this command may only read it; "
            "name another folder with --data-dir"
        )
        raise UsageFault(message)
