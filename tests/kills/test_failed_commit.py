"""A commit that failed is none: not after a kill either, though its pages stand whole in the write-ahead log."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fakes import journal_rows
from faults.child_process import without_coverage
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.states import PaymentState

STRACE = shutil.which("strace")
ROOT = Path(__file__).parents[2]
TILL = """
import os, signal, sys
from pathlib import Path
from fakes.journal_rows import walk
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, PaymentState

sound, failing = Path(sys.argv[1]), Path(sys.argv[2])
journal = Journal(sound / FILE_NAME, host_identity="till-1", clock=SystemClock())
row = walk(journal, PaymentState.RECORDED)
journal.close()
sound.rename(failing)
journal = Journal(failing / FILE_NAME, host_identity="till-1", clock=SystemClock())
refund = NewCancellation(cause=Cause.REFUND, request_id="f-1")
try:
    journal.move(row, PaymentState.REVERSING, "the till asks for a refund", cancellation=refund)
except Unavailable:
    print("refused", journal.payment("p1").state.value, len(journal.live_cancellations()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(STRACE is None, reason="needs strace")
def test_a_refund_that_was_refused_for_a_failed_sync_is_not_carried_out_after_a_kill(tmp_path: Path) -> None:
    sound, failing = tmp_path / "sound", tmp_path / "failing"
    sound.mkdir()
    # The first sync is that of the new log's header: without it SQLite would write no page.
    strace = (
        str(STRACE), "-f", "-qq", "-o", os.devnull, "-P", str(failing / f"{FILE_NAME}-wal"),
        "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=2+",
    )  # fmt: skip
    path = os.pathsep.join((str(ROOT), str(Path(journal_rows.__file__).parents[1])))

    told = subprocess.run(  # noqa: S603 - our own script
        [*strace, sys.executable, "-c", TILL, str(sound), str(failing)],
        capture_output=True,
        text=True,
        env=without_coverage({**os.environ, "PYTHONPATH": path}),
        check=False,
        timeout=60,
    )

    assert told.stdout == "refused recorded 0\n", told.stderr
    with closing(Journal(failing / FILE_NAME, host_identity="till-1", clock=SystemClock())) as journal:
        assert (journal.payment("p1").state, journal.live_cancellations()) == (PaymentState.RECORDED, [])
