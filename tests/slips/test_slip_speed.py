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
from functools import partial

pytestmark = pytest.mark.benchmark

AT_MOST_OF_DOCUMENT = 1.2
AT_MOST_OF_TREE = 1.35
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
def test_a_slip_costs_little_more_than_its_validation(press: SlipPress, operation: str) -> None:
    template, data, schema = press.load(None), sample_data(operation), Schemas().get("slip")
    slip, document = press.fill(template, data), press.make(template, data, 32).xml
    made, of_tree, of_document = [], [], []
    for _ in range(ROUNDS):
        tree = to_tree(slip)
        of_tree.append(seconds(partial(schema.validate, tree)))
        of_document.append(seconds(partial(schema.validate, document)))
        made.append(seconds(partial(press.make, template, data, 32)))
    per_tree, per_document = min(made) / min(of_tree), min(made) / min(of_document)
    print(f"{operation}: {per_tree:.3f} x xmlschema on its tree, {per_document:.3f} x on its document")  # noqa: T201
    assert per_document <= AT_MOST_OF_DOCUMENT
    assert per_tree <= AT_MOST_OF_TREE
