#!/usr/bin/env python3
"""Change the core in small ways and report which test fails: ``python tests/mutation/run.py``.

``mutants.csv`` lists some 250 mutants and the test that killed each. Each mutant is made in a copy of the checkout.
The test that killed it before runs first. If it passes, all tests of the package's folders that reach the changed
lines run, the fastest first, for 60 s at most. The exit code is 1 if a mutant survives that the list says was killed.
A mutant whose code no longer exists is counted and stays in the list.

``--survivors`` runs those that no test killed before, ``--all`` both; ``--write`` updates the list, ``--draw`` draws it
anew, and ``--only TEXT`` runs the mutants whose file or function has the text in its name.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

import pytest

from mutants import FOLDERS, ROOT, draw, mutated, read, sites, write
from selection import AT_MOST_S, UNCHANGED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mutants import Mutant, Site

_EACH, _SEED = 100, 20261129
_BATCH = 10
_TEST_AT_MOST_S = 30
_NO_FAILURE = (0, pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the checkout, for one run of pytest at a time."""

    root: Path

    def pytest(self, *arguments: str, seconds: float | None = None, **files: Path) -> int:
        """Run pytest and return its exit code; raise TimeoutExpired after ``seconds``."""
        paths = os.pathsep.join([str(self.root), str(self.root / "tests" / "mutation")])
        command = [sys.executable, "-B", "-m", "pytest", "-qq", "-x", "-p", "selection", "-p", "no:randomly"]
        command += ["-p", "no:cacheprovider", "--numprocesses=0", "--hypothesis-seed=0", *arguments]
        environment = os.environ | {"PYTHONPATH": paths} | {name: str(path) for name, path in files.items()}
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
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    @property
    def output(self) -> str:
        """What the last run printed."""
        return (self.root / "output").read_text("utf-8")


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for, and return the exit code."""
    parser = argparse.ArgumentParser(description="Change the core in small ways and report which test fails.")
    parser.add_argument("--all", action="store_true", help="also mutants that no test killed before")
    parser.add_argument("--survivors", action="store_true", help="only mutants that no test killed before")
    parser.add_argument("--draw", action="store_true", help="draw the list anew")
    parser.add_argument("--write", action="store_true", help="put what was found into the list")
    parser.add_argument("--only", action="append", metavar="TEXT", help="mutants with the text in file or function")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="mutants at a time (one a core)")
    given = parser.parse_args(arguments)
    listed = dict.fromkeys(draw(_EACH, _SEED), "") if given.draw else read()
    places = {mutant: site for package in FOLDERS for mutant, site in sites(package).items()}
    chosen = {
        mutant: killer
        for mutant, killer in listed.items()
        if mutant in places
        and (given.all or given.draw or bool(killer) is not given.survivors)
        and any(text in f"{mutant.file} {mutant.function}" for text in given.only or [""])
    }
    with tempfile.TemporaryDirectory(prefix="payme-mutants-") as folder, ThreadPoolExecutor(given.workers) as pool:
        found = _Run(places, [_copy(Path(folder) / str(number)) for number in range(given.workers)], pool).run(chosen)
    worse = [mutant for mutant, killer in found.items() if listed[mutant] and not killer]
    for mutant in worse:
        _print(f"survives: {mutant}; killed before by {listed[mutant]}")
    killed, gone = sum(map(bool, found.values())), len(listed.keys() - places.keys())
    _print(f"{killed} of {len(found)} killed, {len(worse)} of the rest killed before; {gone} mutants no longer exist")
    if given.write or given.draw:
        write(listed | found)
    return 1 if worse else 0


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


class _Run:
    """Mutants run in several copies at a time."""

    def __init__(self, places: dict[Mutant, Site], copies: list[Copy], pool: ThreadPoolExecutor) -> None:
        self._places, self._pool = places, pool
        self._copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for copy in copies:
            self._copies.put(copy)

    def run(self, chosen: dict[Mutant, str]) -> dict[Mutant, str]:
        """Return for each mutant the test that kills it, or an empty text; ``chosen`` has the one that did before."""
        found = dict.fromkeys(chosen, "") | self._run_jobs(
            {mutant: [by] for mutant, by in chosen.items() if "::" in by}
        )
        if left := [mutant for mutant in chosen if not found[mutant]]:
            packages = sorted({mutant.package for mutant in left})
            reached = dict(zip(packages, self._pool.map(self._reach, packages), strict=True))
            found |= self._run_jobs(
                {mutant: reached[mutant.package].selection(mutant.file, self._places[mutant]) for mutant in left}
            )
        again = [mutant for mutant in chosen if found[mutant] == UNCHANGED]
        found |= dict(
            zip(again, self._pool.map(lambda mutant: self._on_disk(mutant, chosen[mutant]), again), strict=True)
        )
        return found

    def _run_jobs(self, tests: dict[Mutant, list[str]]) -> dict[Mutant, str]:
        found: dict[Mutant, str] = {}
        batches = [
            mutants[at : at + _BATCH]
            for package in FOLDERS
            for mutants in [[mutant for mutant in tests if mutant.package == package]]
            for at in range(0, len(mutants), _BATCH)
        ]
        for killers in self._pool.map(lambda batch: self._killers(batch, tests), batches):
            found |= killers
        return found

    def _killers(self, batch: list[Mutant], tests: dict[Mutant, list[str]]) -> dict[Mutant, str]:
        """Run the tests of mutants of one package in one process, which forks a child for each."""
        with self._copy() as copy:
            jobs, killers = copy.root / "jobs", copy.root / "killers"
            killers.write_text("", "utf-8")
            with jobs.open("w", encoding="utf-8") as file:
                for mutant in batch:
                    path = copy.root / mutant.file
                    source = mutated(path.read_bytes(), self._places[mutant]).decode()
                    job = {"path": str(path), "source": source, "function": mutant.function, "tests": tests[mutant]}
                    file.write(json.dumps(job) + "\n")
            code = copy.pytest(
                *_folders(batch[0]), f"--timeout={_TEST_AT_MOST_S}", PAYME_MUTANTS=jobs, PAYME_KILLERS=killers
            )
            if code:
                raise SystemExit(f"pytest ended with {code}:\n{copy.output}")
            found = dict(zip(batch, map(json.loads, killers.read_text("utf-8").splitlines()), strict=True))
        for mutant, killer in found.items():
            _print_result(mutant, killer)
        return found

    def _on_disk(self, mutant: Mutant, killer: str) -> str:
        """Run the tests in a process that loads the changed file: the test that killed it before, or all."""
        if "::" in killer and (by := self._on_disk_by(mutant, killer)):
            return by
        return self._on_disk_by(mutant, *_folders(mutant))

    def _on_disk_by(self, mutant: Mutant, *tests: str) -> str:
        with self._copy() as copy:
            path = copy.root / mutant.file
            source = path.read_bytes()
            path.write_bytes(mutated(source, self._places[mutant]))
            code, failed = 0, None
            try:
                code = copy.pytest(*tests, "-rfE", "--tb=no", seconds=2 * AT_MOST_S)
                failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", copy.output, re.MULTILINE)
            except subprocess.TimeoutExpired:
                pass
            finally:
                path.write_bytes(source)
        by = failed[1] if failed else f"(exit code {code})" if code not in _NO_FAILURE else ""
        _print_result(mutant, by)
        return by

    def _reach(self, package: str) -> _Reach:
        with self._copy() as copy:
            path = copy.root / "reach.json"
            if code := copy.pytest(*(f"tests/{folder}" for folder in FOLDERS[package]), PAYME_REACH=path):
                raise SystemExit(f"the tests of {package} fail as they are ({code}):\n{copy.output}")
            _print(f"the tests of {package} pass as they are")
            return _Reach(**json.loads(path.read_text("utf-8")))

    @contextlib.contextmanager
    def _copy(self) -> Iterator[Copy]:
        copy = self._copies.get()
        try:
            yield copy
        finally:
            self._copies.put(copy)


def _folders(mutant: Mutant) -> list[str]:
    return [f"tests/{folder}" for folder in FOLDERS[mutant.package]]


def _print_result(mutant: Mutant, killer: str) -> None:
    change = f"{mutant.before[:60]} -> {mutant.after[:60]}"
    _print(f"{'killed' if killer else 'survives':8} {mutant.file} {mutant.function}: {change}")


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's output


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


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
