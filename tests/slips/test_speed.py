"""The time of a slip as a ratio to the time of its validation: the median of several turns."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from slips import OPERATIONS, SlipRenderer, sample_data
from slips.schemas import Schemas
from tests.benchmarks.conftest import compare, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]

ROUNDS = 700
AT_MOST_OF_DOCUMENT = 1.2


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.usefixtures("no_collection")
def test_a_slip_is_filled_validated_and_laid_out_in_the_time_that_xmlschema_takes_to_validate_its_document(
    renderer: SlipRenderer, operation: str, capfd: pytest.CaptureFixture[str]
) -> None:
    template, data, schema = renderer.load(None), sample_data(operation), Schemas().get("slip")
    document = renderer.render(template, data, 32).xml

    def made() -> float:
        return seconds(lambda: renderer.render(template, data, 32))

    of_document = compare(made, lambda: seconds(lambda: schema.validate(document)), ROUNDS, warm_up=50)
    with capfd.disabled():
        print(f"\na slip ({operation}) : xmlschema on its document: {of_document}")  # noqa: T201
    assert of_document.ratio <= AT_MOST_OF_DOCUMENT
