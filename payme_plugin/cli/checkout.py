"""The reference till, opened for one command: settings checked first, then the folder, then the plugins."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin import PLUGIN_NAME
from payme_plugin.cli import log_place
from payme_plugin.cli.journal import refuse_foreign_journal
from payme_plugin.cli.output import Refusal, UsageFault, fault
from payme_plugin.cli.screen import Screen
from payme_plugin.clock import SystemClock
from payme_plugin.paymego import codes
from payme_plugin.settings import Settings, SettingsError, read_settings
from payme_plugin.till import FolderUnusable, OutcomeUnknown, Till, TillBusy, TillError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hookspecs import Slip
    from payme_plugin.cli.given import Given

__all__ = ["GOODS", "LANGUAGE", "NO_WORKER", "SLIP_WIDTH", "Busy", "checked_settings", "open_till"]

GOODS = "Товар"
"""What the reference till sells."""

SLIP_WIDTH = 32

NO_WORKER = {"runWorker": "0"}
"""A command ends in seconds: ``payme worker`` and ``payme queue deliver`` return money, not a thread of it."""

LANGUAGE = "ru"
"""What the cashier reads where the settings name no language."""


class Busy(Refusal):
    """Another command works at the reference till in the same folder."""


def checked_settings(conf_file: Path) -> Settings:
    """Return the settings in ``conf_file``, which must be there.

    Raises:
        UsageFault: it can't be read or used; the text has every fault, one a line.
    """
    try:
        return read_settings({}, conf_file, codes)
    except SettingsError as error:
        hint = "" if conf_file.is_file() else " Name one with --conf."
        raise UsageFault(f"{error}{hint}") from error


@contextmanager
def open_till(
    given: Given,
    printed: list[Slip],
    *,
    except_payment: str | None = None,
    except_cancel: str | None = None,
    except_refund: str | None = None,
) -> Iterator[Till]:
    """Open the reference till on the data folder and finish what an earlier command left unfinished.

    Args:
        given: the options of the command.
        printed: takes the slips, in the order in which they are to be printed.
        except_payment: a payment that the command asks for itself.
        except_cancel: a payment that the command cancels itself.
        except_refund: a payment that the command refunds itself.

    Money effect: may charge what an earlier command was asked for, never twice, and may cancel what it had begun to.

    Raises:
        UsageFault: the settings or the folder can't be used, or the journal is another till's.
        Busy: another command works at the till.
        Refusal: the till can't do it.
        OutcomeUnknown: a plugin failed in a hook that moves money.
    """
    screen = Screen(SystemClock())
    till = _new_till(given, screen, printed)
    with _errors_as_exit_codes(), screen.stoppable(), till:
        _require_plugin(till)
        left = till.restore(but_payment=except_payment, but_cancel=except_cancel, but_refund=except_refund)
        for restored in left:
            fault(f"receipt {restored.number} was left unfinished by an earlier command: {restored.outcome}")
        yield till


def _new_till(given: Given, screen: Screen, printed: list[Slip]) -> Till:
    """Return the till, still closed, once its settings are checked and its journal is known to be its own."""
    settings = checked_settings(given.conf_file)
    refuse_foreign_journal(given.data_dir)
    return Till(
        given.data_dir,
        {"confFile": str(given.conf_file), **NO_WORKER},
        screen,
        language=settings.language or LANGUAGE,
        slip_width=SLIP_WIDTH,
        print_slip=printed.append,
        notice=screen.notice,
        main_log=log_place.MAIN_LOG,
    )


@contextmanager
def _errors_as_exit_codes() -> Iterator[None]:
    """Give each of the till's errors the exit code that it ends a command with; ``OutcomeUnknown`` is the command's."""
    try:
        yield
    except FolderUnusable as error:
        raise UsageFault(str(error)) from error
    except OutcomeUnknown:
        raise
    except TillBusy as error:
        raise Busy(str(error)) from error
    except TillError as error:
        raise Refusal(str(error)) from error


def _require_plugin(till: Till) -> None:
    """Refuse to work without the plugin, and say why it is out of service."""
    for each in till.faults:
        fault(f"plugin {each.plugin} {each.reason}")
    if PLUGIN_NAME not in till.plugin_names:
        message = (
            f"the plugin {PLUGIN_NAME!r} is not in service, so that no payment can be taken; "
            "is the distribution payme-plugin installed?"
        )
        raise Refusal(message)
