"""Ratios of speed: two things done in turns, in one run, on one machine; the median of the paired ratios counts."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator

Tell = Callable[[str, object], None]

SLACK = float(os.environ.get("PAYME_BENCHMARK_SLACK", "1"))
"""How much more than a limit is let pass: 1 on a quiet machine, more where neighbours take part of it."""

HERE = Path(__file__).parent
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


@dataclass(frozen=True)
class Ratio:
    """How long something took beside something else.

    Attributes:
        ratio: the median of the ratios of the rounds.
        ours_ms: the median of ours, in milliseconds.
        theirs_ms: the median of what it is measured against.
    """

    ratio: float
    ours_ms: float
    theirs_ms: float

    def __str__(self) -> str:
        return f"{self.ratio:.2f} x ({self.ours_ms:.2f} ms against {self.theirs_ms:.2f} ms)"


def compare(ours: Callable[[], float], theirs: Callable[[], float], rounds: int, warm_up: int = 1) -> Ratio:
    """Do both in turns and return how they compare; each returns the seconds that it took."""
    pairs = []
    for number in range(warm_up + rounds):
        # Who goes first changes, so that neither always meets what the other left in the caches.
        if number % 2:
            second, first = theirs(), ours()
        else:
            first, second = ours(), theirs()
        pairs.append((first, second))
    pairs = pairs[warm_up:]
    return Ratio(
        ratio=statistics.median(first / second for first, second in pairs),
        ours_ms=statistics.median(first for first, _ in pairs) * 1000,
        theirs_ms=statistics.median(second for _, second in pairs) * 1000,
    )


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` took."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def fresh(script: str, *arguments: str, python: str = sys.executable) -> str:
    """Return what ``script`` prints in a fresh interpreter, which sees installed packages alone."""
    done = subprocess.run(  # noqa: S603 - our own script
        [python, "-I", "-c", script, *arguments], capture_output=True, text=True, check=True, env=CLEAN, timeout=60
    )
    return done.stdout.strip()


@contextmanager
def lean_server(certificate: Path | None = None) -> Iterator[int]:
    """Run the lean PaymeGO in a process of its own; yield its port."""
    command = [sys.executable, str(HERE / "lean_server.py"), *([str(certificate)] if certificate else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=CLEAN) as process:  # noqa: S603
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate(timeout=30)


@pytest.fixture
def tell(capfd: pytest.CaptureFixture[str]) -> Tell:
    """Print a result, past pytest's capturing."""

    def printed(name: str, result: object) -> None:
        with capfd.disabled():
            sys.stdout.write(f"\n{name}: {result}\n")

    return printed


@dataclass(frozen=True)
class Server:
    """A server to measure against.

    Attributes:
        url: its address.
        ca_file: the certificates that its own leads to; None for plain http.
    """

    url: str
    ca_file: Path | None


@pytest.fixture(scope="session")
def plain_server() -> Iterator[Server]:
    with lean_server() as port:
        yield Server(f"http://127.0.0.1:{port}/api", None)


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "own.pem"))
    with lean_server(folder / "own.pem") as port:
        yield Server(f"https://localhost:{port}/api", folder / "ca.pem")
