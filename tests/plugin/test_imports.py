"""Which modules a till imports, and when: it waits for each, and an upgrade may have replaced the files later."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fakes.fixtures import running, sandbox
from faults.child_process import PYTHON_PATH, without_coverage

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox

pytestmark = pytest.mark.floor

__all__ = ["running", "sandbox"]

LOADING = """
import sys
import pluggy  # what it imports depends on its version
before = set(sys.modules)
from hookspecs import PosPlugins
plugins = PosPlugins()
plugins.load_entry_points()
assert "payme" in plugins.names, plugins.faults
print(*set(sys.modules) - before)
"""

STARTED = """
import sys, threading
from pathlib import Path
from hookspecs import BaseHost, BaseUi, PosPlugins
from payme_plugin.plugin import PaymePlugin

class Till(BaseHost):
    identity = "till-1"
    def settings(self, plugin):
        return dict(zip(("url", "posId", "posKey", "paymentType"), (*sys.argv[2:], "7")))
    def data_dir(self, plugin):
        return Path(sys.argv[1])

start, warm_up = threading.Timer.start, []
threading.Timer.start = lambda timer: warm_up.append(timer)  # until it is started below, nothing warms up
plugins = PosPlugins()
assert plugins.register(PaymePlugin(), "payme")
plugins.on_start(Till())
"""

WARMED = (
    STARTED
    + """
from hookspecs import CancelRequest, PaymentRequest, PaymentStatus, Receipt, ReceiptKind, ReversalStatus
for each in warm_up:
    start(each)
    each.join(60)
plugins.on_ready()
before = set(sys.modules)
sale = Receipt(till="till-1", shift=1, number=1, kind=ReceiptKind.SALE, items=(), total=1000)
paid = plugins.on_payment(
    PaymentRequest(payment_id="p1", payment_type=7, amount=1000, receipt=sale, qr_code=input()), BaseUi())
assert paid.status is PaymentStatus.PAID and paid.slips, paid
plugins.on_payment_recorded(paid.payment)
cancelled = plugins.on_cancel(CancelRequest(payment=paid.payment, receipt=sale), BaseUi())
assert cancelled.status is ReversalStatus.REVERSED, cancelled
print(*set(sys.modules) - before)
plugins.on_stop()
"""
)


def printed_words(script: str, *arguments: str, text: str = "") -> set[str]:
    environment = without_coverage(os.environ) | {"PYTHONPATH": PYTHON_PATH}
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script, *arguments],
        input=text, capture_output=True, text=True, check=True, timeout=60, env=environment,
    )  # fmt: skip
    return set(done.stdout.split())


def test_a_host_that_looks_for_plugins_imports_the_contract_and_the_hooks_only() -> None:
    imported = printed_words(LOADING)

    ours = {name for name in imported if name.partition(".")[0] in {"hookspecs", "payme_plugin", "slips"}}
    assert ours == {
        "hookspecs", "hookspecs.hooks", "hookspecs.installed", "hookspecs.manager",
        "payme_plugin", "payme_plugin.plugin",
    }  # fmt: skip
    slow = {"dataclasses", "decimal", "email", "importlib.metadata", "json", "logging", "socket", "sqlite3", "zipfile"}
    assert slow.isdisjoint(imported)


def test_the_start_imports_the_connection_and_the_payment_and_leaves_the_slips_and_the_texts_for_later(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    account = (sandbox.url, sandbox.pos_id, sandbox.pos_key)
    imported = printed_words(
        STARTED + "print(*sys.modules)\nassert plugins.payment_types()\nplugins.on_stop()", str(tmp_path), *account
    )

    assert imported >= {"urllib3", "sqlite3", "payme_plugin.paymego.connection", "payme_plugin.operations.payment"}
    assert {"slips", "difflib", "html"}.isdisjoint(imported)
    # With an old elementpath the start imports xmlschema, which may import gettext.
    assert "gettext" not in imported or "xmlschema" in imported


def test_after_the_warm_up_neither_a_payment_nor_its_cancel_imports_a_module_of_ours_or_for_slips(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    account = (sandbox.url, sandbox.pos_id, sandbox.pos_key)
    imported = printed_words(WARMED, str(tmp_path), *account, text=sandbox.issue_code())

    late = {"hookspecs", "payme_plugin", "slips", "urllib3", "xmlschema", "elementpath", "defusedxml", "gettext"}
    assert late.isdisjoint(name.partition(".")[0] for name in imported)
