#!/usr/bin/env python3
"""Breaks the core in 400 small ways and tells which test fails: ``python tests/mutation/run.py``.

Each mutant of ``mutants.csv`` is made in a copy of the checkout. There the tests of its package's folders that reach
its lines run, the fastest first, for 60 s at most. The exit code is 1 if a mutant survives that the list says was
killed. ``--draw`` draws the list anew, ``--write`` updates it with what was found, ``--only TEXT`` runs the mutants
whose file or function has the text in its name. A mutant whose code no longer exists is counted and stays in the list.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from mutants import FOLDERS, ROOT, draw, mutated, read, sites, write

if TYPE_CHECKING:
    from mutants import Mutant, Site

_EACH, _SEED = 100, 20261129
_AT_MOST_S, _TEST_AT_MOST_S = 60, 30


@dataclass(slots=True)
class Copy:
    """A copy of the checkout, for one mutant at a time."""

    root: Path
    runs: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    def pytest(self, folders: tuple[str, ...], seconds: float | None, **variables: Path) -> int:
        """Run the tests of the folders and return pytest's exit code; raise TimeoutExpired after ``seconds``."""
        paths = os.pathsep.join([str(self.root), str(self.root / "tests" / "mutation")])
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-qq",
            "-x",
            "-p",
            "selection",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
        ]
        command += ["--numprocesses=0", "--hypothesis-seed=0", *(f"tests/{folder}" for folder in folders)]
        if seconds is not None:
            command.append(f"--timeout={_TEST_AT_MOST_S}")
        environment = os.environ | {"PYTHONPATH": paths} | {name: str(path) for name, path in variables.items()}
        with (self.root / "output").open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                return process.wait(seconds)
            finally:
                _end_session(process)


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for, and return the exit code."""
    parser = argparse.ArgumentParser(description="Break the core in 400 small ways and tell which test fails.")
    parser.add_argument("--draw", action="store_true", help="draw the list anew")
    parser.add_argument("--write", action="store_true", help="put what was found into the list")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only the mutants with the text in their file or function"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="mutants at a time (one a core)")
    given = parser.parse_args(arguments)
    listed = dict.fromkeys(draw(_EACH, _SEED), "") if given.draw else read()
    places = {mutant: site for package in FOLDERS for mutant, site in sites(package).items()}
    alive = {
        mutant: places[mutant]
        for mutant in listed
        if mutant in places and given.only in f"{mutant.file} {mutant.function}"
    }
    with tempfile.TemporaryDirectory(prefix="payme-mutants-") as folder:
        found = run(alive, Path(folder), given.workers)
    worse = [mutant for mutant, killer in found.items() if listed[mutant] and not killer]
    for mutant in worse:
        _say(f"alive: {mutant}; killed before by {listed[mutant]}")
    killed, gone = sum(map(bool, found.values())), len(listed.keys() - places.keys())
    _say(f"{killed} of {len(found)} killed, {len(worse)} of the rest killed before; {gone} mutants no longer exist")
    if given.write or given.draw:
        write(listed | found)
    return 1 if worse else 0


def run(alive: dict[Mutant, Site], folder: Path, workers: int) -> dict[Mutant, str]:
    """Run each mutant's tests, and return the test that killed it, or an empty text."""
    copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    for number in range(workers):
        copies.put(_copy(folder / str(number)))
    packages = sorted({mutant.package for mutant in alive})
    with ThreadPoolExecutor(workers) as pool:
        reached = dict(zip(packages, pool.map(lambda package: _reach(package, copies), packages), strict=True))
        killers = pool.map(lambda row: _killer(row[0], row[1], reached[row[0].package], copies), alive.items())
        return dict(zip(alive, killers, strict=True))


@dataclass(frozen=True, slots=True)
class _Reach:
    """Which tests reach which lines: ids of tests, fastest first, and by file and line their numbers in that list."""

    tests: list[tuple[str, float]]
    lines: dict[str, dict[str, list[int]]]

    def selection(self, file: str, site: Site) -> list[str]:
        """Return the tests that reach the lines of a site; all of them if none does in its own process."""
        by_line = self.lines.get(file, {})
        numbers = {
            number for line in range(site.first_line, site.last_line + 1) for number in by_line.get(str(line), [])
        }
        chosen = [self.tests[number] for number in numbers] or self.tests
        return [name for name, _ in sorted(chosen, key=lambda test: test[1])]


def _reach(package: str, copies: queue.SimpleQueue[Copy]) -> _Reach:
    copy = copies.get()
    path = copy.root / "reach.json"
    if code := copy.pytest(FOLDERS[package], None, PAYME_REACH=path):
        raise SystemExit(
            f"the tests of {package} fail as they are ({code}):\n{(copy.root / 'output').read_text('utf-8')}"
        )
    copies.put(copy)
    _say(f"the tests of {package} pass as they are")
    return _Reach(**json.loads(path.read_text("utf-8")))


def _killer(mutant: Mutant, site: Site, reach: _Reach, copies: queue.SimpleQueue[Copy]) -> str:
    copy = copies.get()
    copy.runs += 1
    path, killer, selection = copy.root / mutant.file, copy.root / "killer", copy.root / "selection"
    killer.write_text("", "utf-8")
    selection.write_text("\n".join(reach.selection(mutant.file, site)), "utf-8")
    source = path.read_bytes()
    path.write_bytes(mutated(source, site))
    _age(path, copy.runs)
    try:
        code = copy.pytest(FOLDERS[mutant.package], _AT_MOST_S, PAYME_SELECTION=selection, PAYME_KILLER=killer)
        by = killer.read_text("utf-8") or f"(exit code {code})" if code else ""
    except subprocess.TimeoutExpired:
        by = killer.read_text("utf-8")
    path.write_bytes(source)
    copy.runs += 1
    _age(path, copy.runs)
    copies.put(copy)
    _say(f"{by and 'killed'!s:8} {mutant.file} {mutant.function}: {mutant.before[:60]} -> {mutant.after[:60]}")
    return by


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's output


def _age(path: Path, runs: int) -> None:
    """Give a file a time of its own, so that no bytecode of another text of it is taken."""
    os.utime(path, (1_700_000_000 + 10 * runs,) * 2)


def _copy(root: Path) -> Copy:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    root.mkdir()
    subprocess.run(["xargs", "-0", "cp", "--parents", "-t", str(root)], cwd=ROOT, input=listed, check=True)  # noqa: S603, S607
    return Copy(root)


def _end_session(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
