"""``payme settings``: check, show and change the settings file; the key is never shown."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Group
from payme_plugin.cli.files import existing_data_dir, read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import CommandFailed, ExitCode, Refusal, UsageFault, echo, echo_document, fault, render
from payme_plugin.conf_file import (
    ACCOUNT,
    MAX_FILE_BYTES,
    Content,
    Snapshot,
    UnacceptableError,
    edited,
    parse,
    read_bounded,
    without,
)
from payme_plugin.fsync import sync_folder
from payme_plugin.locale import Message, message
from payme_plugin.paymego import codes
from payme_plugin.settings import SETTINGS, LoadedSettings, SettingsError, SettingWarning
from payme_plugin.settings.problems import Origin, SettingFault, Source, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from payme_plugin.settings.model import FormerAccount

_KEY = "posKey"
_KEYS = {_KEY, "posKeyFile"}
_MAX_KEY_BYTES = 4_096
_BY_NAME = {setting.name: setting for setting in SETTINGS}

settings = Group("settings")


@settings.command()
@pass_options
def check(options: GlobalOptions) -> int:
    """Print every fault and every warning of the settings file."""
    loaded = _load(options)
    loaded.warnings += _warnings_of_returns(options, loaded)
    if options.json:
        echo_document(_report(options, loaded))
    elif not loaded.faults:
        echo(message("settings.file_usable", path=options.conf_file))
    return _told(loaded)


@settings.command()
@pass_options
def show(options: GlobalOptions) -> int:
    """Print every setting without a fault, and where it came from."""
    loaded = _load(options)
    rows = [
        {
            "name": row.name,
            "value": row.value,
            "source": row.origin.source.value,
            "line": row.origin.line,
            "where": render(row.origin.message),
        }
        for row in loaded.rows
    ]
    if options.json:
        echo_document(rows)
    else:
        for row in loaded.rows:
            value = f"({render(row.setting.unset)})" if row.setting is not None and not row.value else row.value
            echo(f"{row.name:<20}  {value:<40}  {render(row.origin.message)}")
    return _told(loaded)


@settings.command("set")
@click.argument("values", metavar="[NAME=VALUE]...", nargs=-1)
@click.option("--key-from-stdin", is_flag=True)
@click.option("--check", "only_check", is_flag=True)
@pass_options
def set_(options: GlobalOptions, values: tuple[str, ...], key_from_stdin: bool, only_check: bool) -> int:
    """Put values into the settings file if the whole file can be used with them.

    The key is never taken from the command line, where every user of the machine could see it.
    """
    if not values and not key_from_stdin:
        raise UsageFault(message("settings.no_answers"))
    answers, faults = _answers_of(values, _key_from_stdin() if key_from_stdin else "")
    path = options.conf_file
    try:
        content = read_bounded(path, MAX_FILE_BYTES)
        result, former = _edited(options, content, answers)
    except (OSError, UnacceptableError) as error:
        what = error.explanation if isinstance(error, UnacceptableError) else error.strerror
        raise UsageFault(message("settings.not_changed", path=path, what=what)) from error
    loaded = _load(options, replace(content, data=result))
    wrong = {each.key for each in faults}
    # What the command line gives has no line yet.
    loaded.faults = faults + [
        each._replace(origin=Origin(Source.CALLER)) if each.key in answers else each
        for each in loaded.faults
        if each.key not in wrong
    ]
    known = parse(content.data).values
    changed = [name for name, value in answers.items() if name not in known or known[name].text != value]
    is_written = not loaded.faults and not only_check
    if is_written:
        if result != content.data:
            _write(path, result, loaded.warnings)
        options.result = int(ExitCode.DONE)
    if options.json:
        echo_document({**_report(options, loaded), "changed": changed if is_written else []})
    elif is_written:
        echo(message("settings.changed" if changed else "settings.unchanged", path=path, names=", ".join(changed)))
        if former is not None:
            echo(message("settings.account_kept", pos_id=former.pos_id))
    return _told(loaded)


def _load(options: GlobalOptions, content: Content | None = None) -> LoadedSettings:
    """Load the settings file, or what is to be written into it; a file that was named must be there."""
    path = options.conf_file
    file = path if options.conf is not None or content is not None else None
    loaded = LoadedSettings({}, file, codes, snapshot=Snapshot({} if content is None else {path: content}))
    if file is None and not path.exists():
        loaded.warnings.append(SettingWarning(None, None, Origin(Source.FILE, path), message("settings.no_file")))
    return loaded


def _told(loaded: LoadedSettings) -> int:
    """Print the problems, one a line, and return the exit code."""
    for each in loaded.faults:
        fault(each.message)
    for warning in loaded.warnings:
        fault(message("settings.warning", problem=warning.message))
    return int(ExitCode.USAGE if loaded.faults else ExitCode.DONE)


def _report(options: GlobalOptions, loaded: LoadedSettings) -> dict[str, object]:
    problems = {
        kind: [
            {"name": each.key, "value": each.value, "line": each.line, "message": render(each.message)}
            for each in found
        ]
        for kind, found in (("faults", loaded.faults), ("warnings", loaded.warnings))
    }
    return {"conf_file": str(options.conf_file), "ok": not loaded.faults, **problems}


def _warnings_of_returns(options: GlobalOptions, loaded: LoadedSettings) -> list[SettingWarning]:
    """Return why pending cancellations can't be delivered; doctor reports a journal that can't be read."""
    try:
        with read_journal(options.data_dir) as reader:
            rows = [] if reader is None else [reader.payment(row.payment_id) for row in reader.live_cancellations()]
        return loaded.settings().return_warnings([(row.pos_id, row.url) for row in rows])
    except (CommandFailed, SettingsError):
        return []


def _answers_of(values: Iterable[str], key: str) -> tuple[dict[str, str], list[SettingFault]]:
    """Return the answers that fit their settings, and what is wrong with the others."""
    answers: dict[str, str] = {}
    faults: list[SettingFault] = []
    for pair in values:
        name, equals, value = pair.partition("=")
        if not equals:
            faults.append(_fault(name, message("settings.no_pair")))
        elif name == _KEY:
            faults.append(_fault(name, message("settings.key_visible")))
        elif name in answers:
            faults.append(_fault(name, message("settings.answered_twice")))
        elif name not in _BY_NAME:
            faults.append(_fault(name, unknown_name(name, _BY_NAME)[1]))
        else:
            answers[name] = value
    if key:
        answers[_KEY] = key
    for name, value in list(answers.items()):
        try:
            _BY_NAME[name].kind.parse(value)
        except UnacceptableError as error:
            faults.append(_fault(name, error.explanation, _BY_NAME[name].masked(answers.pop(name))))
    return answers, faults


def _fault(name: str, explanation: Message, value: str | None = None) -> SettingFault:
    return SettingFault(unknown_name(name, _BY_NAME)[0], value, Origin(Source.CALLER), explanation)


def _key_from_stdin() -> str:
    """Return the first line of stdin without its end; at a terminal what is typed is not shown."""
    if sys.stdin is None:  # it was closed by the caller
        return ""
    if sys.stdin.isatty():
        prompt = render(message("settings.key_prompt"))
        return str(click.prompt(prompt, default="", show_default=False, hide_input=True, err=True))
    # What is longer or not UTF-8 is refused as a value.
    return sys.stdin.buffer.readline(_MAX_KEY_BYTES).decode(errors="replace").rstrip("\r\n")


def _edited(options: GlobalOptions, content: Content, answers: dict[str, str]) -> tuple[bytes, FormerAccount | None]:
    """Return the file with the answers, and the former account that got a section of its own, or None.

    The account that becomes the current one loses its section; its key comes from there if no other is given.

    Raises:
        UnacceptableError: the file can't be read, or has no room for a value.
        UsageFault: the former account can't be kept.
    """
    result = edited(content.data, answers)
    before = _load(options, content)
    former, pos_id = before.values.get("pos_id"), _load(options, replace(content, data=result)).values.get("pos_id")
    if pos_id in {None, former}:
        return result, None
    has_key = not answers.keys().isdisjoint(_KEYS)
    section = before.conf.accounts.get(str(pos_id), {})
    takes_back = _KEY in section and not has_key
    if takes_back:
        former_values = {name: section[name].text for name in ("url", _KEY) if name in section}
        result = edited(content.data, {**former_values, **answers})
    if takes_back or has_key:
        result = without(result, f"{ACCOUNT}{pos_id}")
    if not (has_key or former) or not _has_payments(options, former):
        return result, None
    if before.account is None:
        problem = next(each for each in before.faults if each.key in {"url", "posId", *_KEYS})
        raise UsageFault(message("settings.account_not_kept", path=options.conf_file, problem=problem.message))
    values = {"url": before.account.url, _KEY: before.account.pos_key.reveal()}
    return edited(result, values, f"{ACCOUNT}{former}"), before.account


def _has_payments(options: GlobalOptions, pos_id: str | None) -> bool:
    """Return whether the journal may hold payments of a merchant account; None: of any."""
    try:
        with read_journal(existing_data_dir(options)) as reader:
            accounts = set() if reader is None else reader.accounts()
    except CommandFailed:
        return True
    return bool(accounts) if pos_id is None else pos_id in accounts


def _write(conf_file: Path, data: bytes, warnings: list[SettingWarning]) -> None:
    """Replace the file durably and at once, or warn that it may not be durable.

    Its mode and owner stay, and a link keeps leading to it.

    Raises:
        Refusal: it is as it was.
    """
    path = conf_file.resolve()
    written = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    try:
        facts = path.stat()
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchown(file.fileno(), facts.st_uid, facts.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(facts.st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
    except OSError as error:
        raise Refusal(message("settings.not_changed", path=conf_file, what=error.strerror)) from error
    finally:
        with suppress(OSError):
            written.unlink()
    try:
        sync_folder(path.parent)
    except OSError as error:
        explanation = message("settings.not_synced", reason=error.strerror)
        warnings.append(SettingWarning(None, None, Origin(Source.FILE, conf_file), explanation))
