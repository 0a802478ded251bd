from __future__ import annotations

import json
import signal
import subprocess
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import command_line, environment, payme

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.floor


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603 - our own command
        command_line("sandbox", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def document(stream: IO[str] | None) -> Any:  # noqa: ANN401 - JSON
    assert stream is not None
    text = ""
    for line in stream:
        text += line
        if line == "}\n":
            return json.loads(text)
    raise AssertionError(text)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_that_is_no_fault(stop: signal.Signals) -> None:
    with running("--port", "0", "--json") as process:
        assert document(process.stdout)["url"].startswith("http://127.0.0.1:")
        process.send_signal(stop)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (0, "", "")


def test_a_payment_goes_from_one_terminal_to_the_sandbox_in_another(tmp_path: Path) -> None:
    with running("--port", "0", "--json") as process:
        told = document(process.stdout)
        conf = tmp_path / "payme.go.conf"
        conf.write_text(
            f'[Main]\nurl = "{told["url"]}"\nposId = "{told["pos_id"]}"\nposKey = "{told["pos_key"]}"\n'
            "frequency = 200\n",
            encoding="utf-8",
        )
        options = ["--conf", str(conf), "--data-dir", str(tmp_path / "data"), "--json"]
        outcomes = {}
        for each in told["codes"]:
            if each["buyer"].startswith(("pays", "lacks", "confirms")):
                paid = payme(*options, "pay", "--amount", "15000.00", "--qr", each["codes"][0])
                outcomes[each["buyer"].split()[0].rstrip(";")] = (paid.code, paid.document["status"])

    assert outcomes == {"pays": (0, "PAID"), "lacks": (1, "REFUSED"), "confirms": (0, "PAID")}


def test_what_it_prints_for_a_person_is_a_settings_file_and_codes() -> None:
    with running("--port", "0") as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("  0077") and "refused" in line:
                break

    start = lines.index("[Main]")
    assert [line.split(" = ")[0] for line in lines[start + 1 : start + 4]] == ["url", "posId", "posKey"]
    codes = [line.split()[0] for line in lines if line.startswith("  0077")]
    assert len(set(codes)) == len(codes) == 7
