"""A host that can't be played with ends the run with a clear text, and never hangs it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.waiting import comes_true
from payme_plugin.cli.output import ExitCode
from payme_plugin.testing import HostConformance
from payme_plugin.testing.conformance import duties, plays
from payme_plugin.testing.conformance.process import HostFailed

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_LINE = "start = json.loads(sys.stdin.readline())\n"
SLEEPER = """
import fcntl, sys, time
file = open({path!r}, "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
time.sleep(600)
"""
STARTED = 'print("""{"version": 1}""", flush=True)\n'


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("import time\ntime.sleep(600)", "the host did not answer 'start' within 3 s"),
        ("import sys\nsys.exit('the database is locked')", "the host ended with 1 instead of answering 'start'"),
        ("print('Welcome!', flush=True)\ninput()", "the host answered 'Welcome!' to 'start': it is not JSON."),
        ("print('{}', flush=True)\ninput()", "the host answered '{}' to 'start': answer: has no version."),
        (
            'print(\'{"version": 1, "pos": 2}\', flush=True)\ninput()',
            "'start': answer: has 'pos'; allowed are version.",
        ),
        ("print('{\"version\": 2}', flush=True)\ninput()", "the adapter speaks version 2 of the protocol, the kit 1"),
        ("print('{\"printed\": 7}', flush=True)\ninput()", "answered '{\"printed\": 7}' to 'start'"),
        ("while True: print('y')", "the host answered 'y' to 'start': it is not JSON."),
        ("while True: print('y' * 9999, end='')", "to 'start': it is not JSON."),
        ("import os\nos.close(1)\nimport time\ntime.sleep(600)", "the host did not answer 'start' within 3 s"),
    ],
)
def test_a_host_that_does_not_answer_the_first_line_is_named_in_bounded_time(
    tmp_path: Path, script: str, text: str
) -> None:
    (tmp_path / "till.py").write_text(f"input()\n{script}", encoding="utf-8")
    kit = HostConformance([sys.executable, str(tmp_path / "till.py")], answer_timeout_s=3.0)

    began = time.monotonic()
    with pytest.raises(HostFailed) as failed:
        kit.run()

    assert text in failed.value.text
    assert time.monotonic() - began < 120, "a busy machine is slow, a hang takes 600 s"


def test_a_line_that_nobody_asked_for_is_named(host: Callable[..., tuple[str, ...]]) -> None:
    greeting = (
        'print(json.dumps({"version": 1}), flush=True)',
        'print(json.dumps({"version": 1}) + "\\nready", flush=True)',
    )

    # The kit may have asked for the sales before it reads the line.
    with pytest.raises(HostFailed, match=r"the host (wrote 'ready' without being asked|answered 'ready' to 'sales')"):
        HostConformance(host(greeting)).run()


@pytest.mark.parametrize("command", ["sell(", "take_back("])
def test_an_answer_of_another_shape_ends_the_run_at_once_and_points_to_the_protocol(
    host: Callable[..., tuple[str, ...]], command: str
) -> None:
    wrong = host((f'return {{"state": {command}', f'return {{"status": {command}'))

    with pytest.raises(HostFailed, match=r"answer: has 'status'; allowed are state\.") as failed:
        HostConformance(wrong).run()

    assert failed.value.text.endswith('See docs/conformance.md, "The adapter".')
    assert "stdout" not in failed.value.text


def test_the_short_times_of_the_kit_itself_are_no_warnings_of_the_host(host: Callable[..., tuple[str, ...]]) -> None:
    ends = ('    if command["do"] == "sell":\n', '    if command["do"] == "sell":\n        sys.exit("no paper")\n')
    report = HostConformance(host(ends), plays=(plays.a_quiet_day,)).run()

    assert {failure.detail.partition("\n")[2] for failure in report.failures} == {"no paper"}


def test_sigterm_kills_the_hosts_and_removes_what_the_kit_wrote(
    host: Callable[..., tuple[str, ...]], tmp_path: Path
) -> None:
    lock, sells = tmp_path / "lock", tmp_path / "sells"
    os.mkfifo(sells)
    locks = f"import fcntl\nlock = open({str(lock)!r}, 'a')\nfcntl.flock(lock, fcntl.LOCK_SH)\n"
    waits = f'    if command["do"] == "sell":\n        open({str(sells)!r}, "w").close()\n        time.sleep(600)\n'
    command = host((FIRST_LINE, FIRST_LINE + locks), ('    if command["do"] == "sell":\n', waits))
    kit = [sys.executable, "-c", "from payme_plugin.cli import main; main()", "conformance", *command]
    with tempfile.TemporaryDirectory() as temporary:  # a short path, because a socket is in it
        environment = {**os.environ, "TMPDIR": temporary, "LANGUAGE": "en"}
        process = subprocess.Popen(kit, env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own kit
        sells.read_text()
        process.terminate()
        _, errors = process.communicate(timeout=20)

        assert (process.returncode, errors) == (ExitCode.STOPPED, "payme: Stopped.\n")
        assert list(Path(temporary).iterdir()) == []
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_the_host_wrote_to_stderr_is_shown(tmp_path: Path) -> None:
    (tmp_path / "till.py").write_text("import sys\nsys.exit('the database is locked')", encoding="utf-8")

    with pytest.raises(HostFailed) as failed:
        HostConformance([sys.executable, str(tmp_path / "till.py")]).run()

    assert failed.value.errors == "the database is locked"


@pytest.mark.parametrize("is_file", [True, False])
def test_a_command_that_can_not_be_executed_is_named(tmp_path: Path, *, is_file: bool) -> None:
    path = tmp_path / "till"
    if is_file:
        path.touch(0o600)

    with pytest.raises(HostFailed, match="till' can't be started: "):
        HostConformance([str(path)]).run()


def test_a_host_without_the_plugins_entry_point_fails_loading_and_nothing_else_is_played(
    host: Callable[..., tuple[str, ...]],
) -> None:
    registered = "from payme_plugin.plugin import PaymePlugin\nplugins.register(PaymePlugin(), 'payme')\n"
    report = HostConformance(host(("plugins.load_entry_points()\n", registered))).run()

    assert {failure.breach for failure in report.failures} == {duties.NOT_LOADED}
    assert report.plays == 1


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("import os; os._exit(3)", "the host ended with 3 instead of answering 'sell'"),
        ("time.sleep(600)", "the host did not answer 'sell' within 5 s"),
        ("print('sold', flush=True)", "the host answered 'sold' to 'sell': it is not JSON."),
    ],
)
def test_a_host_that_fails_later_fails_to_be_alive_and_the_run_goes_on(
    host: Callable[..., tuple[str, ...]], command: str, text: str
) -> None:
    script = host(('    if command["do"] == "sell":\n', f'    if command["do"] == "sell":\n        {command}\n'))
    report = HostConformance(script, answer_timeout_s=5.0, plays=(plays.a_quiet_day, plays.failing_start)).run()

    assert {failure.breach for failure in report.failures} == {duties.FAILED}
    assert {text in failure.detail for failure in report.failures} == {True}
    assert report.plays == 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kit finds such a process in /proc")
def test_a_process_of_the_host_that_left_its_group_is_killed(
    host: Callable[..., tuple[str, ...]], tmp_path: Path
) -> None:
    path = tmp_path / "lock"
    child = f"[sys.executable, '-c', {SLEEPER.format(path=str(path))!r}]"
    begins = f"import subprocess\nsubprocess.Popen({child}, start_new_session=True, stdout=-1).stdout.readline()\n"

    HostConformance(host((FIRST_LINE, FIRST_LINE + begins)), plays=()).run()

    assert comes_true(lambda: _is_free(path)), "a killed process takes a moment to end"


@pytest.mark.conformance
def test_a_second_process_of_the_host_may_load_the_plugin(host: Callable[..., tuple[str, ...]]) -> None:
    loads = "from hookspecs import PosPlugins; PosPlugins().load_entry_points()"
    command = (
        '    if command["do"] == "sell":\n',
        f"""    if command["do"] == "sell":
        import subprocess
        subprocess.run([sys.executable, "-c", {loads!r}], check=True)
""",
    )
    report = HostConformance(host(command), answer_timeout_s=10.0, plays=(plays.a_quiet_day,)).run()

    assert report.failures == (), str(report)


@pytest.mark.conformance
def test_garbage_on_the_socket_of_the_kit_is_named_and_the_run_goes_on(host: Callable[..., tuple[str, ...]]) -> None:
    command = (
        '    if command["do"] == "sell":\n',
        """    if command["do"] == "sell":
        import os, socket
        stranger = socket.socket(socket.AF_UNIX)
        stranger.connect(os.environ["PAYME_CONFORMANCE_SOCKET"])
        stranger.sendall(b"hello\\n")
""",
    )
    report = HostConformance(host(command), plays=(plays.a_quiet_day, plays.failing_start)).run()

    assert {failure.breach for failure in report.failures} == {duties.FAILED}
    assert "something else than the probe wrote b'hello'" in str(report)
    assert report.plays == 3


def _is_free(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
