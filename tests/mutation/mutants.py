"""Mutants of the core: one small change of one expression each, found again by what it changes, not by its line."""

from __future__ import annotations

import ast
import csv
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("mutants.csv")

# The folders whose tests have to kill the mutants of a package.
FOLDERS = {
    "operations": ("payments", "recovery", "reversals", "delivery"),
    "ledger": ("journal", "payments", "recovery", "reversals"),
    "delivery": ("delivery", "recovery"),
    "paymego": ("protocol", "texts", "payments", "recovery"),
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "-", ast.Sub: "+", ast.Mult: "//", ast.FloorDiv: "*"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A change of ``before`` to ``after``, for the ``nth`` time that this change is possible in ``function``."""

    package: str
    file: str
    function: str
    nth: int
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a mutant is today: lines from 1, offsets in bytes from the start of the file."""

    first_line: int
    last_line: int
    start: int
    end: int
    text: str


def sites(package: str) -> dict[Mutant, Site]:
    """Return every mutant that is possible in a package, in the order of its files."""
    found: dict[Mutant, Site] = {}
    for path in sorted((ROOT / "payme_plugin" / package).glob("*.py")):
        found.update(_File(package, path).mutants())
    return found


def draw(each: int, seed: int) -> list[Mutant]:
    """Draw ``each`` mutants a package."""
    chosen = random.Random(seed)  # noqa: S311 - to be drawn again
    return [mutant for package in FOLDERS for mutant in sorted(chosen.sample(list(sites(package)), each), key=str)]


def mutated(source: bytes, site: Site) -> bytes:
    """Return the source of a file with the change made."""
    return source[: site.start] + site.text.encode() + source[site.end :]


def read() -> dict[Mutant, str]:
    """Read the committed list: each mutant with the test that killed it, or an empty text."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return {
            Mutant(
                package=row["package"],
                file=row["file"],
                function=row["function"],
                nth=int(row["nth"]),
                before=row["before"],
                after=row["after"],
            ): row["killed by"]
            for row in csv.DictReader(file)
        }


def write(rows: dict[Mutant, str]) -> None:
    """Write the list."""
    with LIST.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([*Mutant.__dataclass_fields__, "killed by"])
        lines.writerows(
            [*(getattr(mutant, name) for name in Mutant.__dataclass_fields__), by] for mutant, by in rows.items()
        )


class _File:
    """The mutants of one file."""

    def __init__(self, package: str, path: Path) -> None:
        self._package, self._name = package, str(path.relative_to(ROOT))
        self._source = path.read_bytes()
        starts = [0]
        for line in self._source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts

    def mutants(self) -> Iterator[tuple[Mutant, Site]]:
        seen: dict[tuple[str, str, str], int] = {}
        for function, node, text in self._changes(ast.parse(self._source), ""):
            start, end = self._span(node)
            before, after = (" ".join(code.split()) for code in (self._source[start:end].decode(), text))
            nth = seen[function, before, after] = seen.get((function, before, after), 0) + 1
            mutant = Mutant(
                package=self._package, file=self._name, function=function, nth=nth, before=before, after=after
            )
            yield (
                mutant,
                Site(first_line=node.lineno, last_line=node.end_lineno or 0, start=start, end=end, text=text),
            )

    def _changes(self, parent: ast.AST, function: str) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
        for child in ast.iter_child_nodes(parent):
            inside = function
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inside = f"{function}.{child.name}".lstrip(".")
            if _is_no_code(child, parent):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield from ((inside, child, text) for text in self._texts(child))
            if isinstance(child, ast.If) and not isinstance(child.test, ast.Compare | ast.UnaryOp):
                yield inside, child.test, f"not ({self._code(child.test)})"
            yield from self._changes(child, inside)

    def _texts(self, node: ast.expr | ast.stmt) -> Iterator[str]:
        match node:
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                yield f"({self._code(left)}) {_COMPARISONS[type(operator)]} ({self._code(right)})"
            case ast.BoolOp(op=operator, values=values):
                yield (" or " if isinstance(operator, ast.And) else " and ").join(
                    f"({self._code(value)})" for value in values
                )
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield f"({self._code(operand)})"
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
                yield f"({self._code(left)}) {_ARITHMETIC[type(operator)]} ({self._code(right)})"
            case ast.Constant(value=bool(value)):
                yield str(not value)
            case ast.Constant(value=int(value)):
                yield str(value + 1)
            case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
                yield "return None"
            case ast.Expr(value=ast.Call()) | ast.Raise():
                yield "pass"

    def _code(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._source[start:end].decode()

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or 0, node.end_col_offset or 0
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[end_line - 1] + end_column


def _is_no_code(child: ast.AST, parent: ast.AST) -> bool:
    """Return whether a mutant there could change nothing that runs: imports, annotations, the text of a message."""
    if isinstance(child, ast.Import | ast.ImportFrom | ast.arguments | ast.JoinedStr):
        return True
    if isinstance(parent, ast.AnnAssign) and child is parent.annotation:
        return True
    if isinstance(parent, ast.FunctionDef | ast.ClassDef) and child in parent.decorator_list:
        return True
    if isinstance(parent, ast.FunctionDef) and child is parent.returns:
        return True
    return isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
