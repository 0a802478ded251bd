"""``payme sandbox fault``: the faults of a sandbox that runs in another process, or here."""

from __future__ import annotations

import itertools
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from payme_plugin.sandbox import FaultKind, InjectedFault
from tests.command.conftest import payme, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO, Any

    from payme_plugin.sandbox import Sandbox
    from tests.command.conftest import CommandTill, Ended

pytestmark = pytest.mark.floor


@pytest.fixture
def ask(sandbox: Sandbox) -> Callable[..., Ended]:
    def run(*arguments: str) -> Ended:
        return payme("--lang", "en", "sandbox", "fault", *arguments, "--url", sandbox.origin)

    return run


def first_document(stream: IO[str] | None) -> Any:  # noqa: ANN401 - JSON
    assert stream is not None
    return json.loads("".join(itertools.takewhile(lambda line: line != "}\n", stream)) + "}")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ("html", InjectedFault(FaultKind.HTML)),
        ("silent --method receipts.pay --skip 2", InjectedFault(FaultKind.SILENT, "receipts.pay", skip=2)),
        ("html --code 007701", InjectedFault(FaultKind.HTML, code="007701")),
        ("html --amount 15000.00", InjectedFault(FaultKind.HTML, amount_min=1_500_000, amount_max=1_500_000)),
        ("html --amount 1000-20000.50", InjectedFault(FaultKind.HTML, amount_min=100_000, amount_max=2_000_050)),
        ("html --amount 1000-", InjectedFault(FaultKind.HTML, amount_min=100_000)),
        ("html --amount -20000", InjectedFault(FaultKind.HTML, amount_max=2_000_000)),
        ("html --account 65aa", InjectedFault(FaultKind.HTML, pos_id="65aa")),
        ("html --header User-Agent", InjectedFault(FaultKind.HTML, header="User-Agent")),
        ("html --header Via:1:2", InjectedFault(FaultKind.HTML, header="Via", header_value="1:2")),
        ("html --times 3", InjectedFault(FaultKind.HTML, times=3)),
        ("html --times always", InjectedFault(FaultKind.HTML, times=None)),
        ("html --probability 0.25", InjectedFault(FaultKind.HTML, probability=0.25)),
        ("answer-delayed --after 1.5", InjectedFault(FaultKind.ANSWER_DELAYED, after_s=1.5)),
        ("error --error-code -31630", InjectedFault(FaultKind.ERROR, error_code=-31630)),
        ("http-error --status 503", InjectedFault(FaultKind.HTTP_ERROR, status=503)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_option_is_a_member_of_the_fault(
    ask: Callable[..., Ended], sandbox: Sandbox, arguments: str, fault: InjectedFault
) -> None:
    added = ask("add", *arguments.split())

    assert (added.code, added.err) == (0, "")
    assert sandbox.faults == (fault,)


def test_a_fault_is_added_listed_and_removed(ask: Callable[..., Ended], sandbox: Sandbox) -> None:
    assert ask("list").out == "There are no faults.\n"
    ask("add", "html")
    of_pays = ("--method", "receipts.pay", "--amount", "1000-20000", "--times", "always")
    added = ask("add", "error", "--error-code", "-31630", *of_pays)
    of_one = ("--code", "12345678901234567890", "--header", "A: b c", "--probability", "0.5", "--skip", "7")
    ask("add", "slow-answer", "--after", "30", *of_one)

    assert added.out == "Fault 2 was added: error -31630.\n"
    assert ask("list").out == (
        "Id  Fault             Requests                                               Times  Skip\n"
        " 1  html              every request                                              1     0\n"
        " 2  error -31630      --method receipts.pay --amount 1000.00-20000.00       always     0\n"
        " 3  slow-answer 30 s  --code '***7890' --header 'A: b c' --probability 0.5       1     7\n"
    )
    left = ask("remove", "2")
    assert [line.split()[0] for line in left.out.splitlines()] == ["Id", "1", "3"]
    assert ask("clear").out == "There are no faults.\n"
    assert sandbox.faults == ()


def test_with_json_each_command_prints_the_rules(ask: Callable[..., Ended]) -> None:
    added = ask("add", "stuck", "--json").document

    assert (added["number"], added["kind"], added["times"], added["amount_min"]) == (1, "stuck", 1, None)
    assert ask("list", "--json").document == [added]
    other = ask("add", "html", "--json").document
    assert ask("remove", "1", "--json").document == [other]
    assert ask("clear", "--json").document == []


def test_a_fault_that_is_added_meets_the_next_sale(ask: Callable[..., Ended], shop: CommandTill) -> None:
    ask("add", "error", "--method", "receipts.pay", "--error-code", "-31630", "--amount", "15000.00")
    paid = [shop.pay(shop.sandbox.issue_code(), amount=amount).document["status"] for amount in ("1.00", "15000.00")]

    assert paid == ["PAID", "REFUSED"]
    assert ask("list", "--json").document == []


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (["malformed"], ("UNKNOWN", 0)),
        (["malformed-after-effect"], ("PAID", 1_500_000)),
        (["truncated"], ("PAID", 1_500_000)),
        (["duplicate-answer"], ("PAID", 1_500_000)),
        (["slow-answer", "--after", "1"], ("PAID", 1_500_000)),
        (["stuck"], ("UNKNOWN", 0)),
    ],
    ids=lambda value: value[0],
)
def test_a_till_that_meets_a_fault_of_the_answer_to_pay_asks_for_the_state(
    ask: Callable[..., Ended], shop: CommandTill, fault: list[str], outcome: tuple[str, int]
) -> None:
    shop.configure(payDuration=2000)
    ask("add", *fault, "--method", "receipts.pay")
    paid = shop.pay(shop.sandbox.issue_code()).document

    assert (paid["status"], shop.sandbox.held(), shop.sent("receipts.pay")) == (*outcome, 1)
    assert paid["cancellation_queued"] is (paid["status"] != "PAID")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "html", "--header", "X-Auth"], "The sandbox refuses it: body: header is 'X-Auth': "),
        (["add", "html", "--skip", "-1", "--status", "200"], "body: skip is -1: 0 or more; status is 200: "),
        (["add", "html", "--header", "a\x1b[31m"], r"header is 'a\x1b[31m': the name of a header is allowed"),
        (["remove", "7"], "The sandbox refuses it: there is no fault 7"),
        (["remove", "0"], "'0' is not allowed: use a whole number from 1."),
        (["remove", "abc"], "'abc' is not allowed: use a whole number from 1."),
        (["add", "html", "--amount", "5-1"], "'5-1' is not a range: the first amount is above the second."),
        (["add", "html", "--amount", "20000-x"], "use e.g. 15000.00, 1000.00-20000.00 or 1000.00-."),
        (["add", "html", "--amount", "-"], "use e.g. 15000.00, 1000.00-20000.00 or 1000.00-."),
        (["add", "html", "--times", "0"], "use a whole number from 1, or always."),
        (["add", "html", "--times", "9" * 5000], "use a whole number from 1, or always."),
    ],
)
def test_what_is_not_allowed_is_a_fault_of_usage_in_one_sentence(
    ask: Callable[..., Ended], sandbox: Sandbox, arguments: list[str], said: str
) -> None:
    refused = ask(*arguments)

    assert (refused.code, refused.out, len(refused.sentences)) == (2, "", 1)
    assert said in refused.sentences[0]
    assert sandbox.faults == ()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9", "There is no sandbox at http://127.0.0.1:9 (Connection refused). Start it with"),
        *(
            (url, "is not the address of a sandbox: use e.g. http://127.0.0.1:8765.")
            for url in (
                "",
                "127.0.0.1:8765",
                "ftp://x",
                "http://",
                "http://[::",
                "http://x:99999",
                "http://x/phone",
                "http://u:p@x",
            )
        ),
    ],
)
def test_an_address_without_a_sandbox_is_a_fault_of_usage(monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
    refused = payme("sandbox", "fault", "list", "--url", url)

    assert (refused.code, refused.out) == (2, "")
    assert said in refused.sentences[-1]
    monkeypatch.setenv("PAYME_SANDBOX_URL", url or "x")
    assert payme("sandbox", "fault", "clear").code == 2


class Foreign(BaseHTTPRequestHandler):
    """A server that is not a sandbox."""

    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<html>", b"[1]", b"{}", b'[{"kind": "html"}]', b"[" * 100_000, b"\xff"),
        *(b'[{"kind": "html", "number": %s}]' % number for number in (b'"1"', b"1.5", b"null")),
        b'[{"kind": ["html"], "number": 1}]',
        b'[{"kind": "html", "number": 1, "amount_min": "100"}]',
        b'[{"kind": "html", "number": 1, "amount_max": 100.5}]',
    ],
    ids=lambda value: repr(value)[:60],
)
def test_another_server_is_not_taken_for_a_sandbox(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(Foreign, "content", content)
    with HTTPServer(("127.0.0.1", 0), Foreign) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        refused = payme("sandbox", "fault", "list", "--url", f"http://127.0.0.1:{server.server_port}")
        thread.join(10)

    assert (refused.code, refused.out) == (2, "")
    assert "is not a sandbox of this version" in refused.sentences[0]


def test_a_server_that_hangs_up_is_not_a_sandbox() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        refused = payme("sandbox", "fault", "list", "--url", f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join(10)

    assert refused.code == 2
    assert re.search(r"There is no sandbox at \S+ \((ProtocolError|Connection reset by peer)\)", refused.sentences[0])


def test_the_sandbox_starts_with_a_scenario_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(
        '{"v": 1, "faults": [{"kind": "stuck"}], "accounts": [{"pos_id": "a"}], "phones": [{}], "codes": [{}]}'
    )
    with running("sandbox", "--port", "0", "--json", "--scenario", str(path)) as process:
        served = first_document(process.stdout)
        origin = served["control_url"].removesuffix("/sandbox/v1")
        listed = payme("sandbox", "fault", "list", "--json", "--url", origin)

    assert served["scenario"]["faults"] == listed.document
    assert [len(served["scenario"][name]) for name in ("faults", "codes", "accounts", "phones")] == [1, 1, 1, 1]


def test_a_scenario_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    path.write_text('{"v": 1, "phones": [{}, {}], "codes": [{}]}')
    with running("--lang", "en", "sandbox", "--port", "0", "--scenario", str(path)) as process:
        assert process.stdout is not None
        text = "".join(itertools.takewhile(lambda line: not re.fullmatch(r"  \d{20}\n", line), process.stdout))

    assert "The scenario has faults: 0, merchant accounts: 0." in text
    assert len(re.findall(r"^  http://127\.0\.0\.1:\d+/phone\?phone=[0-9a-f]{16}$", text, re.MULTILINE)) == 2


def test_a_scenario_that_can_not_be_used_is_a_fault_of_usage_with_a_sentence_for_each_problem(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    missing = payme("sandbox", "--scenario", str(path))
    path.write_text('{"v": 2, "faults": [{"kind": "htm\\u001b[31m"}, {"kind": "html", "x\\u202e": 1}]}')
    refused = payme("sandbox", "--scenario", str(path))

    assert (missing.code, missing.sentences) == (2, [f"{path} can't be read: No such file or directory"])
    assert (refused.code, refused.out, len(refused.sentences)) == (2, "", 3)
    assert refused.sentences[0] == f"{path} can't be used: v: must be 1"
    assert r"can't be used: faults[1]: has 'x\u202e'; allowed are kind, " in refused.sentences[2]


def test_the_help_names_every_kind() -> None:
    shown = "".join(payme("sandbox", "fault", "add", "--help").out.split())

    assert [kind.value for kind in FaultKind if kind.value not in shown] == []
