"""The hosts of the page about embedding sell, each in a process that is as the page says."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hookspecs import PaymentStatus
from tests.docs.conftest import blocks

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox

PAGE = "docs/embedding.md"
_IN_A_PROCESS = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
code, sandbox, folder = sys.argv[1:]
sandbox = SimpleNamespace(**json.loads(sandbox))
sandbox.issue_code = lambda: sandbox.code
names = {"sandbox": sandbox, "folder": Path(folder)}
exec(compile(code, "docs/embedding.md", "exec"), names)
assert names["plugins"].faults == (), names["plugins"].faults
print(names["result"].status.value)
"""
_NOT_PATCHED = """
import gevent
from hookspecs import *
from decimal import Decimal

ticks = []

class Till(BaseHost):
    identity = "not patched"
    def data_dir(self, plugin):
        return folder / plugin
    def settings(self, plugin):
        return {"paymentType": "7", "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key}

class Screen(BaseUi):
    def scan(self, prompt, timeout_s):
        seen = len(ticks)
        import time
        until = time.monotonic() + timeout_s
        while len(ticks) < seen + 3 and time.monotonic() < until:
            time.sleep(0.01)  # the greenlets go on meanwhile
        return sandbox.issue_code() if len(ticks) >= seen + 3 else None

def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.01)

gevent.spawn(tick)
on_thread = gevent.get_hub().threadpool.apply
plugins = PosPlugins()
plugins.load_entry_points()
on_thread(plugins.on_start, (Till(),))
on_thread(plugins.on_ready)
tea = Item(name="Tea", quantity=Decimal(1), price=500_000, amount=500_000)
sale = Receipt(till="4", shift=1, number=1, kind=ReceiptKind.SALE, items=(tea,), total=500_000)
request = PaymentRequest(payment_id="k-1", payment_type=7, amount=sale.total, receipt=sale)
result = on_thread(plugins.on_payment, (request, Screen()))
on_thread(plugins.on_payment_recorded, (result.payment,))
on_thread(plugins.on_stop)
"""


def example(word: str) -> str:
    (block,) = [each for each in blocks(PAGE) if each.language == "python" and word in each.text]
    assert set(block.fixtures) <= {"sandbox", "folder"}
    return "\n" * (block.line - 1) + block.text


def sold_in_a_process(source: str, sandbox: Sandbox, folder: Path) -> str:
    """Run an example in a process of its own, and return the status of its payment."""
    given = {"url": sandbox.url, "pos_id": sandbox.pos_id, "pos_key": sandbox.pos_key, "code": sandbox.issue_code()}
    ran = subprocess.run(  # noqa: S603 - our own page
        [sys.executable, "-c", _IN_A_PROCESS, source, json.dumps(given), str(folder)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Warning" not in ran.stderr
    return ran.stdout.strip()


def test_the_host_in_an_asyncio_loop_sells_and_the_loop_goes_on(sandbox: Sandbox, tmp_path: Path) -> None:
    names: dict[str, Any] = {"sandbox": sandbox, "folder": tmp_path}

    exec(compile(example("asyncio.run("), PAGE, "exec"), names)  # noqa: S102 - our own page

    assert names["result"].status is PaymentStatus.PAID
    assert names["plugins"].faults == ()
    assert names["shown"], "the loop went on while the hook waited for the scan"
    assert sandbox.held() == names["result"].amount


@pytest.mark.parametrize("source", [example("monkey.patch_all"), _NOT_PATCHED], ids=["patched", "on native threads"])
def test_a_host_with_gevent_sells(source: str, sandbox: Sandbox, tmp_path: Path) -> None:
    assert sold_in_a_process(source, sandbox, tmp_path) == PaymentStatus.PAID.value
    assert sandbox.held() == 500_000
