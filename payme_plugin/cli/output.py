"""What a command says: results on stdout, sentences on stderr, errors and exit codes.

Everything printed here is escaped, except for texts of the catalogue and what ``style`` returns.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import suppress
from datetime import datetime, timezone
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

import click

from payme_plugin.cli.options import current_options
from payme_plugin.locale import escaped, message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

    from payme_plugin.locale import Message

    Field = tuple[str, Message | str | list[str] | None]
    """The last part of a name's id after ``cli.field.``, and the value: a list has several lines, None is left out."""

_TIYIN_IN_SUM = 100
_AGE_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    QUEUED = 3
    """Not done, and what may have been charged goes back by itself; or the next command asks what became of it."""
    INTERNAL = 70
    """An internal error, or the output could not be written: the outcome was not reported."""
    STOPPED = 130
    PIPE_CLOSED = 141


class CommandFailed(click.ClickException):
    """A command that failed, in one sentence or one a line.

    Args:
        text: a message of a catalogue, or text from outside.

    Attributes:
        error_id: identifies the error in JSON.
    """

    exit_code = int(ExitCode.REFUSED)
    error_id = "cli.failed"

    def __init__(self, text: Message | str) -> None:
        super().__init__(str(text))
        self.text = text
        if not isinstance(text, str):
            self.error_id = text.key

    def format_message(self) -> str:
        """Return the text in the language of the command."""
        return render(self.text)


class Refusal(CommandFailed):
    """A command that could not be done."""

    error_id = "cli.refused"


class UsageFault(CommandFailed):
    """Settings, a folder or an argument that can't be used."""

    exit_code = int(ExitCode.USAGE)
    error_id = "cli.unusable"


class OutputFailed(Exception):
    """Stdout could not be written; the cause is an ``OSError``.

    Attributes:
        is_closed: its reader has gone.
        reason: why, in the words of the system.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.is_closed = error.errno == errno.EPIPE
        self.reason = error.strerror or type(error).__name__


class Styled(str):
    """Text that is printed as it is; only ``style`` makes it."""

    __slots__ = ()


def style(
    text: Message | str,
    *,
    fg: str | None = None,
    bg: str | None = None,
    bold: bool | None = None,
    dim: bool | None = None,
) -> Styled:
    """Return text, escaped, in a colour or weight if stdout is a terminal; NO_COLOR and TERM=dumb turn them off."""
    is_plain = (
        os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not (sys.stdout and sys.stdout.isatty())
    )
    return Styled(_shown(text) if is_plain else click.style(_shown(text), fg=fg, bg=bg, bold=bold, dim=dim))


def render(text: Message | str) -> str:
    """Return a message in the language of the command; a ``str`` as it is."""
    return text if isinstance(text, str) else text.text(current_options().language)


def _shown(part: Message | str) -> str:
    if isinstance(part, Styled) or not isinstance(part, str):
        return render(part)
    return escaped(part)


def echo(*parts: Message | str) -> None:
    """Print parts as one line on stdout.

    Raises:
        OutputFailed: stdout can't be written.
    """
    try:
        click.echo("".join(_shown(part) for part in parts))
    except OSError as error:
        _discard(sys.stdout)
        raise OutputFailed(error) from error


def echo_lines(text: Message | str) -> None:
    """Print text of one or more lines, e.g. what a cashier reads. It raises as ``echo`` does."""
    for line in render(text).splitlines():
        echo(line)


def document_of(row: object, names: str, **values: object) -> dict[str, object]:
    """Return members of a document: an enum by its value, a time in ISO 8601.

    Args:
        row: its attributes are the members that ``values`` lacks; of None each is null.
        names: the members in their order, separated by blanks; one that ends in ``_at`` is a time.
        values: members of other values, or that the row lacks.
    """
    document: dict[str, object] = {}
    for name in names.split():
        value: Any = values[name] if name in values else getattr(row, name) if row is not None else None
        if isinstance(value, Enum):
            value = value.value
        elif name.endswith("_at") and value is not None:
            value = iso_time(value)
        document[name] = value
    return document


def echo_document(document: object) -> None:
    """Print ``document`` as JSON, without escapes if stdout can take every letter. It raises as ``echo`` does."""
    echo(Styled(_json(document)))


def echo_documents(documents: Iterable[object]) -> None:
    """Print a list as ``echo_document`` does, but one member at a time: a journal of years has a million."""
    line = "["
    for document in documents:
        echo(Styled(line))
        line = _json([document]).removeprefix("[\n").removesuffix("\n]") + ","
    echo(Styled("[]" if line == "[" else f"{line[:-1]}\n]"))


def _json(document: object) -> str:
    import json  # noqa: PLC0415 - not for `payme --version`

    text = json.dumps(document, ensure_ascii=False, indent=2)
    text = "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2)
    return text


def echo_table(columns: Sequence[str], rows: Iterable[Sequence[Message | str]], *, right: Iterable[int]) -> None:
    """Print rows in columns as wide as their widest cell. It raises as ``echo`` does.

    Args:
        columns: the last part of each title's id after ``cli.column.``.
        rows: the cells of each row.
        right: the columns that are aligned to the right.
    """
    head = [message(f"cli.column.{name}") for name in columns]
    lines = [[_shown(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    sides = [">" if number in set(right) else "<" for number in range(len(widths))]
    for line in lines:
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
        echo("  ".join(cells).rstrip())


def field_lines(fields: Iterable[Field]) -> Iterator[str]:
    """Yield names and values in two columns, a line each."""
    shown = [(render(message(f"cli.field.{name}")), value) for name, value in fields if value is not None]
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        for number, line in enumerate(value if isinstance(value, list) else [value]):
            yield f"{'' if number else name:<{width}}  {_shown(line)}"


def fault(text: Message | str) -> None:
    """Print each line of ``text`` as a sentence on stderr; a stderr that can't be written is ignored."""
    for line in render(text).split("\n"):
        say(f"payme: {_shown(line)}")


def say(text: str, *, newline: bool = True) -> None:
    """Print text on stderr as it is; a stderr that can't be written is ignored."""
    try:
        click.echo(text, nl=newline, err=True)
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO | None) -> None:
    """Let the rest of a stream go nowhere, because Python flushes it at exit and fails with a code of its own."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)


def uzs(amount: int) -> str:
    """Return tiyin in UZS: 1500000 is ``15 000.00``."""
    whole, tiyin = divmod(amount, _TIYIN_IN_SUM)
    return f"{whole:,}.{tiyin:02d}".replace(",", " ")


def age_of(at_ms: int) -> int:
    """Return the seconds since a time in Unix milliseconds, at least 0."""
    return max(0, time.time_ns() // 1_000_000 - at_ms) // 1000


def age_in_words(age_s: int) -> Message:
    """Return an age in its largest unit, e.g. ``42 s``, ``5 min``, ``3 h``, ``2 d``."""
    unit_s, unit = next((each for each in _AGE_UNITS if age_s >= each[0]), (1, "seconds"))
    return message(f"cli.age.{unit}", number=age_s // unit_s)


def _moment(at_ms: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc).astimezone()
    except (OverflowError, ValueError, OSError):
        return None


def local_time(at_ms: int) -> str:
    """Return Unix milliseconds as ``2026-01-31 12:34:56`` in local time; a number that is not a time as it is."""
    moment = _moment(at_ms)
    return str(at_ms) if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def iso_time(at_ms: int) -> str | None:
    """Return Unix milliseconds in ISO 8601 with the local offset; None for a number that is not a time."""
    moment = _moment(at_ms)
    return None if moment is None else moment.isoformat(timespec="milliseconds")
