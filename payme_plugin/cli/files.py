"""The files of a till as the command sees them: the journal, read-only, and the log."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin.cli.output import UsageFault
from payme_plugin.ledger.errors import Damaged, JournalError
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.locale import message
from payme_plugin.till import reference_identity, terminal_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from payme_plugin.cli.options import GlobalOptions

MAIN_LOG = Path("/linuxcash/logs/current/terminal.log")
"""The main log of an Artix till; only the till makes it."""

_LOG_NAME = "terminal.log"


def existing_data_dir(options: GlobalOptions) -> Path:
    """Return the data folder of a command that makes none.

    Raises:
        UsageFault: it was named with ``--data-dir`` and does not exist.
    """
    folder = options.data_dir
    try:
        is_missing = options.folder is not None and not folder.exists()
    except OSError:
        is_missing = False
    if is_missing:
        raise UsageFault(message("cli.no_data_dir", path=folder))
    return folder


@contextmanager
def read_journal(folder: Path) -> Iterator[JournalReader | None]:
    """Open the journal in ``folder`` for reading, changing and creating nothing; None if there is none.

    Raises:
        UsageFault: it is not a folder, or the journal can't be read.
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
    """Return the error for a journal that can't be used, with what helps."""
    key = "cli.journal_damaged" if isinstance(error, Damaged) else "cli.journal_unusable"
    return UsageFault(message(key, path=path, reason=error))


def journal_identity(folder: Path) -> str | None:
    """Return the name of the till that the journal in ``folder`` belongs to; None if there is no journal.

    Raises:
        UsageFault: it can't be read.
    """
    with read_journal(folder) as reader:
        return None if reader is None else reader.host_identity


def _require_folder(folder: Path) -> None:
    """Accept a folder, and one that isn't there yet."""
    try:
        if folder.is_dir() or not folder.exists():
            return
    except OSError as error:
        raise UsageFault(message("cli.folder_unusable", path=folder, reason=error.strerror)) from error
    raise UsageFault(message("cli.folder_is_file", path=folder))


def refuse_foreign_journal(folder: Path) -> None:
    """Accept only the reference till's own journal.

    Raises:
        UsageFault: the journal in ``folder`` belongs to another till, or can't be read.
    """
    owner = journal_identity(folder)
    if owner not in (None, reference_identity()):
        raise UsageFault(message("cli.journal_foreign", path=folder, till=owner))


def command_log(folder: Path) -> AbstractContextManager[None]:
    """Return what logs into the till's main log or, while that is not there, into a log in ``folder``."""
    return terminal_log(folder / _LOG_NAME, main=MAIN_LOG)


def log_path(folder: Path) -> Path:
    """Return the file that ``command_log`` writes to now."""
    # Path.is_file raises where the folder may not be entered.
    is_used = os.path.isfile(MAIN_LOG) and os.access(MAIN_LOG, os.W_OK)  # noqa: PTH113
    return MAIN_LOG if is_used else folder / _LOG_NAME


def has_log(folder: Path) -> bool:
    """Return whether the file that ``command_log`` writes to exists."""
    return log_path(folder).exists()
