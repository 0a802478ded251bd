"""Who works on a payment: a token per process, held as an OS lock on a file of that name.

The lock dies with the process, whatever kills it, and no clock is asked.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from payme_plugin.ledger.sqlite_errors import translated

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Owner", "is_alive"]

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_SUFFIX = ".owner"
_UNSEEN_SUFFIX = ".new"


class Owner:
    """This process, as an owner of payments, until ``release`` or its end.

    Attributes:
        token: its name in the journal's rows.
    """

    def __init__(self, folder: Path) -> None:
        """Take a new token in ``folder``.

        Raises:
            Unwritable: the folder can't be written.
        """
        self._folder = folder
        self.token = secrets.token_hex(16)
        with translated():
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            self._path = folder / (self.token + _SUFFIX)
            # Under its own name it is never seen without its lock: it would look dead, and be removed.
            unseen = folder / (self.token + _UNSEEN_SUFFIX)
            self._file = os.open(unseen, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                unseen.rename(self._path)
            except OSError:
                os.close(self._file)
                unseen.unlink(missing_ok=True)
                raise

    def is_alive(self, token: str) -> bool:
        """Say whether the process behind ``token`` lives; this one does."""
        return is_alive(self._folder, token)

    def release(self) -> None:
        """Give the token up: whatever it owned may be taken over, even where the disk keeps the file."""
        with suppress(OSError):
            self._path.unlink()
        os.close(self._file)


def is_alive(folder: Path, token: str) -> bool:
    """Say whether the process that holds ``token`` in ``folder`` lives.

    A file that can't be read counts as alive: nobody takes over what another may still be working on. A token that no
    file can be named after, from a damaged row, was never held by anybody.
    """
    if not token or "\0" in token or "/" in token:
        return False
    path = folder / (token + _SUFFIX)
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        # Shared: to another thread that asks at this moment, an exclusive lock would look like the owner's.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        with suppress(OSError):
            path.unlink()
        return False
    finally:
        os.close(file)
