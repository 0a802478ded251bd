"""The merchant accounts of a chain: a file of their keys for the central workers, and their clients."""

from __future__ import annotations

import logging
import os
import stat
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payme_plugin.conf_file import Snapshot
from payme_plugin.locale import message
from payme_plugin.log import LOGGER_NAME, Log
from payme_plugin.operations.context import Limits
from payme_plugin.paymego import codes
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.protocols import MerchantAccount
from payme_plugin.settings import LoadedSettings, SettingsError
from payme_plugin.settings.problems import Origin, SettingFault, Source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from payme_plugin.clock import Clock
    from payme_plugin.locale import Message
    from payme_plugin.settings import Settings

_log = Log()
_no_log = logging.getLogger(f"{LOGGER_NAME}.requests")
_no_log.disabled = True
"""A central worker logs one line for each attempt, not two for each request."""

_LONGEST_REQUEST_S = 10
"""An attempt takes three requests at most, and must not hold its message for longer than a minute."""

_MOST_CLIENTS = 256
"""Many more than a process has consumers, so that no client in use is closed."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The merchant accounts of one reading of the file.

    Attributes:
        by_pos_id: the accounts.
        settings: the other settings in the file, which all accounts share.
    """

    by_pos_id: Mapping[str, MerchantAccount] = field(repr=False)
    settings: Settings

    @property
    def limits(self) -> Limits:
        """The times of one attempt: ``timeout``, but at most ten seconds for a request."""
        timeout_s = min(self.settings.timeout_s, _LONGEST_REQUEST_S)
        return Limits(timeout_s, timeout_s, timeout_s)


class AccountsFile:
    """A file in the form of ``payme.go.conf`` with a section ``[Account <posId>]`` for each merchant account.

    Args:
        path: the file. Only its owner may read and write it: this user or root.

    Attributes:
        path: as given.
        current: what was read last and could be used. Any thread may read it.

    Raises:
        SettingsError: it can't be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._snapshot, result = self._read()
        if isinstance(result, SettingsError):
            raise result
        self.current = result
        self._next: Accounts | SettingsError | None = None

    def refresh(self) -> None:
        """Take the file's new content if it has changed and then stayed the same since the last call.

        Somebody may be writing it. Content that can't be used is logged and not taken.
        """
        if not self._snapshot.is_unchanged():
            self._snapshot, self._next = self._read()
            return
        result, self._next = self._next, None
        if isinstance(result, Accounts):
            self.current = result
            _log.info("%s: %d merchant accounts", self.path, len(result.by_pos_id))
        elif result is not None:
            _log.error("the changed accounts can't be used, the former ones stay in force: %s", result)

    def _read(self) -> tuple[Snapshot, Accounts | SettingsError]:
        snapshot = Snapshot()
        loaded = LoadedSettings({}, self.path, codes, snapshot=snapshot, of_chain=True)
        settings = loaded.for_returns()
        if settings is None:
            return snapshot, SettingsError(loaded.faults)
        current = () if loaded.account is None else (loaded.account,)
        accounts = {
            each.pos_id: MerchantAccount(each.pos_id, each.pos_key, each.url)
            for each in (*current, *settings.former_accounts)
        }
        problem = self._exposure() or (None if accounts else message("settings.no_accounts"))
        if problem is not None:
            return snapshot, SettingsError([SettingFault(None, None, Origin(Source.FILE, self.path), problem)])
        for warning in loaded.warnings:
            _log.warning("%s", warning)
        return snapshot, Accounts(accounts, settings)

    def _exposure(self) -> Message | None:
        try:
            found = self.path.stat()
        except OSError as error:
            return message("settings.unreadable", reason=error.strerror)
        if found.st_uid in {os.geteuid(), 0} and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return None
        return message("settings.accounts_exposed", path=self.path, mode=f"{stat.S_IMODE(found.st_mode):04o}")


class AccountClients:
    """The clients of the accounts used last. Thread-safe.

    Args:
        clock: time.
        most: how many are kept; one that is dropped is closed.
    """

    def __init__(self, clock: Clock, most: int = _MOST_CLIENTS) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._clients: dict[object, PaymeGoClient] = {}  # the least recently used first
        self._is_closed = False

    def of(self, account: MerchantAccount, settings: Settings) -> PaymeGoClient:
        """Return the client of an account; after ``close``, one that sends nothing."""
        key = (account, settings.ca_file, settings.proxy)
        with self._lock:
            client = self._clients.pop(key, None) or PaymeGoClient(
                account, clock=self._clock, ca_file=settings.ca_file, proxy=settings.proxy, log=Log(_no_log)
            )
            self._clients[key] = client
            dropped = [self._clients.pop(next(iter(self._clients)))] if len(self._clients) > self._most else []
        for each in (*dropped, *((client,) if self._is_closed else ())):
            each.close()
        return client

    def close(self) -> None:
        """Close the clients: end every wait for an answer and send nothing more."""
        with self._lock:
            self._is_closed = True
            clients = tuple(self._clients.values())
        for client in clients:
            client.close()
