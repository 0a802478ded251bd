"""A hostile network between a till and Payme: every fault, on every request, before, during and after its effect.

Each cell is a whole sale, or a reversal, or a fiscal link, with the real plugin on a real disk, over real TLS to a real
sandbox, in front of which a proxy lets one fault hit one method until the hook has returned. Then the network heals,
and the plugin's own worker does what is left. ``faults.rules`` says what must come of it.
"""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from faults.case_run import Seen
from faults.cases import Cell, Target, all_cells
from faults.matrix import playing
from faults.network import DOMAIN
from faults.proxied_till import AMOUNT, ProxiedTill
from faults.proxy import Phase
from faults.rules import keeps_what_nothing_excuses, violations
from hookspecs import PaymentStatus
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    import trustme

    from faults.matrix import Batch

    Matrix = dict[Cell, Future[Batch]]

pytestmark = [
    pytest.mark.timeout(300),  # the first cell asked for may be the last one played
]

MOST_PLAYED_AGAIN = 60  # a machine with twenty times more to do than it can had 33


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest, authority: trustme.CA, folder: Path) -> Iterator[Matrix]:
    """The cells that the chosen tests ask for, played in the background in the order of the tests."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    cells = [cell for test in tests if isinstance(cell := test.callspec.params.get("cell"), Cell)]
    with playing(cells, folder) as matrix:
        yield matrix


def cells() -> list[Any]:
    """Return the cells; those of ``receipts.pay`` are played on every floor's urllib3 and ssl too."""
    is_pay = {True: [pytest.mark.floor], False: []}
    return [pytest.param(cell, marks=is_pay[cell.target is Target.PAY], id=str(cell)) for cell in all_cells()]


@pytest.mark.parametrize("cell", cells())
def test_the_result_is_right_and_in_time_and_the_money_is_where_the_till_has_it(matrix: Matrix, cell: Cell) -> None:
    batch = matrix[cell].result()
    seen = batch.seen[cell]
    if isinstance(seen, Exception):
        raise seen
    assert violations(cell, seen) == []
    assert batch.complaints == []


def test_hardly_a_cell_had_to_be_played_again_for_a_busy_machine(matrix: Matrix) -> None:
    played_again = [cell for batch in set(matrix.values()) for cell in batch.result().again]

    assert len(played_again) <= MOST_PLAYED_AGAIN


@pytest.mark.floor
def test_a_server_that_is_not_payme_gets_no_request_and_the_cashier_reads_why(
    new_proxied_till: Callable[..., ProxiedTill], authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    yesterday = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(f"*.{DOMAIN}", not_after=yesterday).configure_cert(context)
    till = new_proxied_till(tls=context, timeout=5)

    result = till.pay(till.code())

    assert (result.status, result.cancellation_queued) == (PaymentStatus.REFUSED, False)
    assert result.message == Texts("ru")(Text.PAYMENT_NO_CONNECTION_TLS)
    assert "it has expired: is the till's clock right?" in caplog.text
    assert (till.proxy.received, till.sandbox.requests) == (b"", ())


UNKNOWN = Seen(
    status="UNKNOWN",
    cancellation=True,
    took_s=1.6,
    since_pay_s=1.6,
    message="It is not known whether the money was taken.",
    slips=0,
    held_then=0,
    pays=1,
    knows_receipt=True,
    creates=1,
    held=0,
    recorded=0,
    left="",
    hits=1,
    hit_again=False,
    faults=(),
    leaks=(),
)
PAID = replace(UNKNOWN, status="PAID", cancellation=False, slips=1, held_then=AMOUNT, held=AMOUNT, recorded=AMOUNT)
REVERSED = replace(UNKNOWN, status="REVERSED", cancellation=False, slips=1, pays=0)


@pytest.mark.parametrize(
    ("target", "sound", "broken", "is_excused"),
    [
        (Target.CHECK, UNKNOWN, {"since_pay_s": 60.0}, True),
        (Target.CHECK, UNKNOWN, {"status": "REFUSED"}, True),
        (Target.CHECK, UNKNOWN, {"cancellation": False}, False),
        (Target.CHECK, UNKNOWN, {"took_s": 0.1}, False),
        (Target.CHECK, UNKNOWN, {"pays": 2}, False),
        (Target.PAY, UNKNOWN, {"status": "REFUSED", "cancellation": False, "pays": 0}, False),
        (Target.GET, PAID, {"held_then": 0}, False),
        (Target.GET_CANCEL, REVERSED, {"held_then": AMOUNT}, False),
        (Target.GET_CANCEL, REVERSED, {"held": AMOUNT}, False),
    ],
)
def test_a_busy_machine_excuses_another_result_and_more_time_but_no_broken_promise(
    target: Target, sound: Seen, broken: dict[str, Any], is_excused: bool
) -> None:
    cell = Cell("accepted and silent", target, Phase.BEFORE)

    assert violations(cell, sound) == []
    assert violations(cell, replace(sound, **broken)) != []
    assert keeps_what_nothing_excuses(cell, replace(sound, **broken)) is is_excused
