"""``payme demo``: a till sells, cancels, refunds and recovers with a local PaymeGO server; every result is checked."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.demo.chain import run_chain
from payme_plugin.cli.demo.report import DemoReport
from payme_plugin.cli.demo.shop import DemoShop
from payme_plugin.cli.demo.show import Show
from payme_plugin.cli.demo.steps import STEPS
from payme_plugin.cli.options import GlobalOptions, current_options, pass_options
from payme_plugin.cli.output import ExitCode, UsageFault, echo_document, render, uzs
from payme_plugin.cli.params import BROKER
from payme_plugin.cli.till import LANGUAGE
from payme_plugin.delivery.accounts import AccountsFile
from payme_plugin.delivery.broker import Broker, BrokerAway, BrokerError
from payme_plugin.locale import message
from payme_plugin.sandbox import PortUnavailable
from payme_plugin.settings import SettingsError
from payme_plugin.settings.parsers import is_loopback, masked_address
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from payme_plugin.cli.demo.steps import Step
    from payme_plugin.paymego.protocols import MerchantAccount

__all__ = ["demo"]

_BROKER_STARTS_S = 30.0
_LOOKS_EVERY_S = 0.2
_TIMES = {0: "not sent", 1: "sent once", 2: "sent twice"}


@click.command(cls=Command)
@click.option("--show", is_flag=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=0)
@click.option("--broker", metavar="URL", type=BROKER)
@click.option("--accounts", metavar="FILE", type=click.Path(path_type=Path))
@pass_options
def demo(options: GlobalOptions, show: bool, port: int, broker: str | None, accounts: Path | None) -> int:
    """Run the demo, and return 1 if a check failed. The text of its help is in the catalogue."""
    report = DemoReport(quiet=options.json)
    language = options.lang or LANGUAGE
    if (show or port) and (broker is not None or accounts is not None):
        raise click.UsageError(render(message("cli.demo.show.not_a_chain")))
    try:
        with tempfile.TemporaryDirectory(prefix="payme-demo-") as folder:
            if broker is not None and accounts is not None:
                report.line("payme demo: a chain of ten tills and a local PaymeGO server, all in this process.")
                report.line("Requests, journals and broker are real. The money is not.")
                account = _account_in(accounts)
                _wait_for(broker)  # else each check would wait a minute for it
                run_chain(Path(folder), report, account, broker, language)
                report.summary()
            elif broker is None and accounts is None:
                report.line("payme demo: a till and a local PaymeGO server, both in this process.")
                report.line("Requests, journal, slips and power cuts are real. The money is not.")
                _run(DemoShop(Path(folder), report, language, port), report, is_shown=show)
            else:
                raise click.UsageError(render(message("cli.demo_chain_options")))
    except PortUnavailable as error:
        raise UsageFault(str(error)) from error
    except BrokerError as error:
        raise UsageFault(message("cli.broker_failed", broker=masked_address(str(broker)), reason=error)) from error
    if options.json:
        echo_document(report.document())
    return int(ExitCode.DONE if report.passed else ExitCode.REFUSED)


def _wait_for(broker: str) -> None:
    """Wait for a broker that may be starting.

    Raises:
        BrokerError: it can't be used, or not within half a minute.
    """
    ends_at = time.monotonic() + _BROKER_STARTS_S
    while True:
        try:
            Broker(broker).close()
        except BrokerAway:
            if time.monotonic() >= ends_at:
                raise
            time.sleep(_LOOKS_EVERY_S)
        else:
            return


def _account_in(path: Path) -> MerchantAccount:
    """Return the first merchant account in a file.

    Raises:
        UsageFault: the file can't be used, or the account is a real one.
    """
    try:
        account = next(iter(AccountsFile(path).current.by_pos_id.values()))
    except SettingsError as error:
        raise UsageFault(error.text(current_options().language)) from error
    if not is_loopback(account.url) or urlsplit(account.url).port is None:
        raise UsageFault(message("cli.demo_account", path=path, url=account.url))
    return account


def _run(shop: DemoShop, report: DemoReport, *, is_shown: bool) -> None:
    with shop.sandbox, shop.running:
        show = Show(shop.sandbox) if is_shown else None
        if show is not None:
            show.begin()
        shop.write_settings({})
        shop.restart()
        for step in STEPS:
            (report.step if step.codes else report.say)(step.text)
            if show is not None:
                show.pause()
            try:
                _check(shop, report, step)
            except Exception as error:  # noqa: BLE001 - the next step runs all the same
                report.check((f"{type(error).__name__}: {error}", False))
        report.step("The till's sales equal Payme's money")
        _compare(shop, report)
        report.summary()
        if show is not None:
            show.end()


def _check(shop: DemoShop, report: DemoReport, step: Step) -> None:
    """Do what a step says, and check its result, the money, the requests, the slip and the journal."""
    started = time.monotonic()
    result, message = shop.do(step)
    waited_s = time.monotonic() - started
    report.screen(message)
    if step is STEPS[0]:
        report.slip(shop.slips[0])
    held, sent, copies = shop.held(), shop.sent("receipts.pay"), [slip.copies for slip in shop.slips]
    checks = [(result, result == step.result), (f"Payme holds {_money(held)}", held == step.held)]
    if step.codes or step.journal:
        checks.append((f"receipts.pay {_TIMES.get(sent, f'sent {sent} times')}", sent == len(step.codes)))
    if step.result.startswith(("PAID", "REVERSED")):
        checks.append(("slip printed twice" if copies == [2] else f"slips printed: {copies}", copies == [2]))
    elif message:
        checks.append(("no slip", not copies))
    if step.result.startswith("REFUSED") and not step.codes:
        checks.append(("nothing sent", shop.sent() == 0))
    if step.result == "UNKNOWN":
        checks.append(("the cashier keeps the goods", message == Texts(shop.language)(Text.PAYMENT_UNKNOWN)))
    if step.waits:
        in_time = 0.9 <= waited_s <= 4 and shop.waits > 1  # noqa: PLR2004 - a second, on a busy machine
        checks.append((f"waited {waited_s:.1f} s with a progress bar", in_time))
    report.check(*checks)
    if step.journal:
        journal = shop.journal()
        report.check((f"journal: {journal}", journal == step.journal))


def _compare(shop: DemoShop, report: DemoReport) -> None:
    """Compare the till's sales with the money at Payme."""
    delivered, _ = shop.deliver()
    rows, held = shop.totals(), shop.sandbox.held()
    total = sum(booked for _, booked, _ in rows)
    report.line(f"{'till':>64}{'Payme':>14}")
    for title, *amounts in (*rows, ("Total, UZS", total, held)):
        report.line(f"   {title:<47}" + "".join(f"{uzs(amount):>14}" for amount in amounts))
    report.check(
        ("every sale agrees", all(booked == at_payme for _, booked, at_payme in rows)),
        (f"Payme holds {_money(held)} in all", held == total),
        ("no cancellation left", delivered == "delivered"),
    )


def _money(amount: int) -> str:
    return uzs(amount) if amount else "nothing"
