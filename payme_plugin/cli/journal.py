"""The journal as the command sees it: read-only, and guarded where it belongs to another till."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin.cli.output import UsageFault
from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reading import JournalReader
from payme_plugin.till import reference_identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_journal", "refuse_foreign_journal"]


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
        message = f"the journal {path} can't be read: {error}"
        raise UsageFault(message) from error


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
    with read_journal(folder) as reader:
        owner = reference_identity() if reader is None else reader.host_identity
    if owner != reference_identity():
        message = (
            f"the journal in {folder} belongs to the till {owner!r}, and this command may only read it; "
            "name another folder with --data-dir"
        )
        raise UsageFault(message)
