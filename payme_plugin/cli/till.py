"""The reference till, opened for one command: settings checked first, then the folder, then the plugins."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from payme_plugin import PLUGIN_NAME
from payme_plugin.cli import files
from payme_plugin.cli.files import refuse_foreign_journal
from payme_plugin.cli.options import current_options
from payme_plugin.cli.output import Refusal, UsageFault, fault, render
from payme_plugin.cli.screen import Screen
from payme_plugin.clock import SystemClock
from payme_plugin.locale import message
from payme_plugin.paymego import codes
from payme_plugin.settings import Settings, SettingsError, read_settings
from payme_plugin.till import FolderUnusable, OutcomeUnknown, Till, TillBusy, TillError, unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hookspecs import Slip
    from payme_plugin.cli.options import GlobalOptions
    from payme_plugin.till import Operation, StoredReceipt

GOODS = "Товар"
"""What the reference till sells."""

SLIP_WIDTH = 32

NO_WORKER = {"runWorker": "0"}
"""A command ends in seconds: ``payme worker`` and ``payme queue deliver`` return money, not a thread of it."""

LANGUAGE = "ru"
"""What the cashier reads where the settings name no language."""


class Busy(Refusal):
    """Another command works at the reference till in the same folder."""


def checked_settings(conf_file: Path, *, only_returns: bool = False) -> Settings:
    """Return the settings in ``conf_file``, which must be there.

    Args:
        conf_file: the settings file.
        only_returns: the command charges nothing, so a fault that does not stop returns is only printed.

    Raises:
        UsageFault: it can't be read or used; the text has every fault, one a line.
    """
    try:
        return read_settings({}, conf_file, codes)
    except SettingsError as error:
        if only_returns and error.for_returns is not None:
            fault(error.text(current_options().language))
            return error.for_returns
        hint = "" if conf_file.is_file() else f" {render(message('cli.name_a_conf_file'))}"
        raise UsageFault(f"{error.text(current_options().language)}{hint}") from error


@contextmanager
def open_till(
    options: GlobalOptions, printed: list[Slip], *, only_returns: bool = False, own: tuple[Operation, str] | None = None
) -> Iterator[Till]:
    """Open the reference till on the data folder and finish what an earlier command left unfinished.

    Args:
        options: the options of the command.
        printed: takes the slips, in the order in which they are to be printed.
        only_returns: as for ``checked_settings``; with a fault the plugin charges nothing.
        own: what the command does itself, and with which payment.

    Money effect: may charge what an earlier command was asked for, never twice, and may cancel what it had begun to.

    Raises:
        UsageFault: the settings can't be used, the journal is another till's, or the folder failed before a plugin was
            asked for what is ``own``.
        Busy: another command works at the till.
        Refusal: the till can't do it.
        OutcomeUnknown: a plugin failed in a hook that moves money, or the folder failed after it.
        click.Abort: Ctrl+C was pressed before the command's own work began.
    """
    screen = Screen(SystemClock())
    settings = checked_settings(options.conf_file, only_returns=only_returns)
    refuse_foreign_journal(options.data_dir)
    till = Till(
        options.data_dir,
        {"confFile": str(options.conf_file), **NO_WORKER, **({"language": options.lang} if options.lang else {})},
        screen,
        language=options.lang or settings.language or LANGUAGE,
        slip_width=SLIP_WIDTH,
        print_slip=printed.append,
        notice=screen.notice,
        main_log=files.MAIN_LOG,
    )
    with till_errors(), screen.stoppable(), till:
        require_plugin(till)
        for restored in till.restore(lambda: screen.is_stopped, own=own):
            fault(message("cli.left_unfinished", number=restored.number, outcome=restored.outcome))
        if screen.is_stopped:
            raise click.Abort
        before = till.store.receipts()
        try:
            yield till
        except FolderUnusable as error:
            if own is None or not _has_begun(till, own, before):
                raise
            raise OutcomeUnknown(own[1], message("cli.sale_not_written", **dict(error.text.values))) from error


def _has_begun(till: Till, own: tuple[Operation, str], before: tuple[StoredReceipt, ...]) -> bool:
    """Return whether a plugin may have been asked for ``own``: the till stores that first, in any run."""
    stored = [receipt for receipt in till.store.receipts() if receipt.payment_id == own[1]]
    return any(receipt not in before or unfinished(receipt) == own for receipt in stored)


@contextmanager
def till_errors() -> Iterator[None]:
    """Give each of the till's errors the exit code that it ends a command with; ``OutcomeUnknown`` is the command's."""
    try:
        yield
    except FolderUnusable as error:
        raise UsageFault(error.text) from error
    except OutcomeUnknown:
        raise
    except TillError as error:
        raise (Busy if isinstance(error, TillBusy) else Refusal)(error.text) from error


def require_plugin(till: Till) -> None:
    """Refuse to work without the plugin, and say why it is out of service."""
    faults = [message("cli.plugin_fault", plugin=each.plugin, reason=each.reason) for each in till.hooks.faults]
    if PLUGIN_NAME not in till.hooks.names:
        raise Refusal("\n".join(render(each) for each in (*faults, message("cli.no_plugin", plugin=PLUGIN_NAME))))
    for each in faults:
        fault(each)
