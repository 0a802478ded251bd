"""The figures as text: lines, tables, and how they changed since they were written last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.measure import Figure, Skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SMALL_RATIO, MANY = 0.2, 100
Entry = Figure | Skip


def amount(value: float, unit: str) -> str:
    """Return a value for people, e.g. ``1.21 x`` or ``6.21 ms`` for 0.00621 s."""
    if unit == "s" and value < 1:
        value, unit = value * 1000, "ms"
    digits = 2
    if unit == "x" and value < SMALL_RATIO:
        digits = 3
    elif not unit and (value >= MANY or float(value).is_integer()):
        digits = 0
    return f"{value:,.{digits}f} {unit}".rstrip()


def line(entry: Entry) -> str:
    """Return an entry as one line."""
    if isinstance(entry, Skip):
        return f"{entry.name}: skipped: {entry.reason}"
    limit = "" if entry.limit is None else f", at most {amount(entry.limit, entry.unit)}"
    beside = f" ({_parts(entry)})" if _parts(entry) else ""
    return f"{entry.name}: {amount(entry.value, entry.unit)} [{_spread(entry)}]{limit}{beside}"


def change(now: Figure, last: Figure | None) -> str:
    """Return the change since the figure was written last; bold if each median is outside the other's quartiles."""
    if last is None or not last.value:
        return "new"
    percent = round((now.value / last.value - 1) * 100)
    text = f"{percent:+d} %"
    is_within = last.low <= now.value <= last.high or now.low <= last.value <= now.high
    return f"**{text}**" if percent and not is_within else text


def tables(entries: Iterable[Entry], last: Mapping[tuple[str, str], Figure] | None = None) -> str:
    """Return a table for each section; with ``last`` it has a column with the change."""
    sections: dict[str, list[Entry]] = {}
    for entry in entries:
        sections.setdefault(entry.section, []).append(entry)
    return "\n\n".join(f"### {section}\n\n{_table(rows, last)}" for section, rows in sections.items())


def _table(entries: Iterable[Entry], last: Mapping[tuple[str, str], Figure] | None) -> str:
    entries = list(entries)
    has_limits = any(isinstance(each, Figure) and each.limit is not None for each in entries)
    headings = ["what", "median", "quartiles", "measured"] + ["at most", ""] * has_limits
    headings += ["change"] * (last is not None)
    lines = [_row(headings), _row("---" for _ in headings)]
    for entry in entries:
        if isinstance(entry, Skip):
            lines.append(_row([entry.name, "skipped", "", entry.reason] + [""] * (len(headings) - 4)))
            continue
        cells = [entry.name, f"**{amount(entry.value, entry.unit)}**", _spread(entry), _parts(entry)]
        if has_limits:
            cells += ["", ""] if entry.limit is None else [amount(entry.limit, entry.unit), _verdict(entry)]
        if last is not None:
            cells.append(change(entry, last.get((entry.section, entry.name))))
        lines.append(_row(cells))
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _verdict(figure: Figure) -> str:
    assert figure.limit is not None
    return "met" if figure.value <= figure.limit else "**missed**"


def _spread(figure: Figure) -> str:
    return f"{amount(figure.low, figure.unit)} – {amount(figure.high, figure.unit)}"


def _parts(figure: Figure) -> str:
    """Return what was measured, e.g. ``3.1 ms against 2.1 ms, urllib3``."""
    ours, theirs = ("" if part is None else amount(part, figure.measured_in) for part in (figure.ours, figure.theirs))
    sides = " against ".join(side for side in (ours, theirs) if side)
    return ", ".join(part for part in (sides, figure.against) if part)
