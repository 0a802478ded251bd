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
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[2]
KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
LACKING = Behaviour(BuyerAction.LACKS_FUNDS)
OTHER_TILL = "till-7 of another shop"


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
    return {"PYTHONIOENCODING": "utf-8", **os.environ, "PYTHONPATH": path, **changed}


@contextmanager
def running(
    *arguments: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """Run the command as a process of its own; kill it if it outlives the context."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        command_line(*arguments), stdin=stdin, stdout=stdout, stderr=stderr, encoding="utf-8", env=environment()
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def worker_process(*options: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return running(*options, "worker")


def payme_process(*arguments: str, scanned: str = "", **streams: int) -> Ended:
    """Run the command as a process of its own to its end; ``scanned`` comes from the scanner, which is stdin."""
    with running(*arguments, stdin=subprocess.PIPE, **streams) as process:
        out, err = process.communicate(scanned, timeout=60)
    return ended(process.returncode, out or "", err or "")


@dataclass(frozen=True)
class CommandTill:
    """A till with a merchant account of the sandbox, its own settings file and its own data folder."""

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

    def owe(self, payment_id: str = "p1") -> str:
        """Leave the cancellation of a refused payment in the journal; return its receipt id."""
        refused = self.pay(self.sandbox.issue_code(LACKING), "--payment-id", payment_id)
        assert refused.document["cancellation_queued"] is True
        return str(refused.document["receipt_id"])

    def queued(self) -> list[dict[str, Any]]:
        """Return the cancellations as ``queue list`` shows them."""
        return list(self.run("queue", "list", "--json").document)

    def returning(self) -> list[dict[str, Any]]:
        """Return the cancellations that wait, without those that Payme said are done."""
        return [row for row in self.queued() if not row["confirming"]]

    def payment(self, payment_id: str = "p1") -> dict[str, Any]:
        """Return a payment and its events, as ``status`` shows it."""
        return dict(self.run("status", payment_id, "--json").document)

    def kill_once(self, *arguments: str, when: Callable[[], bool]) -> None:
        """Kill a command as soon as ``when`` says so."""
        with running(*self.options, *arguments) as process:
            while not when():
                assert process.poll() is None
                time.sleep(0.01)

    def cut_off_a_payment(self, payment_id: str = "p1") -> None:
        """Let a command of 1 sum die after Payme took the money and before it heard so."""
        self.sandbox.inject(InjectedFault(FaultKind.SILENT_AFTER_EFFECT, method="receipts.pay"))
        held = self.sandbox.held()
        paying = ("pay", "--amount", "1", "--qr", self.sandbox.issue_code(), "--payment-id", payment_id)
        self.kill_once(*paying, when=lambda: self.sandbox.held() != held)
        self.sandbox.clear_faults()

    def change_journal(self, statement: str, *values: object) -> None:
        """Change a row of the journal behind its back, whatever the row is then."""
        with closing(sqlite3.connect(self.folder / FILE_NAME, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(statement, values)

    def give_journal_to(self, till: str = OTHER_TILL) -> None:
        """Let the journal belong to another till, as if its folder came from there."""
        self.change_journal("UPDATE about SET value = ? WHERE name = 'host_identity'", till)

    def files(self) -> dict[str, bytes]:
        """Return what is in the data folder."""
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}

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
def shop(sandbox: Sandbox, tmp_path: Path) -> CommandTill:
    shop = CommandTill(sandbox, tmp_path / "payme.go.conf", tmp_path / "data")
    shop.configure()
    return shop
