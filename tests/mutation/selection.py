"""Pytest plugin of ``run.py``. It notes which tests reach which lines, or runs the tests of one mutant after another.

``PAYME_REACH`` names the file to write: ``{"tests": [[id, seconds], ...], "lines": {file: {line: [index, ...]}}}``.
``PAYME_MUTANTS`` names a file of jobs, one JSON document a line: ``{"path", "source", "function", "tests"}``. For each
a child is forked from this process, which has collected the tests once. Its answer, the id of the test that failed or
an empty text, is a line of the file ``PAYME_KILLERS``.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NoReturn

from coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

AT_MOST_S = 300
UNCHANGED = "(not changed: the code is not loaded as expected)"
_ROOT = Path(__file__).parents[2]
_REACH = os.environ.get("PAYME_REACH")
_MUTANTS = os.environ.get("PAYME_MUTANTS")
_seconds: dict[str, float] = {}
_failed: list[str] = []
_coverage = Coverage(data_file=None, config_file=False, source=[str(_ROOT / "payme_plugin")])

if _REACH:
    _coverage.start()


def pytest_runtest_logstart(nodeid: str) -> None:
    if _REACH:
        _coverage.switch_context(nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration
    if report.failed:
        _failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    if not _REACH:
        return
    _coverage.stop()
    data = _coverage.get_data()
    index = {name: at for at, name in enumerate(_seconds)}
    lines = {
        str(Path(file).relative_to(_ROOT)): {
            line: sorted({index[name] for name in names if name in index})
            for line, names in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    Path(_REACH).write_text(json.dumps({"tests": list(_seconds.items()), "lines": lines}), "utf-8")


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the jobs in place of the session's tests, each in a child."""
    if not _MUTANTS:
        return None
    items = {item.nodeid: item for item in session.items}
    with Path(os.environ["PAYME_KILLERS"]).open("a", encoding="utf-8") as killers:
        for line in Path(_MUTANTS).read_text("utf-8").splitlines():
            job = json.loads(line)
            chosen = [items[name] for name in job["tests"] if name in items]
            killers.write(json.dumps(_killer_of(job, chosen)) + "\n")
            killers.flush()
    return True


def _killer_of(job: dict[str, Any], items: list[pytest.Item]) -> str:
    """Return the test that fails with the change made, on the disk for new processes and in a child of this one."""
    path = Path(job["path"])
    former = path.read_bytes()
    read_end, write_end = os.pipe()
    path.write_text(job["source"], "utf-8")
    try:
        child = os.fork()
        if child == 0:
            os.setsid()
            _run(job, items, write_end)
        os.close(write_end)
        return _answer_of(child, read_end)
    finally:
        os.close(read_end)
        path.write_bytes(former)


def _run(job: dict[str, Any], items: list[pytest.Item], write_end: int) -> None:
    """Run the tests until one fails, tell which, and end this process."""
    try:
        _change(job["path"], job["source"], job["function"])
    except (LookupError, AttributeError, TypeError, ValueError):
        _end(UNCHANGED, write_end)
    for item, following in zip(items, [*items[1:], None], strict=False):
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        except BaseException as error:  # noqa: BLE001 - the change may break anything
            _failed.append(f"{item.nodeid} ({type(error).__name__})")
        if _failed:
            break
    killer = _failed[0] if _failed else ""
    _end(killer, write_end)


def _end(killer: str, write_end: int) -> NoReturn:
    os.write(write_end, f"{killer}\n".encode())
    os._exit(0)


def _answer_of(child: int, read_end: int) -> str:
    """Wait up to ``AT_MOST_S`` for a child's answer, and end what it has started; one that says nothing has crashed."""
    os.set_blocking(read_end, False)
    deadline, answer = time.monotonic() + AT_MOST_S, b""
    ended = (0, 0)
    while time.monotonic() < deadline and not answer.endswith(b"\n") and ended == (0, 0):
        time.sleep(0.01)
        ended = os.waitpid(child, os.WNOHANG)
        try:
            answer += os.read(read_end, 65536)
        except BlockingIOError:
            continue
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if ended == (0, 0):
        os.waitpid(child, 0)
    if answer:
        return answer.decode().strip()
    return "(the process ended)" if ended != (0, 0) else ""


def _change(path: str, source: str, function: str) -> None:
    """Put the changed code into the loaded function, or raise one of Python's errors of a missing or another object."""
    module = sys.modules.get(".".join(Path(path).relative_to(_ROOT).with_suffix("").parts))
    if module is None:
        return
    owner: object = module
    names = function.split(".")
    if inspect.isclass(found := vars(module).get(names[0])):
        owner, names = found, names[1:]
    target = inspect.unwrap(_function_of(inspect.getattr_static(owner, names[0])))
    if not isinstance(target, FunctionType):
        raise TypeError(function)
    compiled = compile(source, path, "exec")
    wanted = target.__code__.co_firstlineno, target.__code__.co_name
    (target.__code__,) = [code for code in _codes(compiled) if (code.co_firstlineno, code.co_name) == wanted]


def _function_of(found: Any) -> Any:  # noqa: ANN401 - whatever a class may hold
    if isinstance(found, property):
        return found.fget
    return found.__func__ if isinstance(found, staticmethod | classmethod) else found


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
