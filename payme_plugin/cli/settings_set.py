"""``payme settings set``: puts values into the settings file, checked first, every other byte of it left as it is."""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, Refusal, UsageFault, echo_document
from payme_plugin.conf_editor import Uneditable, edited
from payme_plugin.conf_file import MAX_FILE_BYTES, parse, read_bounded
from payme_plugin.fsync import sync_folder
from payme_plugin.settings import SETTINGS
from payme_plugin.settings.kinds import MAX_VALUE_CHARACTERS
from payme_plugin.settings.remarks import UnacceptableError, nearest, shown_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["set_"]

_KEY = "posKey"
_MAX_KEY_BYTES = 4_096
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BY_NAME = {setting.name: setting for setting in SETTINGS}


@click.command("set", cls=Command)
@click.argument("values", metavar="[NAME=VALUE]...", nargs=-1)
@click.option(
    "--key-from-stdin",
    is_flag=True,
)
@pass_options
def set_(options: GlobalOptions, values: tuple[str, ...], key_from_stdin: bool) -> int:
    """Put values into the settings file; everything else in it stays as it is.

    The key is never taken from the command line, where every user of the machine could see it.

    Exit code: 0 the file has them, 1 it can't be written, 2 a value or the file can't be used; nothing was changed.
    """
    if not values and not key_from_stdin:
        message = "nothing is given; allowed are NAME=VALUE, paymentType=7 say, and --key-from-stdin"
        raise UsageFault(message)
    answers = _checked(values)
    if key_from_stdin and (key := _key_from_stdin()):
        _require_no([_fault_of(_KEY, key)])
        answers[_KEY] = key
    changed = _change(options.conf_file, answers)
    if options.json:
        echo_document({"conf_file": str(options.conf_file), "changed": changed})
    else:
        click.echo(f"{options.conf_file}: " + (f"{', '.join(changed)} set." if changed else "nothing to change."))
    return int(ExitCode.DONE)


def _checked(values: Iterable[str]) -> dict[str, str]:
    """Split and check what the command line gives.

    Raises:
        UsageFault: it has every fault, one a line.
    """
    answers: dict[str, str] = {}
    faults: list[str | None] = []
    for pair in values:
        name, equals, value = pair.partition("=")
        if not equals:
            faults.append("allowed are NAME=VALUE, paymentType=7 say, and --key-from-stdin")
        elif name == _KEY:
            faults.append(f"{_KEY} can't be given on the command line, where others see it; use --key-from-stdin")
        elif name in answers:
            faults.append(f"{shown_name(name, nearest(name, _BY_NAME))} is given twice; allowed is once")
        else:
            faults.append(_fault_of(name, value))
            answers[name] = value
    _require_no(faults)
    return answers


def _fault_of(name: str, value: str) -> str | None:
    """Say why a setting can't have a value; None: it can."""
    setting = _BY_NAME.get(name)
    if setting is None:
        near = nearest(name, _BY_NAME)
        hint = f"did you mean {near}" if near else f"allowed are {', '.join(_BY_NAME)}"
        return f"there is no setting {shown_name(name, near)}; {hint}"
    if _UNFIT.search(value) or len(value) > MAX_VALUE_CHARACTERS:
        return f"{name}: allowed are up to {MAX_VALUE_CHARACTERS} characters, none of them a control character"
    try:
        setting.kind.read(value)
    except UnacceptableError as error:
        return f'{name} is "{setting.masked(value)}": {error}'
    return None


def _require_no(faults: Iterable[str | None]) -> None:
    found = [f"{fault}." for fault in faults if fault is not None]
    if found:
        raise UsageFault("\n".join(found))


def _key_from_stdin() -> str:
    """Return the first line of stdin without its end; a person at a terminal doesn't see what is typed.

    Raises:
        UsageFault: it is no text, or too long for a key.
    """
    if sys.stdin.isatty():
        prompt = f"{_KEY} (empty keeps the key that is there)"
        return str(click.prompt(prompt, default="", show_default=False, hide_input=True, err=True))
    line = sys.stdin.buffer.readline(_MAX_KEY_BYTES + 1)
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or len(line) > _MAX_KEY_BYTES:
        message = f"what came from stdin is no key; allowed is one line of UTF-8, up to {_MAX_KEY_BYTES} bytes"
        raise UsageFault(message)
    return text.rstrip("\r\n")


def _change(path: Path, answers: Mapping[str, str]) -> list[str]:
    """Put the answers into the file; return the names of those that it had not.

    Raises:
        UsageFault: the file is not there, can't be read, or has no room for them.
        Refusal: it can't be written.
    """
    try:
        data = read_bounded(path, MAX_FILE_BYTES).data
        result = edited(data, answers)
    except (OSError, Uneditable) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"{path} can't be changed: {reason}."
        raise UsageFault(message) from error
    if result != data:
        try:
            _replace(path, result)
        except OSError as error:
            message = f"{path} can't be written: {error.strerror}."
            raise Refusal(message) from error
    former = parse(data).values
    return [name for name, value in answers.items() if name not in former or former[name].text != value]


def _replace(path: Path, data: bytes) -> None:
    """Write a file anew, durably and all at once; its mode and owner stay, and a link keeps leading to it."""
    path = path.resolve()
    facts = path.stat()
    written = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchown(file.fileno(), facts.st_uid, facts.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(facts.st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
