"""The figures as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.benchmarks.measure import Figure


def amount(value: float, unit: str) -> str:
    """Return a figure for people, e.g. ``1.21 x``."""
    return f"{value:.2f} {unit}".rstrip()


def line(figure: Figure) -> str:
    """Return a figure as one line."""
    limit = "" if figure.limit is None else f", at most {amount(figure.limit, figure.unit)}"
    spread = f"[{figure.low:.2f} to {figure.high:.2f}]"
    beside = f" ({figure.ours} against {figure.theirs}: {figure.against})" if figure.against else ""
    return f"{figure.name}: {amount(figure.value, figure.unit)} {spread}{limit}{beside}"
