"""1. A hostile network between a till and Payme: every fault, on every request, before, during and after its effect.

Each cell is a whole sale, or a reversal, or a fiscal link, with the real plugin on a real disk, over real TLS to a real
sandbox, in front of which a proxy lets one fault befall one method until the hook has returned. Then the network heals,
and the plugin's own worker does what is left.
"""

from __future__ import annotations

import ctypes
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from faults.case_run import Seen
from faults.cases import Cell, Scene, wire_cells
from faults.proxy import Phase
from faults.rules import keeps_what_nothing_excuses, lapses_of
from faults.stage import AMOUNT, Stage
from faults.stalls import MOST_EXCUSED_S
from hookspecs import PaymentStatus

if TYPE_CHECKING:
    from faults.matrix import Matrix
    from faults.shop import Shop

pytestmark = [
    pytest.mark.timeout(300),  # the first cell asked for may be the last one played
]

CELLS = wire_cells()

HUNG_S = 0.8
TRIES = 5
MOST_PLAYED_AGAIN = 60  # a machine with twenty times more to do than it can had 33


def on_each_floor(cell: Cell) -> Any:  # noqa: ANN401 - pytest names no type for its parameters
    """Mark the cells of ``receipts.pay``: every fault is played on every floor's urllib3 and ssl."""
    return pytest.param(cell, marks=pytest.mark.floor) if cell.scene is Scene.PAY else cell


@pytest.mark.parametrize("cell", [on_each_floor(cell) for cell in CELLS], ids=str)
def test_the_verdict_is_right_and_in_time_and_the_money_is_where_the_till_has_it(matrix: Matrix, cell: Cell) -> None:
    assert lapses_of(cell, matrix.seen(cell)) == []
    assert matrix.complaints(cell) == []


def test_hardly_a_cell_had_to_be_played_again_for_a_busy_machine(matrix: Matrix) -> None:
    assert len(matrix.played_again()) <= MOST_PLAYED_AGAIN


def test_a_code_that_was_reset_unread_is_not_sent_again_where_the_next_connection_is_sound(shop: Shop) -> None:
    with closing(Stage(shop, "reset-once", settings={"timeout": 5})) as stage:  # a busy machine loses no answer
        proxy, code = stage.proxy, stage.code()

        def reset_the_next(method: str, _: bytes) -> bool:
            proxy.resets_unread = method == "receipts.create"
            return proxy.resets_unread

        def but_only_one() -> None:
            proxy.resets_unread = proxy.resets_unread and proxy.reset_unread == 0

        proxy.trigger, proxy.greeting = reset_the_next, but_only_one
        result = stage.pay(code)
        settles = stage.settles()
        methods = [arrival.method for arrival in proxy.arrivals]

    assert proxy.reset_unread == 1
    assert "receipts.check" in methods  # the road was sound by then
    assert "receipts.pay" not in methods
    assert stage.sandbox.pays(code) == 0
    assert (result.status, result.cancellation_queued, settles) == (PaymentStatus.UNKNOWN, True, True)


# ---------------------------------------------------------------------------------------------------------------------
# What is excused, and what a second play may forgive
# ---------------------------------------------------------------------------------------------------------------------


def test_a_delay_of_the_product_is_not_excused_as_the_machines(shop: Shop) -> None:
    excused_s = []
    for _ in range(TRIES):  # a busy machine withholds time of its own
        since_s = shop.stalls.total_s()
        ctypes.PyDLL(None).usleep(round(HUNG_S * 1e6))  # as a call into C that lets no other thread run
        excused_s.append(shop.stalls.excused_s(since_s))
        if excused_s[-1] < HUNG_S / 2:
            break

    assert min(excused_s) < HUNG_S / 2
    assert shop.stalls.excused_s(shop.stalls.total_s() - 60) == MOST_EXCUSED_S


UNKNOWN = Seen(
    status="UNKNOWN",
    cancellation=True,
    took_s=1.6,
    since_pay_s=1.6,
    stalled_s=0.0,
    message="It is not known whether the money was taken.",
    slips=0,
    held_then=0,
    pays=1,
    knows_receipt=True,
    creates=1,
    held=0,
    recorded=0,
    left="",
    struck=1,
    struck_again=False,
    faults=(),
    leaks=(),
)
PAID = replace(UNKNOWN, status="PAID", cancellation=False, slips=1, held_then=AMOUNT, held=AMOUNT, recorded=AMOUNT)
REFUSED = replace(UNKNOWN, status="REFUSED", cancellation=False, pays=0)
REVERSED = replace(UNKNOWN, status="REVERSED", cancellation=False, slips=1, pays=0)


@pytest.mark.parametrize(
    ("fault", "scene", "seen"),
    [
        ("accepted and silent", Scene.CHECK, replace(PAID, since_pay_s=60.0)),
        ("accepted and silent", Scene.GET, replace(UNKNOWN, struck=0)),
        ("accepted and silent", Scene.PAY, replace(REFUSED, struck=0)),
        ("accepted and silent", Scene.PAY, replace(REFUSED, knows_receipt=False)),
        ("connection refused", Scene.PAY, replace(REFUSED, knows_receipt=False)),
        ("accepted and silent", Scene.CANCEL, REVERSED),
    ],
    ids=[
        "too late",
        "not known in time",
        "refused before the code was sent",
        "refused without a receipt",
        "refused without a receipt, and so without its cancellation",
        "reversed where that is not due",
    ],
)
def test_a_busy_machine_may_change_the_verdict_the_cancellation_and_the_time(
    fault: str, scene: Scene, seen: Seen
) -> None:
    cell = Cell(fault, scene, Phase.BEFORE)

    assert lapses_of(cell, seen) != []
    assert keeps_what_nothing_excuses(cell, seen)


@pytest.mark.parametrize(
    ("scene", "sound", "broken"),
    [
        (Scene.CHECK, UNKNOWN, {"message": "Traceback (most recent call last):"}),
        (Scene.CHECK, UNKNOWN, {"cancellation": False}),
        (Scene.CHECK, UNKNOWN, {"status": "REFUSED", "cancellation": False}),
        (Scene.PAY, UNKNOWN, {"status": "REFUSED", "cancellation": False, "pays": 0}),
        (Scene.CHECK, UNKNOWN, {"took_s": 0.1}),
        (Scene.GET, PAID, {"cancellation": True}),
        (Scene.GET, PAID, {"held_then": 0}),
        (Scene.GET, PAID, {"slips": 0}),
        (Scene.CREATE, REFUSED, {"pays": 1}),
        (Scene.GET_CANCEL, REVERSED, {"held_then": AMOUNT}),
        (Scene.GET_CANCEL, REVERSED, {"cancellation": True}),
        (
            Scene.LIST,
            replace(UNKNOWN, status="no list", cancellation=False, took_s=1.0),
            {"message": "Traceback (most recent call last):"},
        ),
    ],
    ids=[
        "a traceback is shown",
        "UNKNOWN without a cancellation",
        "REFUSED without a cancellation after the code was sent",
        "REFUSED without a cancellation after the code met the fault",
        "UNKNOWN before time was over",
        "PAID with a cancellation",
        "PAID and Payme holds nothing",
        "PAID without a slip",
        "a code sent for a receipt that nobody knows",
        "REVERSED while Payme holds the money",
        "REVERSED with a cancellation",
        "a traceback instead of the list",
    ],
)
def test_no_busy_machine_explains_a_verdict_that_breaks_its_own_promise(
    scene: Scene, sound: Seen, broken: dict[str, Any]
) -> None:
    cell = Cell("accepted and silent", scene, Phase.BEFORE)

    assert lapses_of(cell, sound) == []
    assert not keeps_what_nothing_excuses(cell, replace(sound, **broken))
