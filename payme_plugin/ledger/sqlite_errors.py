"""What SQLite and the disk raise, as the journal's own errors."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Damaged, JournalError, Unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["translated"]

# SQLITE_CORRUPT and SQLITE_NOTADB of SQLite's C interface; the module names them from Python 3.11 on.
_DAMAGED = (11, 26)
_PRIMARY_CODE = 0xFF


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLite and the disk raise into the journal's own errors.

    Raises:
        Damaged: the file is no journal any more.
        Unwritable: anything else.
    """
    try:
        yield
    except JournalError:
        raise
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            raise Damaged(str(error)) from error
        raise Unwritable(str(error)) from error
    except UnicodeDecodeError as error:
        # A name in the schema: nothing that is not UTF-8 was ever stored.
        raise Damaged(str(error)) from error
    except (sqlite3.Error, OSError, OverflowError, UnicodeError) as error:
        raise Unwritable(str(error)) from error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)  # Python 3.11 and newer
    if code is not None:
        return code & _PRIMARY_CODE in _DAMAGED
    return "malformed" in str(error) or "not a database" in str(error)
