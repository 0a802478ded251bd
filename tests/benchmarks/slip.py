"""The time of a slip beside the time of its validation."""

from __future__ import annotations

from slips import OPERATIONS, SlipRenderer, sample_data
from slips.schemas import Schemas
from tests.benchmarks.measure import CONTRACT, Figure, compare, no_collection, seconds

WARM_UP = 50
AT_MOST = 1.2


def rendered(rounds: int) -> list[Figure]:
    """Compare a slip filled, validated and laid out with xmlschema validating its document."""
    schema, figures = Schemas().get("slip"), []
    for operation in OPERATIONS:
        renderer = SlipRenderer()
        template, data = renderer.load(None), sample_data(operation)
        document = renderer.render(template, data, 32).xml
        with no_collection():
            ratio = compare(
                lambda: seconds(lambda: renderer.render(template, data, 32)),  # noqa: B023 - called within the turn
                lambda: seconds(lambda: schema.validate(document)),  # noqa: B023 - the same
                rounds,
                WARM_UP,
            )
        figures.append(ratio.figure(CONTRACT, f"slip ({operation}), warm", "xmlschema's `validate` of it", AT_MOST))
    return figures
