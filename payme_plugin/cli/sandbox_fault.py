"""``payme sandbox fault``: the faults of a running sandbox, over its control API."""

from __future__ import annotations

import json
import shlex
from http import HTTPStatus
from typing import Any

import click

from payme_plugin.cli import output
from payme_plugin.cli.command import Group
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import Styled, UsageFault, echo
from payme_plugin.cli.params import AMOUNTS, SANDBOX_URL, TIMES, WholeNumber
from payme_plugin.locale import Message, escaped, message
from payme_plugin.sandbox import FaultKind

_DEFAULT_URL = "http://127.0.0.1:8765"
_TIMEOUT_S = 10.0
_MAX_ANSWER_BYTES = 8 << 20
_DETAILS = {
    **dict.fromkeys((FaultKind.REQUEST_DELAYED, FaultKind.ANSWER_DELAYED, FaultKind.SLOW_ANSWER), "after_s"),
    **dict.fromkeys((FaultKind.ERROR, FaultKind.ERROR_AFTER_EFFECT), "error_code"),
    **dict.fromkeys((FaultKind.HTTP_ERROR, FaultKind.HTTP_ERROR_AFTER_EFFECT), "status"),
}
"""The number that belongs to a kind."""

_url_option = click.option(
    "--url",
    metavar="URL",
    type=SANDBOX_URL,
    envvar="PAYME_SANDBOX_URL",
    show_envvar=True,
    default=_DEFAULT_URL,
    show_default=True,
)
fault = Group("fault")


@fault.command()
@click.argument("kind", metavar="KIND", type=click.Choice([kind.value for kind in FaultKind]))
@click.option("--method", metavar="METHOD")
@click.option("--code", metavar="DIGITS")
@click.option("--amount", metavar="UZS[-UZS]", type=AMOUNTS)
@click.option("--account", metavar="POSID")
@click.option("--header", metavar="'NAME[: VALUE]'")
@click.option("--times", metavar="N|always", type=TIMES, default="1", show_default=True)
@click.option("--skip", metavar="N", type=click.INT)
@click.option("--probability", metavar="P", type=click.FLOAT)
@click.option("--after", "after_s", metavar="SECONDS", type=click.FLOAT)
@click.option("--error-code", metavar="CODE", type=click.INT)
@click.option("--status", metavar="STATUS", type=click.INT)
@_url_option
@pass_options
def add(
    options: GlobalOptions,
    /,
    *,
    url: str,
    amount: tuple[int | None, int | None] | None,
    account: str | None,
    header: str | None,
    times: int | None,
    **given: object,
) -> None:
    """Add a fault to those still to happen."""
    amount_min, amount_max = amount or (None, None)
    name, has_value, value = (header or "").partition(":")
    selectors = {
        "amount_min": amount_min,
        "amount_max": amount_max,
        "pos_id": account,
        "header": None if header is None else name.strip(),
        "header_value": value.strip() if has_value else None,
    }
    members = {key: value for key, value in {**given, **selectors}.items() if value is not None}
    (rule,) = _rules(url, [_asked(url, "POST", "", {**members, "times": times})])
    if options.json:
        output.echo_document(rule)
    else:
        echo(message("cli.sandbox.fault.added", number=rule["number"], kind=_kind(rule)))


@fault.command("list")
@_url_option
@pass_options
def list_(options: GlobalOptions, url: str) -> None:
    """List the faults still to happen."""
    _show(options, url, _asked(url, "GET"))


@fault.command()
@click.argument("number", metavar="NUMBER", type=WholeNumber(1))
@_url_option
@pass_options
def remove(options: GlobalOptions, number: int, url: str) -> None:
    """Remove one fault; list those that are left."""
    _show(options, url, _asked(url, "DELETE", f"/{number}"))


@fault.command()
@_url_option
@pass_options
def clear(options: GlobalOptions, url: str) -> None:
    """Remove every fault."""
    _show(options, url, _asked(url, "DELETE"))


def _asked(url: str, method: str, path: str = "", document: dict[str, object] | None = None) -> Any:  # noqa: ANN401 - any JSON
    """Ask the control API for what is at a path below its faults; return the answer's JSON.

    Raises:
        UsageFault: there is no sandbox at ``url``, or it refuses the request.
    """
    from urllib3 import PoolManager  # noqa: PLC0415 - it takes longer to load than click
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    body = None if document is None else json.dumps(document).encode()
    try:
        with PoolManager(timeout=_TIMEOUT_S, retries=False) as pool:
            where = f"{url}/sandbox/v1/faults{path}"
            answer: Any = pool.urlopen(method, where, body=body, redirect=False, preload_content=False)
            status, content = answer.status, answer.read(_MAX_ANSWER_BYTES)
    except (HTTPError, OSError, ValueError) as error:
        raise UsageFault(message("cli.sandbox.fault.unreachable", url=url, reason=_reason(error))) from error
    try:
        found = json.loads(content)
        if status == HTTPStatus.OK:
            return found
        reason = str(found["error"]["data"])
    except (ValueError, LookupError, TypeError, RecursionError):
        raise _foreign(url) from None
    raise UsageFault(message("cli.sandbox.fault.refused", reason=reason))


def _rules(url: str, found: object) -> list[dict[str, Any]]:
    """Return the rules in an answer. UsageFault if it is not the answer of a sandbox."""
    if isinstance(found, list) and all(isinstance(each, dict) and _is_rule(each) for each in found):
        return found
    raise _foreign(url)


def _is_rule(rule: dict[str, Any]) -> bool:
    amounts = rule.get("amount_min"), rule.get("amount_max")
    return (
        type(rule.get("number")) is int
        and isinstance(rule.get("kind"), str)
        and all(amount is None or type(amount) is int for amount in amounts)
    )


def _foreign(url: str) -> UsageFault:
    return UsageFault(message("cli.sandbox.fault.foreign", url=url))


def _reason(error: BaseException) -> str:
    """Return why a connection failed in the words of the system, or else what failed."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _show(options: GlobalOptions, url: str, found: object) -> None:
    rules = _rules(url, found)
    if options.json:
        output.echo_document(rules)
    elif not rules:
        echo(message("cli.sandbox.fault.none"))
    else:
        cells = [
            [str(rule["number"]), _kind(rule), _selectors(rule), _times(rule), str(rule.get("skip"))] for rule in rules
        ]
        output.echo_table(("id", "fault", "requests", "times", "skip"), cells, right={0, 3, 4})


def _kind(rule: dict[str, Any]) -> str:
    """Return the kind and its number, e.g. ``error -31630``."""
    detail = next((name for kind, name in _DETAILS.items() if kind.value == rule["kind"]), "")
    number = rule.get(detail)
    if number is None:
        return str(rule["kind"])
    return f"{rule['kind']} {number:g} s" if isinstance(number, float) else f"{rule['kind']} {number}"


def _times(rule: dict[str, Any]) -> Message | str:
    times = rule.get("times")
    return message("cli.sandbox.fault.always") if times is None else str(times)


def _selectors(rule: dict[str, Any]) -> Message | Styled:
    """Return which requests get a fault, in the words of the options that select them."""
    low, high = rule.get("amount_min"), rule.get("amount_max")
    value = rule.get("header_value")
    options = {
        "method": rule.get("method"),
        "code": rule.get("code"),
        "amount": None if low is None and high is None else _amounts(low, high),
        "account": rule.get("pos_id"),
        "header": rule.get("header") if value is None else f"{rule.get('header')}: {value}",
        "probability": None if rule.get("probability") == 1 else rule.get("probability"),
    }
    shown = [f"--{name} {shlex.quote(escaped(str(value)))}" for name, value in options.items() if value is not None]
    return Styled(" ".join(shown)) if shown else message("cli.sandbox.fault.any")


def _amounts(low: int | None, high: int | None) -> str:
    """Return a range of tiyin as the option takes it, in UZS."""
    shown = ["" if each is None else f"{each // 100}.{each % 100:02d}" for each in (low, high)]
    return shown[0] if low == high else "-".join(shown)
