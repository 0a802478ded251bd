"""The hosts of the page about embedding sell, each in a process that is as the page says."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

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


def example(word: str) -> str:
    (block,) = [each for each in blocks(PAGE) if each.language == "python" and word in each.text]
    assert set(block.fixtures) <= {"sandbox", "folder"}
    return "\n" * (block.line - 1) + block.text


def test_the_host_in_an_asyncio_loop_sells_and_the_loop_goes_on(sandbox: Sandbox, tmp_path: Path) -> None:
    names: dict[str, Any] = {"sandbox": sandbox, "folder": tmp_path}

    exec(compile(example("asyncio.run("), PAGE, "exec"), names)  # noqa: S102 - our own page

    assert names["result"].status is PaymentStatus.PAID
    assert names["plugins"].faults == ()
    assert names["shown"], "the loop went on while the hook waited for the scan"
    assert sandbox.held() == names["result"].amount


def test_the_host_that_gevent_has_patched_sells(sandbox: Sandbox, tmp_path: Path) -> None:
    given = {"url": sandbox.url, "pos_id": sandbox.pos_id, "pos_key": sandbox.pos_key, "code": sandbox.issue_code()}
    ran = subprocess.run(  # noqa: S603 - our own page
        [sys.executable, "-c", _IN_A_PROCESS, example("monkey.patch_all"), json.dumps(given), str(tmp_path)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Warning" not in ran.stderr
    assert ran.stdout.strip() == PaymentStatus.PAID.value
    assert sandbox.held() == 500_000
