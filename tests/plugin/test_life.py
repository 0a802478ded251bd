"""From ``on_start`` to ``on_stop``: quick to begin, two tills side by side, nothing left behind."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.till import ScriptedUi, VirtualHost, open_sale, request_for, scan_after
from fakes.waiting import comes_true
from hookspecs import PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.service import Storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.served_till import ServedTill
    from hookspecs import PaymentResult

pytestmark = pytest.mark.floor


def _open_files(folder: Path) -> set[str]:
    """Return the files below ``folder`` that this process has open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            name = os.readlink(descriptor)  # noqa: PTH115 - a pipe's link is no path
        except FileNotFoundError:
            continue
        if name.startswith(str(folder)):
            found.add(Path(name.removesuffix(" (deleted)")).name)
    return found


def test_after_the_stop_no_file_is_open_and_no_thread_holds_the_process(new_till: Callable[..., ServedTill]) -> None:
    before = set(threading.enumerate())
    till = new_till()
    till.pay(till.code())
    assert "journal.sqlite3" in _open_files(till.host.folder)

    till.plugins.on_stop()

    assert _open_files(till.host.folder) == set()
    assert [thread.name for thread in threading.enumerate() if thread not in before and not thread.daemon] == []


def test_a_thread_that_is_late_can_not_open_the_journal_again(tmp_path: Path) -> None:
    storage = Storage(GuardedHost(VirtualHost(tmp_path, {})), SystemClock())
    storage.journal()
    storage.close()

    with pytest.raises(Unavailable, match="has stopped"):
        storage.journal()
    assert _open_files(tmp_path) == set()


def test_a_till_without_a_name_starts_after_it_has_one_and_the_log_names_what_was_missing(
    new_till: Callable[..., ServedTill], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = new_till(starts=False)
    with monkeypatch.context() as patch:
        patch.setattr(type(till.host), "identity", property(lambda _: None))
        till.plugins.on_start(till.host)
        assert till.pay(till.code()).status is PaymentStatus.REFUSED
    assert "Host.identity returned NoneType" in caplog.text

    till.plugins.on_start(till.host)
    assert till.pay(till.code(), payment_id="p2").status is PaymentStatus.PAID


def test_two_tills_in_one_process_share_nothing_and_sell_at_once(new_till: Callable[..., ServedTill]) -> None:
    one, two = new_till("till-1", slipCopies=1), new_till("till-2", slipCopies=3)
    seconds: list[PaymentResult] = []

    def sell_elsewhere() -> None:
        seconds.append(two.pay(two.code(), payment_id="p", receipt=open_sale(till="till-2")))

    first = one.pay(scan_after(sell_elsewhere, one.code()), payment_id="p", receipt=open_sale(till="till-1"))

    assert [each.status for each in (first, *seconds)] == [PaymentStatus.PAID, PaymentStatus.PAID]
    assert [slip.copies for each in (first, *seconds) for slip in each.slips] == [1, 3]
    assert (one.row("p").till, two.row("p").till) == ("till-1", "till-2")
    one.plugins.on_stop()
    assert two.pay(two.code(), payment_id="q").status is PaymentStatus.PAID


def test_a_server_that_never_answers_does_not_hold_up_the_start_or_the_stop(
    new_till: Callable[..., ServedTill],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        till = new_till(starts=False, url=f"http://127.0.0.1:{deaf.getsockname()[1]}/api")
        began = time.monotonic()
        till.plugins.on_start(till.host)
        till.plugins.on_stop()

    assert time.monotonic() - began < 5


def test_a_start_from_inside_a_start_is_the_one_that_counts(new_till: Callable[..., ServedTill]) -> None:
    """A notice that pumps the till's events, and the till starts its plugins anew."""
    till = new_till(starts=False, timeout="ten")
    starts: list[str] = []

    def notice(key: str, text: str | None) -> None:
        if not starts:
            starts.append(key)
            till.host.given = {**till.host.given, "timeout": "2"}
            till.plugins.on_start(till.host)

    till.host.notice = notice  # type: ignore[method-assign]
    till.plugins.on_start(till.host)

    assert len(starts) == 1
    assert till.pay(till.code()).status is PaymentStatus.PAID
    till.plugins.on_stop()
    assert _open_files(till.host.folder) == set()
    assert _workers() == []


def test_a_stop_during_a_start_stops_it(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(starts=False)
    begun, may_go_on = threading.Event(), threading.Event()
    give = till.host.data_dir

    def data_dir(plugin: str) -> Path:
        begun.set()
        may_go_on.wait(10)
        return give(plugin)

    till.host.data_dir = data_dir  # type: ignore[method-assign]
    start = threading.Thread(target=till.plugins.on_start, args=(till.host,))
    start.start()
    assert begun.wait(10)
    stop = threading.Thread(target=till.plugins.on_stop)
    stop.start()
    may_go_on.set()
    for thread in (start, stop):
        thread.join(10)

    assert till.plugins.on_payment(request_for(), ScriptedUi(SystemClock())) is None
    assert _open_files(till.host.folder) == set()
    assert _workers() == []


def test_one_thread_of_the_plugins_at_a_time_calls_the_host(
    new_till: Callable[..., ServedTill], tmp_path: Path
) -> None:
    """A host may have things that bear one thread at a time: the slips' warming up waits for the worker's calls."""
    till = new_till(starts=False, slipTemplate=str(tmp_path / "none.xml"))
    inside: set[int] = set()
    together: list[str] = []
    names: set[str] = set()

    def watched(call: Callable[..., object]) -> Callable[..., object]:
        def calling(*args: object) -> object:
            me = threading.current_thread()
            if me is threading.main_thread():
                return call(*args)
            if inside:
                together.append(me.name)
            names.add(me.name)
            inside.add(me.ident or 0)
            try:
                threading.Event().wait(0.2)
                return call(*args)
            finally:
                inside.discard(me.ident or 0)

        return calling

    till.host.notice = watched(till.host.notice)  # type: ignore[assignment]
    till.host.settings = watched(till.host.settings)  # type: ignore[assignment]
    till.plugins.on_start(till.host)
    assert comes_true(lambda: {"payme-warm-up", "payme-worker"} <= names, within_s=20)
    till.plugins.on_stop()

    assert together == []


def _workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("payme-worker")]
