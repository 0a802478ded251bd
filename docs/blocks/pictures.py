"""Pictures in text: the states of a payment, and slips as the shipped templates print them."""

from __future__ import annotations

from datetime import timedelta, timezone

from payme_plugin.ledger.states import PaymentState, is_allowed
from slips import SlipPress, sample_data

__all__ = ["slip_picture", "state_diagram", "state_table"]

_TASHKENT = timezone(timedelta(hours=5))
_WIDTH = 32


def transitions() -> list[tuple[PaymentState, PaymentState]]:
    """Return every transition that the journal allows."""
    return [(before, after) for before in PaymentState for after in PaymentState if is_allowed(before, after)]


def state_diagram() -> str:
    """Return the states and their transitions as a Mermaid diagram."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> intent"]
    lines += [f"    {before.value} --> {after.value}" for before, after in transitions()]
    ends = [state for state in PaymentState if not any(is_allowed(state, after) for after in PaymentState)]
    lines += [f"    {state.value} --> [*]" for state in ends]
    return "\n".join([*lines, "```"])


def state_table() -> str:
    """Return for every state where it may go."""
    rows = ["| From | To |", "|---|---|"]
    for before in PaymentState:
        after = [f"`{state.value}`" for state in PaymentState if is_allowed(before, state)]
        rows.append(f"| `{before.value}` | {', '.join(after) if after else 'nowhere: an end'} |")
    return "\n".join(rows)


def slip_picture(language: str, operation: str = "pay") -> str:
    """Return a made-up slip of the shipped template of a language, as a printer of 32 columns prints it."""
    press = SlipPress(timezone=_TASHKENT)
    made = press.make(press.load(None, language), sample_data(operation), _WIDTH)
    return "\n".join(["```text", *(line.rstrip() for line in made.lines), "```"])
