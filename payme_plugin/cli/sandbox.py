"""``payme sandbox``: a local PaymeGO with its pages, until it is stopped, with a line for each request."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from payme_plugin.cli.command import Group
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import (
    ExitCode,
    OutputFailed,
    Refusal,
    Styled,
    UsageFault,
    echo,
    echo_document,
    fault,
    local_time,
    render,
    style,
)
from payme_plugin.cli.params import SANDBOX_ACCOUNT, WholeNumber
from payme_plugin.cli.sandbox_fault import fault as fault_group
from payme_plugin.cli.screen import until_stopped
from payme_plugin.clock import SystemClock
from payme_plugin.locale import Message, message
from payme_plugin.sandbox import (
    SANDBOX_POS_ID,
    EventKind,
    PortUnavailable,
    Sandbox,
    ScenarioError,
    StateFileError,
    load_scenario,
)

if TYPE_CHECKING:
    import threading

    from payme_plugin.sandbox import Played, Reader, Scenario

_PORT = 8765
_PAYMENT_TYPE = 7
_PER_BUYER = 3
_SERIALS = 1_000_000_000
_LOOKS_EVERY_S = 0.2
_LONGEST_SHOWN = 40
_HTTP_OK = 200

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


@click.group(cls=Group)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDR")
@click.option("--port", type=WholeNumber(0, 65_535), default=_PORT, show_default=True)
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--account", "accounts", type=SANDBOX_ACCOUNT, multiple=True, metavar="POSID[:KEY]")
@click.option("--scenario", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@pass_options
@click.pass_context
def sandbox(
    context: click.Context,
    options: GlobalOptions,
    host: str,
    port: int,
    state: Path | None,
    accounts: tuple[tuple[str, str | None], ...],
    scenario: Path | None,
) -> int:
    """Serve a local PaymeGO until Ctrl+C; print settings, addresses and codes for it, then every request."""
    if context.invoked_subcommand is not None:
        return int(ExitCode.DONE)
    (pos_id, pos_key), *others = accounts or ((SANDBOX_POS_ID, None),)
    for number, (given, _) in enumerate(accounts):
        if given in {each for each, _ in accounts[:number]}:
            raise UsageFault(message("cli.sandbox.account_twice", account=given))
    server = Sandbox(port, host=host, pos_id=pos_id, pos_key=pos_key, state=state)
    prepared = None if scenario is None else _read_scenario(scenario)
    try:
        with until_stopped() as stopped, server:
            for other in others:
                _add_account(server, *other)
            played = None if prepared is None else _play(server, prepared)
            if not server.is_loopback:
                fault(message("cli.sandbox.not_loopback", host=host))
            # First, because a till may send its first request as soon as it can read the settings.
            reader, _ = server.subscribe()
            _show_start(options, server, played)
            _show_requests(options, server, reader, stopped)
    except PortUnavailable as error:
        unavailable = message("cli.sandbox.port_unavailable", host=error.host, port=error.port, reason=error.reason)
        raise UsageFault(unavailable) from error
    except StateFileError as error:
        key = f"cli.sandbox.state.{error.fault.name.lower()}"
        raise UsageFault(message(key, path=error.path, reason=error.reason, account=pos_id)) from error
    return int(ExitCode.DONE)


sandbox.add_command(fault_group)


def _add_account(server: Sandbox, pos_id: str, pos_key: str | None) -> None:
    known = server.bank.account(pos_id)
    if known is None:
        server.add_account(pos_id, pos_key)
    elif pos_key not in {None, known.pos_key}:
        raise UsageFault(message("cli.sandbox.state.other_key", account=pos_id))


def _read_scenario(path: Path) -> Scenario:
    """Return the scenario in a file.

    Raises:
        UsageFault: the file can't be read or used; it has every problem.
    """
    try:
        return load_scenario(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageFault(message("cli.file_unreadable", path=path, reason=reason)) from error
    except ScenarioError as error:
        raise _unusable(error, path) from error


def _play(server: Sandbox, scenario: Scenario) -> Played:
    try:
        return server.play(scenario)
    except ScenarioError as error:
        raise _unusable(error, "--scenario") from error


def _unusable(error: ScenarioError, path: Path | str) -> UsageFault:
    problems = (message("cli.file_unusable", path=path, reason=problem) for problem in error.problems)
    return UsageFault("\n".join(render(problem) for problem in problems))


def _show_played(server: Sandbox, played: Played) -> None:
    echo(message("cli.sandbox.played", faults=len(played.faults), accounts=len(played.accounts)))
    echo()
    for phone in played.phones:
        echo(f"  {server.phone_url}?phone={phone.phone_id}")
    for code in played.codes:
        echo(f"  {code}")
    echo()


def _codes() -> list[tuple[Message, list[str]]]:
    """Return codes for every buyer, other ones at each start: a till refuses a code that it has sent already."""
    first = SystemClock().wall_ms() // 1000 % _SERIALS
    serials = [(first + number) % _SERIALS for number in range(_PER_BUYER)]
    return [(message(buyer), [f"0077{digits}{serial:09d}" for serial in serials]) for buyer, digits in _BUYERS]


def _show_start(options: GlobalOptions, server: Sandbox, played: Played | None) -> None:
    try:
        if options.json:
            echo_document({**_document(server), "scenario": None if played is None else played.as_json()})
        else:
            _show(server, played)
    except OutputFailed as error:
        if error.is_closed:
            raise
        # Nothing has been done yet whose outcome could be lost.
        raise Refusal(message("cli.output_failed", reason=error.reason)) from error


def _document(server: Sandbox) -> dict[str, object]:
    return {
        "url": server.url,
        "phone_url": server.phone_url,
        "dashboard_url": server.dashboard_url,
        "control_url": server.control_url,
        "pos_id": server.pos_id,
        "pos_key": server.pos_key,
        "payment_type": _PAYMENT_TYPE,
        "accounts": [
            {"pos_id": account.pos_id, "pos_key": account.pos_key, "name": account.name} for account in server.accounts
        ],
        "codes": [{"buyer": str(buyer), "codes": codes} for buyer, codes in _codes()],
    }


def _show(server: Sandbox, played: Played | None) -> None:
    addresses = {"dashboard": server.dashboard_url, "phone": server.phone_url, "control": server.control_url}
    echo(message("cli.sandbox.addresses", **addresses))
    echo()
    for line in _qr(server.phone_url):
        echo(style(line, fg="black", bg="bright_white"))
    if server.is_loopback:
        echo(message("cli.sandbox.phone_in_network"))
        echo()
    for number, account in enumerate(server.accounts):
        echo(message("cli.sandbox.settings" if number == 0 else "cli.sandbox.settings_of", account=account.pos_id))
        echo()
        echo("[Main]")
        echo(f'url = "{server.url}"')
        echo(f'posId = "{account.pos_id}"')
        echo(f'posKey = "{account.pos_key}"')
        echo(f"paymentType = {_PAYMENT_TYPE}")
        if not server.is_loopback:
            echo("allowPlainHttp = 1")
        echo()
    echo(message("cli.sandbox.codes"))
    echo()
    for buyer, codes in _codes():
        echo(f"  {codes[0]}  ", buyer)
    echo()
    if played is not None:
        _show_played(server, played)
    echo(message("cli.sandbox.requests"))


def _qr(text: str) -> list[str]:
    """Return the lines of a QR code; none without segno, or if stdout can't take its characters."""
    try:
        import segno  # noqa: PLC0415 - an extra

        "█▀▄".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (ImportError, UnicodeEncodeError):
        return []
    rows = [list(row) for row in segno.make(text, micro=False).matrix_iter(border=2)]
    rows += [[0] * len(rows[0])] * (len(rows) % 2)
    cells = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(cells[above, below] for above, below in zip(*pair, strict=True)) for pair in pairs]


def _show_requests(options: GlobalOptions, server: Sandbox, reader: Reader, stopped: threading.Event) -> None:
    """Print a line for each request that is over, until stopped; a stdout that can't be written is said once."""
    can_print = True
    # What was answered before the stop is printed too.
    while (event := server.next_event(reader, 0 if stopped.is_set() else _LOOKS_EVERY_S)) or not stopped.is_set():
        if event is None and not reader.is_open:
            reader, _ = server.subscribe()
            fault(message("cli.sandbox.left_out"))
        request = json.loads(event.data) if event is not None and event.kind is EventKind.REQUEST else None
        if request is None or request["took_ms"] is None or not can_print:
            continue
        try:
            echo(*([Styled(json.dumps(request))] if options.json else _line(request)))
        except OutputFailed as error:
            if error.is_closed:
                raise
            fault(message("cli.output_failed", reason=error.reason))
            can_print = False


def _line(request: dict[str, Any]) -> list[Message | str]:
    """Return the time, the account, the method, the receipt, the outcome and the duration of a request."""
    result = (request["answer"] or {}).get("result")
    receipt = result.get("receipt", {}) if isinstance(result, dict) else {}
    shown = request["params"].get("id", receipt.get("_id"))
    receipt_id = shown[:_LONGEST_SHOWN] if isinstance(shown, str) else "-"
    account, method = request["pos_id"] or "?", request["method"][:_LONGEST_SHOWN] or "?"
    time = local_time(request["at_ms"]).rpartition(" ")[2]
    head = f"{time}  {account}  {method:<24}  {receipt_id:<24}  "
    return [head, *_outcome(request), f"  {request['took_ms']} ms"]


def _outcome(request: dict[str, Any]) -> list[Message | str]:
    fault_kind = request["fault"]
    answer = _answer_in_words(request)
    return [answer] if fault_kind is None else [message("cli.sandbox.line.fault", kind=fault_kind), ", ", answer]


def _answer_in_words(request: dict[str, Any]) -> Message | str:
    status, answer = request["status"], request["answer"]
    if status is None:
        return message("cli.sandbox.line.no_answer")
    if status != _HTTP_OK or not isinstance(answer, dict):
        return f"HTTP {status}"
    if "error" in answer:
        return message("cli.sandbox.line.error", code=answer["error"]["code"])
    result = answer.get("result")
    if isinstance(result, list):
        return message("cli.sandbox.line.receipts", number=len(result))
    state = result.get("receipt", result).get("state") if isinstance(result, dict) else None
    return "ok" if state is None else message("cli.sandbox.line.state", state=state)
