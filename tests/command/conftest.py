"""The real command, in this process and as one of its own, against the real sandbox."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.cli import main
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.sandbox import CancelPlan, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code.
        out: stdout; empty if it is the document of an error.
        err: stderr.
        error: the document of an error, with ``--json``.
    """

    code: int
    out: str
    err: str
    error: Any = None

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.out)

    @property
    def sentences(self) -> list[str]:
        """What stderr says, without the hint on usage and what comes before each sentence."""
        hint, blank, sentences = self.err.partition("\n\n")
        lines = (sentences if blank and hint.startswith("Usage: ") else self.err).splitlines()
        assert all(line.startswith("payme: ") for line in lines), self.err
        return [line[len("payme: ") :] for line in lines]


def ended(code: int, out: str, err: str) -> Ended:
    """Return how a command ended; the document of an error says the same as stderr and the exit code."""
    if not out.startswith('{\n  "error": '):
        return Ended(code, out, err)
    error = json.loads(out)["error"]
    assert list(error) == ["id", "message", "exit_code"]
    assert (error["exit_code"], error["message"].splitlines()) == (code, Ended(code, "", err).sentences)
    return Ended(code, "", err, error)


def payme(*arguments: str) -> Ended:
    """Run the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main.main(args=list(arguments), prog_name="payme", standalone_mode=False)
    return ended(code, out.getvalue(), err.getvalue())


def command_line(*arguments: str) -> list[str]:
    """The command as a process of its own, as its console script runs it."""
    return [sys.executable, "-c", "from payme_plugin.cli import main; main(prog_name='payme')", *arguments]


def environment(**changed: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", **changed}


@contextmanager
def worker_process(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``payme worker`` as a process of its own, killed at the end of the context where it lives then."""
    with subprocess.Popen(  # noqa: S603 - our own command
        command_line(*options, "worker"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def payme_process(*arguments: str, scanned: str | None = None) -> Ended:
    """Run the command as a process of its own; ``scanned`` comes from the scanner, which is stdin."""
    done = subprocess.run(  # noqa: S603 - our own command
        command_line(*arguments),
        input="" if scanned is None else scanned,
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        check=False,
        timeout=60,
    )
    return ended(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Shop:
    """A kassa at the sandbox: a settings file and a data folder of its own."""

    sandbox: Sandbox
    conf: Path
    folder: Path

    def configure(self, **changed: object) -> None:
        """Write the settings file; quick times unless a test says otherwise."""
        values: dict[str, object] = {
            "timeout": 5,
            "payDuration": 5000,
            "frequency": 100,
            "url": f'"{self.sandbox.url}"',
            "posId": self.sandbox.pos_id,
            "posKey": f'"{self.sandbox.pos_key}"',
            "paymentType": 7,
            **changed,
        }
        text = "[Main]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
        self.conf.write_text(text, encoding="utf-8")
        self.conf.chmod(0o600)

    @property
    def options(self) -> tuple[str, ...]:
        return ("--conf", str(self.conf), "--data-dir", str(self.folder))

    def pay(self, code: str, *more: str, amount: str = "15000.00") -> Ended:
        return payme(*self.options, "--json", "pay", "--amount", amount, "--qr", code, *more)

    def run(self, *arguments: str) -> Ended:
        return payme(*self.options, *arguments)

    def returning(self) -> list[dict[str, Any]]:
        """Return the cancellations that wait, as ``queue list`` shows them, without those that Payme said are done."""
        return [row for row in self.run("queue", "list", "--json").document if not row["confirming"]]

    def cut_off_a_payment(self, payment_id: str = "p1") -> None:
        """Let a command of 1 sum die after Payme took the money and before it heard so."""
        self.sandbox.inject(InjectedFault(FaultKind.SILENT_AFTER_EFFECT, method="receipts.pay"))
        held = self.sandbox.held()
        paying = ("pay", "--amount", "1", "--qr", self.sandbox.issue_code(), "--payment-id", payment_id)
        with subprocess.Popen(command_line(*self.options, *paying), env=environment()) as process:  # noqa: S603
            while self.sandbox.held() == held:
                assert process.poll() is None
                time.sleep(0.01)
            process.kill()
        self.sandbox.clear_faults()

    def give_journal_to(self, till: str) -> None:
        """Let the journal belong to another till, as if its folder came from there."""
        with closing(sqlite3.connect(self.folder / FILE_NAME, isolation_level=None)) as connection:
            connection.execute("UPDATE about SET value = ? WHERE name = 'host_identity'", (till,))

    def lengthen_pauses(self, table: str) -> None:
        """Let nothing be due for a minute, so that it is not due yet however slow the machine is."""
        with closing(sqlite3.connect(self.folder / FILE_NAME, isolation_level=None)) as connection:
            connection.execute(f"UPDATE {table} SET due_at = due_at + 60000")  # noqa: S608 - a table's name of our own

    def sent(self, method: str) -> int:
        return sum(request.method == method for request in self.sandbox.requests)


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """The till finds the plugin by its entry point, so the project must be installed (``pip install -e .``)."""
    assert "payme" in {each.name for each in entry_points(group="pos")}, "install the project: pip install -e ."


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pos_key=KEY, cancel=CancelPlan(settle_s=0.2)) as running:
        yield running


@pytest.fixture
def shop(sandbox: Sandbox, tmp_path: Path) -> Shop:
    shop = Shop(sandbox, tmp_path / "payme.go.conf", tmp_path / "data")
    shop.configure()
    return shop
