"""``payme sandbox`` and ``demo``: what they print, and how they end."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import Popen
from typing import IO, TYPE_CHECKING

import pytest
import urllib3

from fakes.clock import VirtualClock
from payme_plugin.cli import demo as demo_module
from payme_plugin.cli import demo as package
from payme_plugin.cli.demo import show as show_module
from payme_plugin.cli.demo.report import DemoReport
from payme_plugin.cli.demo.steps import STEPS
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, read_code
from tests.command.conftest import environment, payme, payme_process, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payme_plugin.cli.demo.shop import DemoShop, Outcome

pytestmark = pytest.mark.floor


def printed(stream: IO[str] | None, last: str) -> str:
    """Return what the sandbox prints, up to a line that ends with ``last``."""
    assert stream is not None
    text = ""
    for line in stream:
        text += line
        if text.endswith(f"{last}\n"):
            return text
    raise AssertionError(text)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_its_document_has_codes_for_every_buyer(stop: signal.Signals) -> None:
    with running("sandbox", "--port", "0", "--json") as process:
        served = json.loads(printed(process.stdout, "\n}"))
        process.send_signal(stop)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (0, "", "")
    addresses = ["url", "phone_url", "dashboard_url", "control_url"]
    assert list(served) == [*addresses, "pos_id", "pos_key", "payment_type", "accounts", "codes", "scenario"]
    assert served["url"].startswith("http://127.0.0.1:")
    assert served["control_url"] == served["url"].replace("/api", "/sandbox/v1")
    assert [(one["pos_id"], one["pos_key"]) for one in served["accounts"]] == [(served["pos_id"], served["pos_key"])]
    codes = [code for each in served["codes"] for code in each["codes"]]
    assert len(set(codes)) == len(codes) == 21
    assert [read_code(each["codes"][0]) for each in served["codes"]] == [
        Behaviour(),
        Behaviour(BuyerAction.CONFIRMS, after_s=3.0),
        Behaviour(BuyerAction.DECLINES, after_s=2.0),
        Behaviour(BuyerAction.LACKS_FUNDS),
        Behaviour(BuyerAction.NEVER_ANSWERS),
        Behaviour(cancel=CancelPlan(settle_s=5.0)),
        Behaviour(cancel=CancelPlan(refused_with=-31800)),
    ]


def test_a_payment_goes_from_one_terminal_to_the_sandbox_in_another(tmp_path: Path) -> None:
    conf = tmp_path / "payme.go.conf"
    options = ["--conf", str(conf), "--data-dir", str(tmp_path / "data"), "--json"]
    with running("sandbox", "--port", "0") as process, urllib3.PoolManager() as pool:
        text = printed(process.stdout, "outcome, duration.")
        conf.write_text("[Main]" + text.partition("[Main]")[2].partition("\n\n")[0] + "\n", encoding="utf-8")
        checked = payme(*options, "settings", "check")
        outcomes = []
        for buyer in ("pays at", "lacks"):
            (code,) = re.findall(rf"^  (0077\d+)  {buyer}", text, re.MULTILINE)[:1]
            paid = payme(*options, "pay", "--amount", "15000.00", "--qr", code)
            outcomes.append((paid.code, paid.document["status"]))
        phone, control = re.findall(r"http://127\.0\.0\.1:\d+/(?:phone|sandbox/v1)", text)
        assert pool.request("GET", phone).headers["content-type"].startswith("text/html")
        assert len(json.loads(pool.request("GET", f"{control}/receipts").data)) == 2
        process.send_signal(signal.SIGINT)
        lines, _ = process.communicate(timeout=30)

    assert re.search(r"^[\d:]{8}  65aa\d+  receipts.pay +[0-9a-f]{24}  state 4  \d+ ms$", lines, re.MULTILINE)
    assert re.search(r"^[\d:]{8}  65aa\d+  receipts.pay +[0-9a-f]{24}  error -31630  \d+ ms$", lines, re.MULTILINE)
    assert not re.search(r"0077\d{16}", lines)
    assert (checked.code, outcomes) == (0, [(0, "PAID"), (1, "REFUSED")])
    assert re.findall(r"^\S+", conf.read_text(), re.MULTILINE) == ["[Main]", "url", "posId", "posKey", "paymentType"]


def test_a_port_in_use_is_a_fault_of_usage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = payme("sandbox", "--port", str(port))

    (sentence,) = refused.sentences
    assert (refused.code, refused.out) == (2, "")
    assert sentence.startswith(f"Port {port} on 127.0.0.1 can't be used")
    assert "Choose another" in sentence


def api(pool: urllib3.PoolManager, url: str, x_auth: str, method: str, **params: object) -> None:
    body = json.dumps({"id": 1, "method": method, "params": params}).encode()
    pool.request("POST", url, body=body, headers={"X-Auth": x_auth})


def test_with_json_each_request_is_a_line_of_json() -> None:
    with running("sandbox", "--port", "0", "--json") as process, urllib3.PoolManager() as pool:
        served = json.loads(printed(process.stdout, "\n}"))
        api(pool, served["url"], f"{served['pos_id']}:{served['pos_key']}", "receipts.check", id="x")
        api(pool, served["url"], "nobody", "receipts.\x1b[31m\u202e")
        process.send_signal(signal.SIGINT)
        lines = process.communicate(timeout=30)[0].splitlines()

    first, second = map(json.loads, lines)
    assert (first["method"], first["authorised"], first["answer"]["error"]["code"]) == ("receipts.check", True, -31602)
    assert (second["pos_id"], second["authorised"], second["status"]) == (None, False, 200)
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_a_line_escapes_what_comes_from_outside_and_names_the_fault(tmp_path: Path) -> None:
    account = ("--account", "shop-1:k1", "--account", "shop-2:k2")
    state = ("--state", str(tmp_path / "state"))
    with running("--lang", "en", "sandbox", "--port", "0", *account, *state) as process, urllib3.PoolManager() as pool:
        text = printed(process.stdout, "outcome, duration.")
        (control,) = re.findall(r"http://\S+/sandbox/v1", text)
        url = control.replace("/sandbox/v1", "/api")
        api(pool, url, "shop-2:k2", "receipts.\x1b[31m\u202e")
        pool.request("POST", f"{control}/faults", body=b'{"kind": "http-error"}')
        api(pool, url, "shop-1:k1", "receipts.check", id="x\ny")
        api(pool, url, "shop-1:k1", "receipts.get_all", **{"from": 0, "to": 1})
        pool.request("POST", url, body=b"{")
        process.send_signal(signal.SIGINT)
        lines = [line.split("  ", 1)[1] for line in process.communicate(timeout=30)[0].splitlines()]

    shown = [re.sub(" +", " ", line.rpartition("  ")[0]) for line in lines]
    assert shown == [
        r"shop-2 receipts.\x1b[31m\u202e - error -32601",
        r"shop-1 receipts.check x\ny fault http-error, HTTP 500",
        "shop-1 receipts.get_all - receipts: 0",
        "? ? - error -32700",
    ]
    assert re.findall(r'^posKey = "(.*)"$', text, re.MULTILINE) == ["k1", "k2"]
    assert text.count("paymentType = 7") == 2


def test_the_state_file_outlives_the_command_and_is_for_one_of_them(tmp_path: Path) -> None:
    options = ["sandbox", "--port", "0", "--json", "--state", str(tmp_path / "state")]
    receipts = []
    for more in (["--account", "a", "--account", "b:kb"], ["--account", "a"]):
        with running(*options, *more) as process, urllib3.PoolManager() as pool:
            served = json.loads(printed(process.stdout, "\n}"))
            api(pool, served["url"], "b:kb", "receipts.create", amount=5, account={})
            receipts.append(len(json.loads(pool.request("GET", f"{served['control_url']}/receipts").data)))
            second = payme(*options)
            process.kill()
            process.communicate(timeout=30)
    other_keys = [
        payme(*options, *more) for more in (["--account", "a", "--account", "b:other"], ["--account", "b:newkey"])
    ]

    assert receipts == [1, 2]
    assert (second.code, second.error["id"]) == (2, "cli.sandbox.state.in_use")
    for other_key in other_keys:
        assert (other_key.code, other_key.error["id"]) == (2, "cli.sandbox.state.other_key")
        assert "The account b has another key in the state file" in other_key.sentences[0]


@pytest.mark.parametrize("second", ["a", "a:k1", "a:k2"])
def test_an_account_is_given_once(second: str) -> None:
    refused = payme("--lang", "en", "sandbox", "--port", "0", "--account", "a:k1", "--account", second)

    assert (refused.code, refused.sentences) == (2, ["The account a is given twice. Give each --account once."])


@pytest.mark.parametrize("port", ["abc", "-1", "65536"])
def test_a_port_that_does_not_exist_is_refused_with_those_that_do(port: str) -> None:
    refused = payme("--lang", "en", "sandbox", "--port", port)

    assert refused.code == 2
    assert f"'{port}' is not allowed: use a whole number from 0 to 65535." in refused.sentences[-1]


@pytest.mark.parametrize(("content", "error_id"), [("[Main]", "foreign"), ("SQLite format 3\0" + "x" * 100, "foreign")])
def test_a_state_file_that_can_not_be_used_is_a_fault_of_usage(tmp_path: Path, content: str, error_id: str) -> None:
    (tmp_path / "state").write_text(content)
    refused = payme("--json", "sandbox", "--port", "0", "--state", str(tmp_path / "state"))

    assert (refused.code, refused.error["id"]) == (2, f"cli.sandbox.state.{error_id}")
    assert str(tmp_path / "state") in refused.sentences[0]


@pytest.mark.parametrize("account", ["", "a b", "a:", "a:k y", 'a:"', "x" * 65, "ключ:k"])
def test_an_account_that_can_not_be_used_is_refused_without_its_key(account: str) -> None:
    refused = payme("sandbox", "--port", "0", "--account", account)

    assert refused.code == 2
    assert "POSID" in refused.sentences[0]
    assert "k y" not in refused.err


def test_an_output_that_can_not_be_written_at_the_start_is_said_and_nothing_is_served() -> None:
    with Path("/dev/full").open("w", encoding="ascii") as full:
        ended = payme_process("--lang", "en", "sandbox", "--port", "0", stdout=full.fileno())

    assert (ended.code, ended.sentences) == (1, ["The output can't be written: No space left on device."])


def test_a_sandbox_on_every_address_says_so_and_names_one_that_a_network_can_reach() -> None:
    with running("--lang", "en", "sandbox", "--port", "0", "--host", "0.0.0.0") as process:  # noqa: S104
        text = printed(process.stdout, "outcome, duration.")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

    (host,) = set(re.findall(r"http://([0-9.]+):", text))
    assert host not in {"0.0.0.0", ""}  # noqa: S104
    assert ("allowPlainHttp = 1" in text) == (not host.startswith("127."))
    assert err.startswith("payme: The sandbox listens on 0.0.0.0: everyone in the network can use it")


# ---------------------------------------------------------------------------------------------------------------------
# The demo
# ---------------------------------------------------------------------------------------------------------------------

PROOFS = {
    "Payme's answer is lost": ["PAID", "receipts.pay sent once"],
    "No answer in time": ["UNKNOWN", "Payme holds 12 000.00", "delivered", "Payme holds nothing"],
    "The power fails before the answer": ["till killed by SIGKILL", "receipts.pay not sent"],
    "The power fails, and the sale is lost": ["till killed by SIGKILL", "Payme holds 6 600.00", "Payme holds nothing"],
    "The till's sales equal Payme's money": ["every sale agrees", "no cancellation left"],
}
"""Among the checks of these steps, those that prove most."""


def test_every_check_of_the_demo_passes() -> None:
    shown = payme("demo", "--json")

    assert (shown.code, shown.err, shown.document["ok"]) == (0, "", True)
    steps = {step["title"]: [check["text"] for check in step["checks"]] for step in shown.document["steps"]}
    assert (len(steps), sum(map(len, steps.values())) >= 80) == (13, True)
    assert all(step["ok"] and all(check["ok"] for check in step["checks"]) for step in shown.document["steps"])
    assert [text for title, proofs in PROOFS.items() for text in proofs if text not in steps[title]] == []


def test_a_check_that_fails_is_shown_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "STEPS", (replace(STEPS[0], held=1),))

    shown = payme("demo", "--lang", "en")

    assert shown.code == 1
    assert "   │ Paid by Payme.\n" in shown.out
    assert "   FAILED  Payme holds 15 000.00\n" in shown.out
    assert "   ok  PAID, receipts.pay sent once, slip printed twice\n" in shown.out
    assert shown.out.endswith("1 of 8 checks FAILED.\n")
    assert max(map(len, shown.out.splitlines())) <= 80


def test_a_step_that_breaks_off_fails_and_the_next_one_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(_shop: DemoShop) -> Outcome:
        raise OSError("no more paper")

    monkeypatch.setattr(package, "STEPS", (replace(STEPS[0], do=break_off), STEPS[4]))

    shown = payme("demo", "--json")

    assert shown.code == 1
    assert [step["ok"] for step in shown.document["steps"]] == [False, True, True]
    assert shown.document["steps"][0]["checks"] == [{"text": "OSError: no more paper", "ok": False}]


SHORT_SHOW = """
from payme_plugin.cli import demo, main
from payme_plugin.cli.demo import show

demo.STEPS, show._STEP_S, show._PATIENCE_S = demo.STEPS[:1], 0, 600
main(["demo", "--show", "--lang", "en"], prog_name="payme")
"""
"""A demo of one step, without a pause, that waits long for a browser."""


@contextmanager
def shown(stdin: int = subprocess.DEVNULL) -> Iterator[tuple[Popen[str], str]]:
    """Run the show in a process of its own; yield it and the dashboard's address once it waits for somebody."""
    with Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", SHORT_SHOW],
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    ) as process:  # fmt: skip
        try:
            said = printed(process.stderr, "Enter.") if stdin != subprocess.DEVNULL else printed(process.stderr, " s.")
            yield process, re.findall(r"http://127\.0\.0\.1:\d+/", said)[0]
        finally:
            process.kill()


def test_the_show_begins_at_enter_and_keeps_the_dashboard_open_until_ctrl_c() -> None:
    terminal, keyboard = os.openpty()
    with shown(keyboard) as (process, dashboard), urllib3.PoolManager() as pool:
        os.write(terminal, b"\n")
        assert "A sale" in printed(process.stdout, "checks passed.")
        assert dashboard in printed(process.stderr, "Ctrl+C.")
        assert pool.request("GET", dashboard, retries=False).status == 200
        assert len(json.loads(pool.request("GET", f"{dashboard}sandbox/v1/receipts").data)) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    os.close(terminal)
    os.close(keyboard)


def test_the_show_begins_as_soon_as_a_browser_shows_the_dashboard() -> None:
    with shown() as (process, dashboard), urllib3.PoolManager() as pool:
        events = pool.request("GET", f"{dashboard}sandbox/v1/events", preload_content=False)
        assert "checks passed." in printed(process.stdout, "checks passed.")
        events.close()
        assert process.wait(30) == 0


def test_without_a_terminal_the_show_waits_10_s_and_2_s_before_each_step_and_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = VirtualClock()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(show_module, "time", clock)
    monkeypatch.setattr(package, "STEPS", (*STEPS[:1], *STEPS[7:9]))

    ended = payme("demo", "--show", "--lang", "en")

    assert (ended.code, "in 10 s." in ended.err, "until Ctrl+C" in ended.err) == (0, True, False)
    assert 16 <= clock.monotonic() <= 16.2


def test_a_chain_is_not_shown() -> None:
    refused = payme("demo", "--show", "--broker", "amqp://127.0.0.1", "--accounts", "accounts.conf")

    assert refused.code == 2
    assert refused.sentences == ["--show and --port are for the demo of one till: leave out --broker and --accounts."]


@pytest.mark.parametrize(
    ("url", "broker", "text"),
    [
        ("https://checkout.paycom.uz:8443/api", "amqp://u:s3cr3t@127.0.0.1:1", "a free port of this machine"),
        ("http://127.0.0.1/api", "amqp://u:s3cr3t@127.0.0.1:1", "a free port of this machine"),
        ("http://127.0.0.1:8480/api", "amqp://u:s3cr3t@127.0.0.1:1", "The broker amqp://***@127.0.0.1:1 can't be used"),
        ("http://127.0.0.1:8480/api", "amqp://u:s3/cr3t@127.0.0.1:1", "this is not a broker's address"),
    ],
)
def test_a_chain_needs_an_account_of_this_machine_and_a_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, broker: str, text: str
) -> None:
    monkeypatch.setattr(demo_module, "_BROKER_STARTS_S", 0.3)
    accounts = tmp_path / "accounts.conf"
    accounts.touch(mode=0o600)
    accounts.write_text(f'[Account a]\nurl = "{url}"\nposKey = "k"\n')
    shown = payme("demo", "--lang", "en", "--broker", broker, "--accounts", str(accounts))

    assert (shown.code, text in shown.err, "cr3t" in shown.out + shown.err) == (2, True, False), shown.err


def test_a_step_without_checks_does_not_pass() -> None:
    report = DemoReport(quiet=True)
    report.step("A sale")

    assert not report.passed
