"""The page of the sandbox: it is complete, and its calls answer as it says."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import urllib3

from payme_plugin.sandbox import FaultKind, read_code
from payme_plugin.sandbox.control import CALLS
from tests.docs.conftest import blocks, headings, read

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox

PAGE = "docs/sandbox.md"
VOLATILE = {"code": str, "receipt_id": str, "at_ms": int, "created_ms": int, "connection": int}


def ask(sandbox: Sandbox, command: str) -> Any:  # noqa: ANN401 - any JSON
    """Send what a line of curl sends to the sandbox of the test, and return the answer's JSON."""
    words = shlex.split(command.removeprefix("curl "))
    given = {name: words.pop(words.index(name) + 1) for name in ("-X", "-H", "-d") if name in words}
    url = next(word for word in words if word.startswith("http"))
    method = given.get("-X", "POST" if "-d" in given else "GET")
    headers = dict([given["-H"].split(": ", 1)] if "-H" in given else [])
    with urllib3.HTTPConnectionPool("127.0.0.1", sandbox.port) as pool:
        path = url.removeprefix("http://127.0.0.1:8765")
        return json.loads(pool.urlopen(method, path, body=given.get("-d"), headers=headers, retries=False).data)


def settled(document: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a document with the type in place of each value that differs between runs."""
    if isinstance(document, dict):
        return {
            name: type(value).__name__ if isinstance(value, VOLATILE.get(name, ())) else settled(value)
            for name, value in document.items()
        }
    return [settled(each) for each in document] if isinstance(document, list) else document


def test_every_call_of_the_page_answers_as_the_page_says(sandbox: Sandbox) -> None:
    with urllib3.HTTPConnectionPool("127.0.0.1", sandbox.port) as pool:
        params = {"amount": 1_500_000, "account": {"order_id": "3-118"}}
        body = json.dumps({"id": 1, "method": "receipts.create", "params": params})
        x_auth = {"X-Auth": f"{sandbox.pos_id}:{sandbox.pos_key}"}
        pool.urlopen("POST", "/api", body=body, headers=x_auth, retries=False)
    shown = [block for block in blocks(PAGE) if block.language in {"sh", "json"}][1:]
    commands, answers = shown[::2], shown[1::2]

    assert {block.language for block in commands} == {"sh"}
    assert {block.language for block in answers} == {"json"}
    for command, answer in zip(commands, answers, strict=True):
        for line in command.text.replace("\\\n", "").splitlines():
            assert settled(ask(sandbox, line)) == settled(json.loads(answer.text)), f"{PAGE}:{command.line}"


def test_the_python_of_the_page_runs() -> None:
    (example,) = (block.text for block in blocks(PAGE) if block.language == "python")

    exec(compile(example, PAGE, "exec"), {})  # noqa: S102 - our own page


def test_every_code_of_the_table_is_the_behaviour_beside_it(sandbox: Sandbox) -> None:
    spelt = re.findall(r"^\| `(0077 \d\d \d{5})` \| .* \| `(.*)` \|$", read(PAGE), re.MULTILINE)
    assert [code.split()[1] for code, _ in spelt] == [f"{number:02d}" for number in range(9)]
    for code, document in spelt:
        issued = ask(sandbox, f"curl http://127.0.0.1:8765/sandbox/codes -d '{document}'")["code"]
        known = sandbox.bank.code(issued)
        assert known is not None
        assert read_code(code.replace(" ", "") + "123456789") == known.behaviour


def test_the_page_has_every_call_and_every_fault_with_its_effect() -> None:
    assert {path for heading in headings(PAGE) for path in re.findall(r"/[a-z/]+", heading)} == set(CALLS)
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (no|yes|`after_s` later)", read(PAGE), re.MULTILINE))
    assert {kind.value: kind.effect for kind in FaultKind} == {kind: said != "no" for kind, said in rows.items()}
