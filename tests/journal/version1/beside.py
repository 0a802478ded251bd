"""A till of version 1 lives, and our worker, command and package script start beside it. Run by hand, about a minute:

    python tests/journal/version1/beside.py CHECKOUT

``CHECKOUT`` is version 1 (commit c2f6eec). For every state of a payment a till of version 1 takes one from our sandbox
and stops in that state. While it lives, whatever starts beside it changes nothing. Then it is killed, a till of this
version starts, and its host, which stored no sale, says ``on_ready``: the journal is migrated and the money is back.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, Sandbox

ROOT = Path(__file__).parents[3]
STATES = {
    "intent": BuyerAction.PAYS,
    "created": BuyerAction.PAYS,
    "paying": BuyerAction.PAYS,
    "paid": BuyerAction.PAYS,
    "refused": BuyerAction.LACKS_FUNDS,
    "unknown": BuyerAction.NEVER_ANSWERS,
}
TILL = """
import json, sys, time
from decimal import Decimal
from pathlib import Path
from hookspecs import BaseHost, BaseUi, Item, PaymentRequest, PosPlugins, Receipt, ReceiptKind
from payme_plugin.ledger.journal import Journal
from payme_plugin.plugin import PaymePlugin

folder, state, code, settings = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])

class Host(BaseHost):
    identity = "till-1"
    def data_dir(self, plugin):
        return Path(folder)
    def settings(self, plugin):
        return settings
    def notice(self, key, text):
        if text:
            print(f"notice {key}", file=sys.stderr)

class Ui(BaseUi):
    def scan(self, prompt, timeout_s):
        return code

def stop_at(method):
    def stopping(self, *given, **named):
        row = method(self, *given, **named)
        if row.state.value == state:
            print("stopped", flush=True)
            time.sleep(600)
        return row
    return stopping

plugins = PosPlugins()
plugins.register(PaymePlugin(), "payme")
if state != "ready":
    Journal.move, Journal.add_intent = stop_at(Journal.move), stop_at(Journal.add_intent)
plugins.on_start(Host())
if state == "ready":
    plugins.on_ready()
    print("ready", flush=True)
    time.sleep(600)
item = Item(name="bread", quantity=Decimal(1), price=1500000, amount=1500000)
sale = Receipt(till="till-1", shift=3, number=1, kind=ReceiptKind.SALE, items=(item,), total=1500000)
plugins.on_payment(PaymentRequest(payment_id="p1", payment_type=7, amount=1500000, receipt=sale), Ui())
"""


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def started(checkout: Path, folder: Path, state: str, code: str, settings: str) -> subprocess.Popen[str]:
    """Start a till of a checkout and wait until it is where it should be."""
    command = [sys.executable, "-c", TILL, str(folder), state, code, settings]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    till = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own script
    assert till.stdout is not None
    assert till.stdout.readline() in {"stopped\n", "ready\n"}, f"the till did not come to {state}"
    return till


def run_beside(folder: Path, conf: Path) -> None:
    """Let everything of ours start beside the till, as a technician and the package do."""
    payme = [sys.executable, "-c", "from payme_plugin.cli.app import main; main()"]
    given = ["--data-dir", str(folder), "--conf", str(conf)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for words in (
        ["worker"], ["queue", "deliver", "--until-empty"], ["queue", "close", "1", "--reason", "no"], ["queue", "list"],
        ["queue", "add", "p1", "--reason", "no"], ["status", "p1"], ["doctor"], ["journal", "repair"],
    ):  # fmt: skip
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                [*payme, *words, *given],
                env=environment,
                cwd=folder,
                timeout=5,
                capture_output=True,
                text=True,
                check=False,
            )
            tell(f"    payme {' '.join(words):<40} exit {done.returncode}  {(done.stderr or done.stdout)[:90]!r}")
        except subprocess.TimeoutExpired:
            tell(f"    payme {' '.join(words):<40} went on until it was stopped")
    script = (ROOT / "debian" / "artix-payme.postrm").read_text(encoding="utf-8")
    script = script.replace("data=/linuxcash/cash/data/payme", f"data={folder}").replace("#DEBHELPER#", "")
    subprocess.run(["sh", "-c", script, "postrm", "remove"], check=True, capture_output=True)  # noqa: S603, S607 - the package's


def rows_of(path: Path) -> str:
    """Return a digest of all rows, read as another process reads them."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        assert version == 1, "the journal was migrated under a living till"
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


def rest(path: Path) -> None:
    """Wait until no cancellation is left."""
    for _ in range(300):
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            (left,) = connection.execute(
                "SELECT count(*) FROM cancellation WHERE ended_at IS NULL AND confirmed_at IS NULL"
            ).fetchone()
        if not left:
            return
        subprocess.run(["sleep", "0.1"], check=True)  # noqa: S607 - until another process has done its work
    message = "a cancellation is left"
    raise AssertionError(message)


def main(checkout: Path) -> None:
    """Play every state."""
    with Sandbox(cancel=CancelPlan(settle_s=0)) as sandbox, tempfile.TemporaryDirectory() as home:
        settings = (
            f'{{"url": "{sandbox.url}", "posId": "{sandbox.pos_id}", "posKey": "{sandbox.pos_key}", "paymentType": "7",'
            ' "payDuration": "1000", "frequency": "100", "timeout": "1"}'
        )
        conf = Path(home, "payme.go.conf")
        conf.write_text(
            f"[Main]\nurl = {sandbox.url}\nposId = {sandbox.pos_id}\nposKey = {sandbox.pos_key}\npaymentType = 7\n"
        )
        conf.chmod(0o600)
        for state, action in STATES.items():
            tell(f"{state}:")
            folder = Path(home, state)
            folder.mkdir()
            path, code = folder / "journal.sqlite3", sandbox.issue_code(Behaviour(action))
            till = started(checkout, folder, state, code, settings)
            before = rows_of(path)
            run_beside(folder, conf)
            assert rows_of(path) == before, "a row changed under a living till"
            till.kill()
            till.communicate()
            till = started(ROOT, folder, "ready", code, settings)
            rest(path)
            till.kill()
            till.communicate()
            held = sum(receipt.held for receipt in sandbox.receipts())
            assert held == 0, f"Payme still holds {held}"
            with closing(sqlite3.connect(path)) as connection:
                shown = connection.execute(
                    "SELECT state, (SELECT max(user_version) FROM pragma_user_version) FROM payment"
                )
                tell(f"    then {shown.fetchall()}, {[each.name for each in folder.glob('*.bak')]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
