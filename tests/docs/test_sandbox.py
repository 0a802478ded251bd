"""The page of the sandbox: it is complete, and its calls answer as it says."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import urllib3

from payme_plugin.sandbox import FaultKind, read_code
from payme_plugin.sandbox.control import CALLS, PREFIX
from tests.docs.conftest import blocks, headings, read

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox

PAGE = "docs/sandbox.md"
ORIGIN = "http://127.0.0.1:8765"
RECEIPT_ID = "6a1f0c5e9b3d47208c6e51fa"
VOLATILE = {
    **dict.fromkeys(("code", "receipt_id", "phone_id", "svg", "id"), str),
    "codes": list,
    **dict.fromkeys(("at_ms", "created_ms", "cancelled_ms", "now_ms", "left_ms", "took_ms", "connection"), int),
}
"""The members that differ between runs, with their types; a JSON-RPC id is a number."""


def ask(sandbox: Sandbox, command: str) -> Any:  # noqa: ANN401 - any JSON
    """Send what a line of curl sends to the sandbox of the test, and return the answer's JSON."""
    words = shlex.split(command.removeprefix("curl "))
    given = {name: words.pop(words.index(name) + 1) for name in ("-X", "-H", "-d") if name in words}
    url = next(word for word in words if word.startswith("http"))
    method = given.get("-X", "POST" if "-d" in given else "GET")
    headers = dict([given["-H"].split(": ", 1)] if "-H" in given else [])
    with urllib3.HTTPConnectionPool("127.0.0.1", sandbox.port) as pool:
        path = url.removeprefix(ORIGIN)
        answer = pool.urlopen(method, path, body=given.get("-d"), headers=headers, retries=False)
        return json.loads(answer.data.decode().replace(sandbox.origin, ORIGIN))


def settled(document: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a document with the type in place of each value that differs between runs."""
    if isinstance(document, dict):
        return {
            name: type(value).__name__ if isinstance(value, VOLATILE.get(name, ())) else settled(value)
            for name, value in document.items()
        }
    return [settled(each) for each in document] if isinstance(document, list) else document


def create_and_check(sandbox: Sandbox) -> str:
    """Send what the examples show as done before: a receipt, and a request about it."""
    params = {"amount": 1_500_000, "account": {"order_id": "3-118"}}
    x_auth = f"{sandbox.pos_id}:{sandbox.pos_key}"
    head = f"curl {ORIGIN}/api -H 'X-Auth: {x_auth}' -d"
    create = {"id": 1, "method": "receipts.create", "params": params}
    receipt_id: str = ask(sandbox, f"{head} '{json.dumps(create)}'")["result"]["receipt"]["_id"]
    ask(sandbox, f"{head} '{json.dumps({'id': 2, 'method': 'receipts.check', 'params': {'id': receipt_id}})}'")
    return receipt_id


def test_every_call_of_the_page_answers_as_the_page_says(sandbox: Sandbox) -> None:
    receipt_id = create_and_check(sandbox)
    names = {RECEIPT_ID: receipt_id}
    shown = [block for block in blocks(PAGE) if block.language in {"sh", "json"}][1:]
    commands, answers = shown[::2], shown[1::2]

    assert {block.language for block in commands} == {"sh"}
    assert {block.language for block in answers} == {"json"}
    for command, answer in zip(commands, answers, strict=True):
        for line in command.text.replace("\\\n", "").splitlines():
            # A receipt of the last example does not exist.
            real = line if "/api" in line else re.sub("|".join(names), lambda found: names[found[0]], line)
            answered, expected = ask(sandbox, real), json.loads(answer.text)
            assert settled(answered) == settled(expected), f"{PAGE}:{command.line}"
            if "phone_id" in expected and "state" not in expected:
                names[expected["phone_id"]] = answered["phone_id"]


def test_the_python_of_the_page_runs() -> None:
    examples = [block.text for block in blocks(PAGE) if block.language == "python"]

    names: dict[str, object] = {}

    assert examples
    for example in examples:
        exec(compile(example, PAGE, "exec"), names)  # noqa: S102 - our own page


def test_every_code_of_the_table_is_the_behaviour_beside_it(sandbox: Sandbox) -> None:
    spelt = re.findall(r"^\| `(0077 \d\d \d{5})` \| .* \| `(.*)` \|$", read(PAGE), re.MULTILINE)
    assert [code.split()[1] for code, _ in spelt] == [f"{number:02d}" for number in range(9)]
    for code, document in spelt:
        issued = ask(sandbox, f"curl {ORIGIN}{PREFIX}/codes -d '{document}'")["code"]
        known = sandbox.bank.code(issued)
        assert known is not None
        assert read_code(code.replace(" ", "") + "123456789") == known.behaviour


def test_the_page_has_every_call() -> None:
    paths = {path for heading in headings(PAGE) for path in re.findall(rf"{PREFIX}(\S*)", heading)}
    assert {path or "/" for path in paths} == {*CALLS, "/events"}
    for path, methods in CALLS.items():
        assert f"{', '.join(methods)} {PREFIX}{path}".rstrip("/") in headings(PAGE)


def test_the_page_has_every_fault_with_its_effect() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (no|yes|`after_s` later)", read(PAGE), re.MULTILINE))
    assert {kind.value: kind.effect for kind in FaultKind} == {kind: said != "no" for kind, said in rows.items()}
