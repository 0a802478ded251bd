"""Every row that is measured, by the name that ``run.py`` takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks import payments, slip

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.measure import Figure


@dataclass(frozen=True)
class Row:
    """Figures that are measured together.

    Attributes:
        name: of the command's argument.
        measure: takes a number of rounds and returns the figures; raises ``Skipped`` if it can't be measured here.
        rounds: of the command.
        gate_rounds: of the tests marked ``benchmark``; None if they leave it out.
    """

    name: str
    measure: Callable[[int], list[Figure]]
    rounds: int
    gate_rounds: int | None = None


ROWS = (
    Row("payment-http", payments.over_http, 1000, 300),
    Row("payment-tls", payments.over_tls, 500, 150),
    Row("slip", slip.rendered, 2000, 700),
)
