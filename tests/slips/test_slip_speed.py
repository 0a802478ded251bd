"""What a slip costs beside the validation that it can't do without."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest

from slips import SlipPress, sample_data
from slips.document import to_tree
from slips.schemas import Schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.benchmark

AT_MOST = 1.2
ROUNDS = 1500


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@pytest.mark.parametrize("operation", ["pay", "cancel", "refund"])
@pytest.mark.usefixtures("no_collection")
def test_filling_and_layout_cost_a_fifth_of_the_validation(press: SlipPress, operation: str) -> None:
    template, data, schema = press.load(None), sample_data(operation), Schemas().get("slip")
    slip = press.fill(template, data)
    made, validated = [], []
    for _ in range(ROUNDS):
        tree = to_tree(slip)
        validated.append(seconds(lambda: schema.validate(tree)))  # noqa: B023 - it runs before the next round
        made.append(seconds(lambda: press.make(template, data, 32)))
    ratio = min(made) / min(validated)
    print(f"{operation}: a slip costs {ratio:.3f} x its validation")  # noqa: T201 - the number is the result
    assert ratio <= AT_MOST
