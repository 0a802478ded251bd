"""``payme sandbox``: a local PaymeGO with a buyer's phone, until it is stopped."""

from __future__ import annotations

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, UsageFault, echo_document
from payme_plugin.cli.stopping import until_stopped
from payme_plugin.clock import SystemClock
from payme_plugin.sandbox import PortUnavailable, Sandbox

__all__ = ["sandbox"]

_PORT = 8765
_PAYMENT_TYPE = 7
_PER_BUYER = 3
_SERIALS = 1_000_000_000

_BUYERS = (
    ("pays at once", "0000000"),
    ("confirms after 3 s", "0100003"),
    ("declines after 2 s", "0200002"),
    ("lacks funds (-31630)", "0300000"),
    ("never answers", "0400000"),
    ("pays; a return takes 5 s", "0600005"),
    ("pays; a return is refused", "0731800"),
)
"""What buyers do, and the digits that spell it in a code; the table of all is in ``payme_plugin.sandbox.behaviour``."""


@click.command(cls=Command)
@click.option(
    "--port",
    type=int,
    default=_PORT,
    show_default=True,
)
@pass_options
def sandbox(options: GlobalOptions, port: int) -> int:
    """Serve a local PaymeGO until Ctrl+C. No money moves anywhere.

    It prints a settings file and one-time codes for `payme pay`, and serves a page with a buyer's phone.

    Exit code: 0 it was stopped, 2 usage, or the port can't be had, or a library that it needs is missing.
    """
    server = Sandbox(port)
    try:
        with until_stopped() as stopped, server:
            if options.json:
                echo_document(_document(server))
            else:
                _show(server)
            stopped.wait()
    except PortUnavailable as error:
        raise UsageFault(str(error)) from error
    return int(ExitCode.DONE)


def _codes() -> list[tuple[str, list[str]]]:
    """Return codes for every buyer, other ones at each start: a till refuses a code that it has sent already."""
    first = SystemClock().wall_ms() // 1000 % _SERIALS
    serials = [(first + number) % _SERIALS for number in range(_PER_BUYER)]
    return [(buyer, [f"0077{digits}{serial:09d}" for serial in serials]) for buyer, digits in _BUYERS]


def _document(server: Sandbox) -> dict[str, object]:
    return {
        "url": server.url,
        "phone_url": server.phone_url,
        "pos_id": server.pos_id,
        "pos_key": server.pos_key,
        "codes": [{"buyer": buyer, "codes": codes} for buyer, codes in _codes()],
    }


def _show(server: Sandbox) -> None:
    click.echo(f"A local PaymeGO is listening. Ctrl+C ends it. The buyer's phone: {server.phone_url}")
    click.echo()
    click.echo("Settings for it:")
    click.echo()
    click.echo("[Main]")
    click.echo(f'url = "{server.url}"')
    click.echo(f'posId = "{server.pos_id}"')
    click.echo(f'posKey = "{server.pos_key}"')
    click.echo()
    click.echo("Codes for payme pay --qr; each works once, any other last nine digits make a new one:")
    click.echo()
    for buyer, codes in _codes():
        click.echo(f"  {codes[0]}  {buyer}")
