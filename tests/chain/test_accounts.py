"""The file of a chain's keys, and how the consumers are divided among its accounts; without a broker."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.clock import VirtualClock
from payme_plugin.clock import SystemClock
from payme_plugin.delivery.accounts import AccountClients, AccountsFile
from payme_plugin.delivery.central_worker import Turns
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.settings import SettingsError
from tests.command.conftest import payme

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = '[Account {0}]\nurl = "https://checkout.paycom.uz"\nposKey = "key-of-{0}"\n'
BROKER = "amqp://name:s3cr3t@127.0.0.1:1"


def write(path: Path, *accounts: str, main: str = "", mode: int = 0o600) -> Path:
    path.touch()
    path.write_text(f"[Main]\n{main}\n" + "".join(ACCOUNT.format(each) for each in accounts), encoding="utf-8")
    path.chmod(mode)
    return path


# ---------------------------------------------------------------------------------------------------------------------
# The file
# ---------------------------------------------------------------------------------------------------------------------


def test_each_section_is_an_account_with_its_server_and_its_key(tmp_path: Path) -> None:
    found = AccountsFile(write(tmp_path / "keys", "A", "B")).current.by_pos_id

    assert {pos_id: (each.url, each.pos_key.reveal()) for pos_id, each in found.items()} == {
        pos_id: ("https://checkout.paycom.uz/api", f"key-of-{pos_id}") for pos_id in "AB"
    }
    assert "key-of-A" not in repr(AccountsFile(tmp_path / "keys").current)


def test_a_tills_own_file_will_do(tmp_path: Path) -> None:
    main = 'url = "https://checkout.paycom.uz"\nposId = "M"\nposKey = "key-of-M"\npaymentType = 7\npayDuration = soon'
    found = AccountsFile(write(tmp_path / "keys", "A", main=main)).current

    assert sorted(found.by_pos_id) == ["A", "M"]


def test_settings_of_the_way_to_the_server_count_for_all_accounts(tmp_path: Path) -> None:
    path = write(tmp_path / "keys", "A", main='timeout = 5\nproxy = "http://10.0.0.1:3128"')
    current = AccountsFile(path).current

    assert (current.limits.timeout_s, current.settings.proxy is not None) == (5, True)


def test_no_request_takes_longer_than_ten_seconds(tmp_path: Path) -> None:
    limits = AccountsFile(write(tmp_path / "keys", "A", main="timeout = 300")).current.limits

    assert (limits.timeout_s, limits.duration_s) == (10, 10)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o644])
def test_a_file_that_others_can_read_or_write_is_refused_with_what_helps(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "keys", "A", mode=mode)
    found = payme("worker", "--broker", BROKER, "--accounts", str(path))

    assert found.code == 2
    assert f"{mode:04o}" in found.sentences[0]
    assert f"`chmod 600 {path}`" in found.sentences[0]


@pytest.mark.parametrize(
    ("main", "accounts"),
    [("", ()), ("timeout = soon", ()), ('proxy = "ftp://proxy"', ("A",)), ('caFile = "/no/such/file"', ("A",))],
)
def test_a_file_without_accounts_or_with_a_fault_on_the_way_to_the_server_is_refused(
    tmp_path: Path, main: str, accounts: tuple[str, ...]
) -> None:
    path = write(tmp_path / "keys", *accounts, main=main)

    with pytest.raises(SettingsError, match=str(path)):
        AccountsFile(path)
    assert payme("worker", "--broker", BROKER, "--accounts", str(path)).code == 2


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    found = payme("worker", "--broker", BROKER, "--accounts", str(tmp_path / "none"))

    assert found.code == 2
    assert "No such file" in found.sentences[0]


def test_a_change_is_taken_once_it_has_stayed_the_same_for_a_look(tmp_path: Path) -> None:
    file = AccountsFile(write(tmp_path / "keys", "A", "B"))
    write(tmp_path / "keys", "A")
    file.refresh()
    assert sorted(file.current.by_pos_id) == ["A", "B"], "somebody may be writing it"
    write(tmp_path / "keys", "A", "B", "C")
    file.refresh()
    assert sorted(file.current.by_pos_id) == ["A", "B"]
    file.refresh()
    assert sorted(file.current.by_pos_id) == ["A", "B", "C"]


def test_a_change_that_can_not_be_used_is_logged_once_and_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "keys", "A")
    file = AccountsFile(path)
    for change in (lambda: write(path), lambda: write(path, "B", mode=0o644), path.unlink):
        caplog.clear()
        change()
        for _ in range(4):
            file.refresh()
        assert list(file.current.by_pos_id) == ["A"]
        assert [record.levelname for record in caplog.records].count("ERROR") == 1
    write(path, "B")
    file.refresh()
    file.refresh()
    assert list(file.current.by_pos_id) == ["B"]


def test_ten_thousand_accounts_are_read_in_seconds(tmp_path: Path) -> None:
    path = write(tmp_path / "keys", *(f"{number:024x}" for number in range(10_000)))
    began_at = time.monotonic()

    assert len(AccountsFile(path).current.by_pos_id) == 10_000
    assert time.monotonic() - began_at < 10


@pytest.mark.parametrize(
    "options",
    [
        ("--broker", BROKER),
        ("--accounts", "keys"),
        ("--metrics", "9100"),
        ("--broker", "s3cr3t", "--accounts", "keys"),
        ("--broker", "", "--accounts", "keys"),
        ("--broker", BROKER, "--accounts", "keys", "--metrics", "0"),
        ("--broker", BROKER, "--accounts", "keys", "--metrics", "host:"),
    ],
)
def test_options_that_do_not_make_a_central_worker_are_refused_without_the_password(options: tuple[str, ...]) -> None:
    found = payme("worker", *options)

    assert found.code == 2
    assert "s3cr3t" not in found.err


def test_the_broker_may_come_from_the_environment_so_that_no_list_of_processes_shows_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYME_WORKER_BROKER", "amqp:/nonsense")

    assert payme("worker", "--accounts", str(tmp_path)).sentences[0].startswith("Invalid value for '--broker'")


# ---------------------------------------------------------------------------------------------------------------------
# Clients and consumers
# ---------------------------------------------------------------------------------------------------------------------


def test_the_clients_used_last_are_kept_and_the_others_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current = AccountsFile(write(tmp_path / "keys", "A", "B", "C")).current
    closed: list[PaymeGoClient] = []

    def close(self: PaymeGoClient) -> None:
        closed.append(self)

    monkeypatch.setattr(PaymeGoClient, "close", close)
    clients = AccountClients(SystemClock(), most=2)
    a, b, again = (clients.of(current.by_pos_id[each], current.settings) for each in "ABA")
    clients.of(current.by_pos_id["C"], current.settings)

    assert a is again
    assert closed == [b]
    clients.close()
    assert len(closed) == 3
    assert clients.of(current.by_pos_id["B"], current.settings) in closed, "after the end it sends nothing"


SILENT: Any = SimpleNamespace(begin=lambda *request: None)
"""A client whose requests never end."""


def turns() -> tuple[Turns, VirtualClock]:
    clock = VirtualClock()
    return Turns(2, clock), clock


def test_an_account_has_its_share_of_the_consumers_and_no_more() -> None:
    account, _ = turns()
    with ExitStack() as running:
        taken = [running.enter_context(account.take(each, SILENT)) for each in "AAAB"]
        assert [each is not None for each in taken] == [True, True, False, True]
    with account.take("A", SILENT) as later:
        assert later is not None


def test_a_delivery_waits_for_a_turn_that_is_free_within_a_second() -> None:
    account, _ = turns()
    with ExitStack() as running:
        for _ in range(2):
            running.enter_context(account.take("A", SILENT))
        timer = threading.Timer(0.1, running.close)
        timer.start()
        with account.take("A", SILENT) as waited:
            assert waited is not None
        timer.join()


@pytest.mark.parametrize(("waited_s", "is_free"), [(0.9, True), (1.1, False)])
def test_an_account_whose_request_runs_for_over_a_second_begins_no_other(waited_s: float, is_free: bool) -> None:
    account, clock = turns()
    with account.take("A", SILENT) as first:
        assert first is not None
        clock.sleep(5)
        first.begin("receipts.check", {}, 10)
        clock.sleep(waited_s)
        with account.take("A", SILENT) as second, account.take("B", SILENT) as other:
            assert (second is not None, other is not None) == (is_free, True)
    with account.take("A", SILENT) as later:
        assert later is not None


def test_a_delivery_that_fails_gives_its_turn_back() -> None:
    account, _ = turns()
    for _ in range(3):
        with pytest.raises(RuntimeError), account.take("A", SILENT):
            raise RuntimeError
