"""``payme worker``: a process that delivers until it is told to end."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.sandbox import Behaviour, BuyerAction
from tests.command.conftest import command_line, environment, worker_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.command.conftest import Shop

OTHER_TILL = "till-7 of another shop"


def owe(shop: Shop) -> None:
    refused = shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)))
    assert refused.document["cancellation_queued"] is True


def await_(what: Callable[[], bool]) -> None:
    gives_up_at = time.monotonic() + 20
    while not what():
        assert time.monotonic() < gives_up_at
        time.sleep(0.02)


def live(shop: Shop) -> int:
    return len(shop.returning())


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("till", [None, OTHER_TILL], ids=["own", "another till's"])
def test_it_delivers_and_ends_when_it_is_told_to(shop: Shop, signal_: signal.Signals, till: str | None) -> None:
    owe(shop)
    if till is not None:
        shop.give_journal_to(till)
    with worker_process(*shop.options) as process:
        await_(lambda: live(shop) == 0)
        with Leases(shop.folder).try_acquire(LEADER) as is_free:
            assert is_free, "an idle worker is not the one that decides"
        process.send_signal(signal_)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, err) == (0, "")
    assert out.startswith(f"Delivering the cancellations of till {till or 'reference-till@'}")
    assert [receipt.state for receipt in shop.sandbox.receipts()] == [50]
    assert "cancellation 1 of payment" in (shop.folder / "terminal.log").read_text(encoding="utf-8")


def test_rows_that_come_while_it_runs_are_delivered_soon(shop: Shop) -> None:
    with worker_process(*shop.options) as process:
        owe(shop)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Delivering"), "it waited for the journal to be there"
        await_(lambda: live(shop) == 0)
        owe(shop)
        await_(lambda: live(shop) == 0)


def test_where_the_folder_has_no_log_it_logs_to_stderr(shop: Shop) -> None:
    owe(shop)
    shop.give_journal_to(OTHER_TILL)
    (shop.folder / "terminal.log").unlink()
    with worker_process(*shop.options) as process:
        await_(lambda: live(shop) == 0)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)

    assert "INFO  payme  - cancellation 1 of payment" in err
    assert not (shop.folder / "terminal.log").exists()


def test_several_share_the_rows(shop: Shop) -> None:
    for _ in range(4):
        owe(shop)
    with worker_process(*shop.options), worker_process(*shop.options):
        await_(lambda: live(shop) == 0)

    cancelled = [request.params["id"] for request in shop.sandbox.requests if request.method == "receipts.cancel"]
    assert len(cancelled) == len(set(cancelled)) == 4


def test_with_settings_that_can_not_be_used_it_does_not_start(shop: Shop) -> None:
    shop.configure(frequency="often")
    ended = shop.run("worker")

    assert ended.code == 2
    assert ended.sentences[0].startswith("frequency")


def test_a_worker_whose_stdout_can_not_be_written_delivers_all_the_same(shop: Shop) -> None:
    owe(shop)
    with (
        Path("/dev/full").open("w", encoding="utf-8") as full,
        subprocess.Popen(  # noqa: S603 - our own command
            command_line(*shop.options, "worker"), stdout=full, stderr=subprocess.PIPE, text=True, env=environment()
        ) as process,
    ):
        await_(lambda: live(shop) == 0 or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)

    assert (process.returncode, live(shop)) == (0, 0)
    assert err == "payme: The output can't be written: No space left on device.\n"


def test_the_document_says_what_it_works_on(shop: Shop) -> None:
    owe(shop)
    with subprocess.Popen(  # noqa: S603 - our own command
        command_line(*shop.options, "worker", "--json"), stdout=subprocess.PIPE, encoding="utf-8", env=environment()
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGTERM)

    document = json.loads("".join(lines))
    assert document["data_dir"] == str(shop.folder)
    assert process.returncode == 0
