"""The settings, the error codes that they ignore, and who can read the files that hold secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.doctor.finding import Check, Finding, Level
from payme_plugin.paymego import codes
from payme_plugin.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "FileFacts",
    "check_ignored_errors",
    "check_modes",
    "check_settings",
    "look_at_files",
    "look_at_settings",
]

_OTHERS_READ_OR_WRITE = 0o006
_OTHERS_WRITE = 0o002
_STICKY = 0o1000
# What these warnings say is told by checks of their own.
_TOLD_ELSEWHERE = frozenset({"posKey", "ignoredErrors"})


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file or folder that others must not touch.

    Attributes:
        path: which.
        mode: its permission bits.
        is_folder: others may look into it, but not write.
    """

    path: Path
    mode: int
    is_folder: bool


def look_at_settings(conf_file: Path) -> Settings | SettingsError:
    """Return what the settings file says, or what is wrong with it; it must be there."""
    try:
        return read_settings({}, conf_file, codes)
    except SettingsError as error:
        return error


def check_settings(read: Settings | SettingsError, conf_file: Path) -> list[Finding]:
    """Judge the settings: every fault and every warning is a finding."""
    faults = read.faults if isinstance(read, SettingsError) else ()
    said = [
        Finding(Check.SETTINGS, Level.FAULT, str(fault), f"Mend it in {conf_file}; no restart is needed.")
        for fault in faults
    ]
    said += [
        Finding(Check.SETTINGS, Level.WARNING, str(warning), f"Mend it in {conf_file}; no restart is needed.")
        for warning in read.warnings
        if warning.key not in _TOLD_ELSEWHERE
    ]
    return said or [Finding(Check.SETTINGS, Level.OK, f"{conf_file} can be used.")]


def check_ignored_errors(settings: Settings) -> list[Finding]:
    """Judge ``ignoredErrors``: a code there must prove that no money moved."""
    ignored = sorted(settings.ignored_errors, reverse=True)
    doubtful = [code for code in ignored if not codes.proves_no_charge(code)]
    foreign = [code for code in ignored if not codes.is_documented(code)]
    said = []
    if doubtful:
        text = f"These codes do not prove that no money moved: {', '.join(map(_explained, doubtful))}."
        remedy = "Take them out of ignoredErrors; while they are there, the receipt's state decides all the same."
        said.append(Finding(Check.IGNORED_ERRORS, Level.WARNING, text, remedy))
    if foreign:
        text = f"The manual's list does not have these codes: {', '.join(map(str, foreign))}."
        remedy = f"Take them out of ignoredErrors; the manual has {', '.join(map(str, codes.MANUAL_CODES))}."
        said.append(Finding(Check.IGNORED_ERRORS, Level.WARNING, text, remedy))
    if said:
        return said
    text = (
        f"{len(ignored)} in ignoredErrors; each proves that no money moved."
        if ignored
        else "ignoredErrors is empty: every error is followed by a cancellation."
    )
    return [Finding(Check.IGNORED_ERRORS, Level.OK, text)]


def look_at_files(files: Iterable[Path]) -> tuple[FileFacts, ...]:
    """Return the modes of those files and folders that are there."""
    found = []
    for path in files:
        try:
            status = path.stat()
            found.append(FileFacts(path, status.st_mode & 0o7777, path.is_dir()))
        except OSError:  # others tell that it is missing
            continue
    return tuple(found)


def check_modes(files: Iterable[FileFacts]) -> list[Finding]:
    """Judge who can read files that hold secrets, and who can write folders that hold the journal."""
    said = []
    for file in files:
        if file.is_folder:
            if file.mode & _OTHERS_WRITE and not file.mode & _STICKY:
                text = f"Others can take files out of {file.path} (mode {file.mode:04o})."
                said.append(Finding(Check.MODES, Level.WARNING, text, f"chmod o-w {file.path}"))
        elif file.mode & _OTHERS_READ_OR_WRITE:
            text = f"Others can read or change {file.path} (mode {file.mode:04o})."
            said.append(Finding(Check.MODES, Level.WARNING, text, f"chmod 0600 {file.path}"))
    return said or [Finding(Check.MODES, Level.OK, "The files with secrets are closed to others.")]


def _explained(code: int) -> str:
    entry = codes.find(code)
    return f"{code} (not known)" if entry is None else f"{code} ({entry.meaning})"
