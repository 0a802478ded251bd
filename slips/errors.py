"""What can be wrong with a template or a slip."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SlipError", "TemplateError", "TemplateFault"]


class SlipError(Exception):
    """A slip couldn't be made. The text names the element, and never a value that was printed."""


@dataclass(frozen=True)
class TemplateFault:
    """One mistake in a template.

    Attributes:
        line: line in the file, from 1; 0 where the fault is the file's as a whole.
        column: column in the line, from 1; 0 where the fault is the file's as a whole.
        reason: what is wrong and what is allowed.
        nearest: the allowed name that is most like the one found, or None.
    """

    line: int
    column: int
    reason: str
    nearest: str | None = None

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        return f"{place}{self.reason}{hint}"


class TemplateError(SlipError):
    """A template can't be used.

    Attributes:
        source: path of the file, or the name of the shipped template.
        faults: every mistake, in the order of the file.
    """

    def __init__(self, source: str, faults: tuple[TemplateFault, ...]) -> None:
        super().__init__(source, faults)
        self.source = source
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(f"{self.source}: {fault}" for fault in self.faults)
