"""The reader of strace's output, and the rule it checks: a write, its sync, and only then the request."""

from __future__ import annotations

import pytest

from faults.strace import changed_paths, faults_before, read_trace, sent_methods


def test_calls_that_other_threads_interrupt_are_read_whole() -> None:
    lines = [
        '7 pwrite64(5</d/j-wal>, "\\0\\"x)", 24, 0 <unfinished ...>',
        "8 --- SIGCHLD {si_signo=SIGCHLD} ---",
        '8 sendto(9<socket:[1]>, "{\\"id\\":1,\\"method\\":\\"receipts.pay\\"}", 40, 0, NULL, 0 <unfinished ...>',
        "7 <... pwrite64 resumed>)            = 24",
        "7 fdatasync(5</d/j-wal>) = 0",
        "8 <... sendto resumed>)             = 40",
        '7 openat(AT_FDCWD</d>, "/d/none", O_RDWR|O_CLOEXEC) = -1 ENOENT (No such file or directory)',
        "7 +++ exited with 0 +++",
    ]
    write, send, _, opened = read_trace(lines)
    assert (write.began, write.ended, write.result, write.descriptor_path) == (0, 3, 24, "/d/j-wal")
    assert (send.began, send.ended) == (2, 5)
    assert sent_methods([write, send]) == [("receipts.pay", send)]
    assert opened.failed
    assert changed_paths([write, opened]) == {"/d/j-wal"}


WRITE, SYNC = 'pwrite64(5</d/j-wal>, "x", 1, 0)', "fdatasync(5</d/j-wal>)"
BEGUN_SYNC = "7 fdatasync(5</d/j-wal> <unfinished ...>"
SEND = 'sendto(9<socket:[1]>, "x", 1, 0, NULL, 0)'


@pytest.mark.parametrize(
    ("lines", "is_safe"),
    [
        ([f"7 {WRITE} = 1", f"7 {SYNC} = 0", f"8 {SEND} = 1"], True),
        ([f"7 {WRITE} = 1", f"8 {SEND} = 1", f"7 {SYNC} = 0"], False),
        ([f"7 {WRITE} = 1", f"7 {SYNC} = -1 EIO (Input/output error)", f"8 {SEND} = 1"], False),
        ([f"7 {WRITE} = 1", "7 fdatasync(6</d/j>) = 0", f"8 {SEND} = 1"], False),
        ([f"7 {WRITE} = 1", f"7 {SYNC} = 0", f"7 {WRITE} = 1", f"8 {SEND} = 1"], False),
        ([f"7 {WRITE} = 1", BEGUN_SYNC, f"8 {SEND} = 1", "7 <... fdatasync resumed>) = 0"], False),
        ([f"8 {SEND} = 1"], False),
    ],
)
def test_only_a_sync_after_the_write_and_before_the_request_counts(lines: list[str], is_safe: bool) -> None:
    calls = read_trace(['7 write(1</d/record>, "x", 1) = 1', *lines])
    send = next(call for call in calls if call.name == "sendto")
    assert (faults_before(calls, send, "/d/j-wal", since=calls[0]) == []) is is_safe
