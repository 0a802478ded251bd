"""``payme queue``: the cancellations that have not ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from payme_plugin.cli.given import Given, global_options, pass_given
from payme_plugin.cli.journal import read_journal
from payme_plugin.cli.output import ExitCode, echo_document
from payme_plugin.clock import SystemClock

if TYPE_CHECKING:
    from payme_plugin.ledger.rows import CancellationRow

__all__ = ["queue"]

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


@click.group(invoke_without_command=True)
@global_options
@click.pass_context
def queue(context: click.Context) -> None:
    """Look at the money that is on its way back to buyers."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@queue.command("list")
@global_options
@pass_given
def list_(given: Given) -> int:
    """List the cancellations that have not ended, oldest first."""
    with read_journal(given.data_dir) as reader:
        rows = [] if reader is None else reader.live_cancellations()
    now_ms = SystemClock().wall_ms()
    if given.json:
        echo_document([_document(row, now_ms) for row in rows])
    elif not rows:
        click.echo("No money is on its way back.")
    else:
        click.echo(f"{'Id':>4}  {'Cause':<10}  {'Age':>6}  {'Tries':>5}  {'Payment':<32}  Last error")
        for row in rows:
            click.echo(
                f"{row.cancellation_id:>4}  {row.cause.value:<10}  {_age(_age_s(row, now_ms)):>6}  {row.attempts:>5}"
                f"  {row.payment_id:<32}  {row.last_error}".rstrip()
            )
    return int(ExitCode.DONE)


def _age_s(row: CancellationRow, now_ms: int) -> int:
    return max(0, now_ms - row.created_at) // 1000


def _document(row: CancellationRow, now_ms: int) -> dict[str, object]:
    return {
        "id": row.cancellation_id,
        "payment_id": row.payment_id,
        "receipt_id": row.receipt_id,
        "cause": row.cause.value,
        "age_s": _age_s(row, now_ms),
        "attempts": row.attempts,
        "last_error": row.last_error or None,
    }


def _age(age_s: int) -> str:
    """Return an age as people say it: ``42 s``, ``5 min``, ``3 h``, ``2 d``."""
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if age_s >= unit_s:
            return f"{age_s // unit_s} {unit}"
    return f"{age_s} s"
