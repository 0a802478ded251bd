"""``payme sandbox``: a local PaymeGO with a buyer's phone, until it is stopped."""

from __future__ import annotations

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, UsageFault, echo, echo_document
from payme_plugin.cli.screen import until_stopped
from payme_plugin.clock import SystemClock
from payme_plugin.locale import Message, message
from payme_plugin.sandbox import PortUnavailable, Sandbox

_PORT = 8765
_PAYMENT_TYPE = 7
_PER_BUYER = 3
_SERIALS = 1_000_000_000

_BUYERS = (
    ("cli.sandbox.buyer.pays", "0000000"),
    ("cli.sandbox.buyer.confirms", "0100003"),
    ("cli.sandbox.buyer.declines", "0200002"),
    ("cli.sandbox.buyer.lacks_funds", "0300000"),
    ("cli.sandbox.buyer.never_answers", "0400000"),
    ("cli.sandbox.buyer.slow_return", "0600005"),
    ("cli.sandbox.buyer.refused_return", "0731800"),
)
"""What buyers do, and the digits that spell it in a code; see ``payme_plugin.sandbox.behaviour`` for all of them."""


@click.command(cls=Command)
@click.option("--port", type=click.IntRange(0, 65_535), default=_PORT, show_default=True)
@pass_options
def sandbox(options: GlobalOptions, port: int) -> int:
    """Serve a local PaymeGO until Ctrl+C; print settings, addresses and codes for it."""
    server = Sandbox(port)
    try:
        with until_stopped() as stopped, server:
            if options.json:
                echo_document(_document(server))
            else:
                _show(server)
            stopped.wait()
    except PortUnavailable as error:
        raise UsageFault(message("cli.sandbox.port_unavailable", port=error.port, reason=error.reason)) from error
    return int(ExitCode.DONE)


def _codes() -> list[tuple[Message, list[str]]]:
    """Return codes for every buyer, other ones at each start: a till refuses a code that it has sent already."""
    first = SystemClock().wall_ms() // 1000 % _SERIALS
    serials = [(first + number) % _SERIALS for number in range(_PER_BUYER)]
    return [(message(buyer), [f"0077{digits}{serial:09d}" for serial in serials]) for buyer, digits in _BUYERS]


def _document(server: Sandbox) -> dict[str, object]:
    return {
        "url": server.url,
        "phone_url": server.phone_url,
        "control_url": server.control_url,
        "pos_id": server.pos_id,
        "pos_key": server.pos_key,
        "payment_type": _PAYMENT_TYPE,
        "codes": [{"buyer": str(buyer), "codes": codes} for buyer, codes in _codes()],
    }


def _show(server: Sandbox) -> None:
    echo(message("cli.sandbox.addresses", phone=server.phone_url, control=server.control_url))
    echo()
    echo("[Main]")
    echo(f'url = "{server.url}"')
    echo(f'posId = "{server.pos_id}"')
    echo(f'posKey = "{server.pos_key}"')
    echo(f"paymentType = {_PAYMENT_TYPE}")
    echo()
    echo(message("cli.sandbox.codes"))
    echo()
    for buyer, codes in _codes():
        echo(f"  {codes[0]}  ", buyer)
