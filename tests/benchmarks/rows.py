"""Every row that is measured, by the name that ``run.py`` takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks import commits, growth, idle, loading, memory, payments, sale, slip
from tests.benchmarks.measure import CONTRACT, Skip, Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.table import Entry


@dataclass(frozen=True)
class Row:
    """Figures that are measured together.

    Attributes:
        name: of the command's argument.
        measure: takes a number of rounds and returns the figures; raises ``Skipped`` if it can't be measured here.
        rounds: of the command.
        gate_rounds: of ``test_rows.py``; None if it leaves the row out. ``memory`` has a test in ``hostile_network``.
    """

    name: str
    measure: Callable[[int], Sequence[Entry]]
    rounds: int
    gate_rounds: int | None = None

    def entries(self, rounds: int) -> Sequence[Entry]:
        """Return the figures, or why there are none."""
        try:
            return self.measure(rounds)
        except Skipped as reason:
            return [Skip(CONTRACT, self.name, str(reason))]


ROWS = (
    Row("payment-tls", payments.over_tls, 500, 150),
    Row("payment-http", payments.over_http, 1000, 300),
    Row("load", loading.load, 40, 15),
    Row("start", loading.start, 40, 15),
    Row("threads", idle.threads, 3, 1),
    Row("slip", slip.rendered, 2000, 700),
    Row("queueing-cpu", commits.queueing_cpu, 2000, 500),
    Row("queueing-p99", commits.queueing_p99, 3000, 1000),
    Row("draining", commits.draining, 3000, 1500),
    Row("memory", memory.growth, 1),
    Row("scan", sale.in_round_trips, 100, 20),
    Row("version", loading.version, 40, 15),
    Row("first-sale", idle.first_sale, 15),
    Row("peers-http", partial(payments.beside_peers, "http"), 300),
    Row("peers-tls", partial(payments.beside_peers, "TLS"), 150),
    Row("sale", sale.matrix, 5),
    Row("cancel", sale.cancels, 5),
    Row("growth", growth.with_journal, 7, growth.GATE_ROUNDS),
    Row("backlog", growth.backlog, 30),
)
