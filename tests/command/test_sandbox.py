from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import pytest
import urllib3

from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, read_code
from tests.command.conftest import command_line, environment, payme

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


def lines_of(stream: IO[str] | None) -> list[str]:
    """Return what it prints for people, to the last code."""
    assert stream is not None
    lines = []
    for line in stream:
        lines.append(line.rstrip("\n"))
        if "a return is refused" in line:
            return lines
    raise AssertionError(lines)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_that_is_no_fault(stop: signal.Signals) -> None:
    with running("--port", "0", "--json") as process:
        assert document(process.stdout)["url"].startswith("http://127.0.0.1:")
        process.send_signal(stop)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (0, "", "")


def test_a_payment_goes_from_one_terminal_to_the_sandbox_in_another(tmp_path: Path) -> None:
    with running("--port", "0") as process:
        printed = lines_of(process.stdout)
        conf = tmp_path / "payme.go.conf"
        start = printed.index("[Main]")
        conf.write_text("\n".join(printed[start : printed.index("", start)]) + "\n", encoding="utf-8")
        options = ["--conf", str(conf), "--data-dir", str(tmp_path / "data"), "--json"]
        checked = payme(*options, "settings", "check")
        outcomes = {}
        for code, _, buyer in (line.strip().partition("  ") for line in printed if line.startswith("  0077")):
            if buyer.startswith(("pays at", "lacks", "confirms")):
                paid = payme(*options, "pay", "--amount", "15000.00", "--qr", code)
                outcomes[buyer.split()[0]] = (paid.code, paid.document["status"])

    assert checked.code == 0
    assert [line.split(" = ")[0] for line in conf.read_text().splitlines()] == [
        "[Main]",
        "url",
        "posId",
        "posKey",
        "paymentType",
    ]
    assert outcomes == {"pays": (0, "PAID"), "lacks": (1, "REFUSED"), "confirms": (0, "PAID")}


def test_the_addresses_of_the_phone_and_of_the_control_calls_are_printed_and_answer() -> None:
    with running("--port", "0") as process, urllib3.PoolManager() as pool:
        printed = "\n".join(lines_of(process.stdout))
        phone, control = re.findall(r"http://127\.0\.0\.1:\d+/(?:phone|sandbox)", printed)

        assert pool.request("GET", phone).headers["content-type"].startswith("text/html")
        assert json.loads(pool.request("GET", f"{control}/receipts").data) == []


def test_the_document_has_the_same_and_codes_for_every_buyer() -> None:
    with running("--port", "0", "--json") as process:
        told = document(process.stdout)

    assert list(told) == ["url", "phone_url", "control_url", "pos_id", "pos_key", "payment_type", "codes"]
    assert told["control_url"] == told["url"].replace("/api", "/sandbox")
    codes = [code for each in told["codes"] for code in each["codes"]]
    assert len(set(codes)) == len(codes) == 21
    assert [read_code(each["codes"][0]) for each in told["codes"]] == [
        Behaviour(),
        Behaviour(BuyerAction.CONFIRMS, after_s=3.0),
        Behaviour(BuyerAction.DECLINES, after_s=2.0),
        Behaviour(BuyerAction.LACKS_FUNDS),
        Behaviour(BuyerAction.NEVER_ANSWERS),
        Behaviour(cancel=CancelPlan(settle_s=5.0)),
        Behaviour(cancel=CancelPlan(refused_with=-31800)),
    ]


def test_a_port_in_use_is_a_fault_of_usage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = payme("sandbox", "--port", str(port))

    assert refused.code == 2
    assert f"Port {port} on 127.0.0.1 can't be used" in refused.err
