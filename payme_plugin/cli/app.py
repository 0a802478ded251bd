"""The command ``payme``: its commands, each imported when it is used, and how each ends: exit code, error, Ctrl+C."""

from __future__ import annotations

import gettext
import os
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from payme_plugin import VERSION
from payme_plugin.cli import output
from payme_plugin.cli.command import Group, help_text
from payme_plugin.cli.options import GlobalOptions
from payme_plugin.cli.output import ExitCode, OutputFailed
from payme_plugin.locale import message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from payme_plugin.locale import Message

_SECTIONS = {
    "money": {"pay": "money", "cancel": "money", "refund": "money"},
    "look": {"status": "status", "reconcile": "reconcile", "doctor": "doctor"},
    "repair": {"queue": "queue", "worker": "worker", "journal": "repair"},
    "try": {
        "settings": "settings",
        "slip": "slip",
        "sandbox": "sandbox",
        "conformance": "conformance",
        "demo": "demo",
        "completion": "command",
    },
}
"""The commands by section, each with its module."""


class _Payme(Group):
    is_root = True

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [name for commands in _SECTIONS.values() for name in commands]

    def sections(self, ctx: click.Context) -> Iterable[tuple[str, Iterable[str]]]:  # noqa: ARG002 - click's signature
        return [(help_text("section", title), commands) for title, commands in _SECTIONS.items()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        module = next((each[cmd_name] for each in _SECTIONS.values() if cmd_name in each), None)
        if module is None:
            return None
        try:
            if cmd_name != "doctor":
                # Another program's package may have one of these names; the plugin that needs them is loaded later.
                from hookspecs import PosPlugins as _PosPlugins  # noqa: F401, PLC0415
                from slips import SlipError as _SlipError  # noqa: F401, PLC0415
            loaded = import_module(f"payme_plugin.cli.{module}")
        except Exception:
            _refuse_foreign_packages()
            raise
        command: click.Command = getattr(loaded, cmd_name)
        return command

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:  # noqa: ANN401 - click's own signature
        """Run one command; exit with its code, or return it if ``standalone_mode`` is off."""
        arguments = sys.argv[1:] if args is None else list(args)
        is_standalone = extra.pop("standalone_mode", True)
        options = extra.setdefault("obj", GlobalOptions())
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        run: Callable[..., object] = super().main
        with click.Context(self, obj=options), _clicks_texts():
            code = _code_of(options, lambda: run(arguments, *more, standalone_mode=False, **extra))
        if is_standalone:
            sys.exit(code)
        return code

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command and return its exit code; click itself would take a closed connection for a closed stdout."""
        return _code_of(ctx.find_object(GlobalOptions) or GlobalOptions(), lambda: super(_Payme, self).invoke(ctx))


main = click.version_option(VERSION, "-V", "--version", prog_name="payme", message="%(prog)s %(version)s")(
    _Payme("payme", context_settings={"help_option_names": ["-h", "--help"]})
)


@contextmanager
def _clicks_texts() -> Iterator[None]:
    """Let click find its own texts in our catalogue ``click`` while the context lasts, in the ``LANGUAGE`` set then."""
    before, domain = os.environ.get("LANGUAGE"), gettext.textdomain()
    gettext.bindtextdomain("click", Path(__file__).parents[1] / "locale")
    gettext.textdomain("click")
    try:
        yield
    finally:
        gettext.textdomain(domain)
        os.environ.pop("LANGUAGE", None)
        os.environ.update({} if before is None else {"LANGUAGE": before})


def _code_of(options: GlobalOptions, run: Callable[[], object]) -> int:
    """Return the exit code of a command, and print why it failed; a final outcome keeps its code."""
    try:
        code = run()
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, click.Abort):
        code = _failed(options, ExitCode.STOPPED, message("cli.stopped"))
    except OutputFailed as error:
        code = ExitCode.PIPE_CLOSED if error.is_closed else ExitCode.INTERNAL
        if options.result is not None or not error.is_closed:
            key = "cli.output_failed" if options.result is None else "cli.output_failed_after_result"
            output.fault(message(key, reason=error.reason))
    except click.ClickException as error:
        code = _refused(options, error)
    except Exception as error:  # noqa: BLE001 - the boundary: a technician never gets a traceback
        code = _failed(options, ExitCode.INTERNAL, _internal(options, error))
    if options.result is not None:
        return options.result
    return int(code) if isinstance(code, int) else ExitCode.DONE


def _refused(options: GlobalOptions, error: click.ClickException) -> int:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        output.say(error.ctx.get_usage())
        output.say(output.render(message("cli.try_help", command=error.ctx.command_path)) + "\n")
    error_id = error.error_id if isinstance(error, output.CommandFailed) else "cli.usage"
    return _failed(options, error.exit_code, error.format_message(), error_id)


def _failed(options: GlobalOptions, code: int, text: Message | str, error_id: str = "") -> int:
    """Tell an error on stderr and, with ``--json``, as a document on stdout; return its exit code."""
    output.fault(text)
    if options.json and options.result is None:
        found = error_id if isinstance(text, str) else text.key
        try:
            output.echo_document({"error": {"id": found, "message": output.render(text), "exit_code": int(code)}})
        except OutputFailed as error:
            output.fault(message("cli.output_failed", reason=error.reason))
    return int(code)


def _refuse_foreign_packages() -> None:
    """Raise if ``hookspecs`` or ``slips`` is another program's package; the doctor works without both."""
    from payme_plugin.doctor.finding import Level  # noqa: PLC0415
    from payme_plugin.doctor.installation import check_imports  # noqa: PLC0415

    foreign = [found for found in check_imports() if found.level is Level.FAULT]
    if foreign:
        raise output.Refusal(
            "\n".join(f"{output.render(found.text)} {output.render(found.remedy)}" for found in foreign)
        )


def _internal(options: GlobalOptions, error: Exception) -> Message:
    """Return the text of an internal error; its traceback goes into the log if there may be one."""
    import traceback  # noqa: PLC0415 - internal errors only

    last = traceback.extract_tb(error.__traceback__)[-1:]
    kind = f"{type(error).__name__} in {last[0].name}" if last else type(error).__name__
    try:
        path = _logged(options.data_dir, error)
    except Exception:  # noqa: BLE001 - what can't be read may be the very fault that is to be reported
        path = None
    return message("cli.internal" if path is None else "cli.internal_logged", error=kind, path=path)


def _logged(folder: Path, error: Exception) -> Path | None:
    """Write an error's details into the command's log and return its path; None if there may not be one.

    A log is not made beside another till's journal.
    """
    import logging  # noqa: PLC0415 - internal errors only

    from payme_plugin.cli.files import command_log, journal_identity, log_path  # noqa: PLC0415
    from payme_plugin.log import LOGGER_NAME  # noqa: PLC0415
    from payme_plugin.secret import safe_traceback  # noqa: PLC0415
    from payme_plugin.till import reference_identity  # noqa: PLC0415

    path = log_path(folder)
    if not path.parent.is_dir() or not (path.exists() or journal_identity(folder) in {None, reference_identity()}):
        return None
    with command_log(folder):
        logging.getLogger(LOGGER_NAME).error("the command failed: %s", safe_traceback(error))
    return path
