"""Hostile XML as template and as schema: refused at once, without the network and without reading another file."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slips import SlipError, SlipRenderer, TemplateError
from slips.schemas import build_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.floor

LIMIT_S = 1.0
"""Of this thread's own work, so that a busy machine fails no test; who waits for a server has called the trap."""

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
ATTACKS = {
    "internal entity": '<!DOCTYPE slip [<!ENTITY a "b">]><slip><line>&a;</line></slip>',
    "external entity": '<!DOCTYPE slip [<!ENTITY a SYSTEM "{file}">]><slip><line>&a;</line></slip>',
    "external entity by http": '<!DOCTYPE slip [<!ENTITY a SYSTEM "{http}">]><slip><line>&a;</line></slip>',
    "parameter entity": '<!DOCTYPE slip [<!ENTITY % a SYSTEM "{http}"> %a;]><slip><line>a</line></slip>',
    "exponential growth": f'<!DOCTYPE slip [<!ENTITY l0 "ha">{LAUGHS}]><slip><line>&l9;</line></slip>',
    "quadratic growth": f'<!DOCTYPE slip [<!ENTITY a "{"a" * 50_000}">]><slip><line>{"&a;" * 20_000}</line></slip>',
    "external DTD": '<!DOCTYPE slip SYSTEM "{http}"><slip><line>a</line></slip>',
    "plain DTD": "<!DOCTYPE slip><slip><line>a</line></slip>",
    "remote schema": '<slip xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:noNamespaceSchemaLocation="{http}"><line>a</line></slip>',
    "remote schema on a line": '<slip><line xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="urn:x {http}">a</line></slip>',
    "other type": '<slip><line xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="mark">a</line></slip>',
    "include": '<slip xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{file}" parse="text"/></slip>',
    "deep nesting": "<slip>" + "<line>" * 40_000,
    "10 MB of attributes": "<slip " + " ".join(f'a{n}="x"' for n in range(1_000_000)) + "/>",
    "many unknown attributes": "<slip><line " + " ".join(f'a{n}=""' for n in range(25_000)) + "/></slip>",
    "many elements": "<slip>" + "<x/>" * 50_000 + "</slip>",
    "a long element name": f"<slip><{'x' * 200_000}/></slip>",
    "a long attribute name": f"<slip><line {'x' * 200_000}=''/></slip>",
    "many unknown names": "<slip>" + f"<line>{'${x}' * 500}</line>" * 100 + "</slip>",
    "many words in when": f"<slip><line when='{'x ' * 100_000}'>a</line></slip>",
    "many braces": f"<slip><line>{'{' * 200_000}</line></slip>",
    "many line breaks": "<slip><line>" + "\n" * 200_000 + "</line></slip>",
    "text between elements": "<slip>" + "<cut/>x" * 900 + "\nx" * 100_000 + "</slip>",
    "many references": "<slip><line>" + "&lt;" * 60_000 + "</line></slip>",
    "many references in a label": "<slip>" + f"<pair label='{'&#10;${x}' * 180}'/>" * 140 + "</slip>",
}


class Trap:
    """A server on loopback that notes whether anyone came."""

    def __init__(self) -> None:
        self.visits = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/evil"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            visitor.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_template_is_refused_fast_and_alone(
    renderer: SlipRenderer, trap: Trap, tmp_path: Path, attack: str
) -> None:
    renderer.warm_up()
    secret = tmp_path / "secret.txt"
    secret.write_text("CANARY")
    path = tmp_path / "payme.xml"
    path.write_text(ATTACKS[attack].replace("{file}", secret.as_uri()).replace("{http}", trap.url))
    begin = time.thread_time()
    with pytest.raises(TemplateError) as caught:
        renderer.load(path)
    assert time.thread_time() - begin < LIMIT_S
    assert trap.visits == 0
    assert 1 <= len(caught.value.faults) <= 100
    assert len(str(caught.value)) < 60_000
    assert "CANARY" not in str(caught.value)


def test_the_trap_catches_whoever_comes(trap: Trap) -> None:
    port = int(trap.url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as visitor:
        assert visitor.recv(1) == b""
    assert trap.visits == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_or_a_device_is_no_template(renderer: SlipRenderer, tmp_path: Path) -> None:
    pipe = tmp_path / "payme.xml"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(TemplateError, match="this is not a file"):
            renderer.load(path)


XS = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"'
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
SCHEMA_ATTACKS = {
    "internal entity": f'<!DOCTYPE x [<!ENTITY a "b">]><xs:schema {XS}><xs:element name="&a;"/></xs:schema>',
    "external entity": f'<!DOCTYPE x [<!ENTITY a SYSTEM "{{file}}">]><xs:schema {XS}>&a;</xs:schema>',
    "exponential growth": f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><xs:schema {XS}>&l9;</xs:schema>',
    "quadratic growth": f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]><xs:schema {XS}>{"&a;" * 20_000}</xs:schema>',
    "external DTD": f'<!DOCTYPE x SYSTEM "{{http}}"><xs:schema {XS}/>',
    "parameter entity": f'<!DOCTYPE x [<!ENTITY % a SYSTEM "{{http}}"> %a;]><xs:schema {XS}/>',
    "plain DTD": f"<!DOCTYPE x><xs:schema {XS}/>",
    "include of a file": f'<xs:schema {XS}><xs:include schemaLocation="{{file}}"/></xs:schema>',
    "remote include": f'<xs:schema {XS}><xs:include schemaLocation="{{http}}"/></xs:schema>',
    "remote redefine": f'<xs:schema {XS}><xs:redefine schemaLocation="{{http}}"/></xs:schema>',
    "remote schema location": f'<xs:schema {XS} {XSI} xsi:schemaLocation="urn:x {{http}}"/>',
    "schema location of a file": f'<xs:schema {XS} {XSI} xsi:schemaLocation="urn:x {{file}}"/>',
    "remote location without a namespace": f'<xs:schema {XS} {XSI} xsi:noNamespaceSchemaLocation="{{http}}"/>',
    "location of a file without a namespace": f'<xs:schema {XS} {XSI} xsi:noNamespaceSchemaLocation="{{file}}"/>',
    "schema location further in": f'<xs:schema {XS} {XSI}><xs:element name="slip"><xs:annotation><xs:appinfo>'
    '<x xsi:schemaLocation="urn:x {http}"/></xs:appinfo></xs:annotation></xs:element></xs:schema>',
    "import further in": f'<xs:schema {XS}><xs:annotation><xs:appinfo><xs:import schemaLocation="{{file}}"/>'
    "</xs:appinfo></xs:annotation></xs:schema>",
    "deep nesting": f"<xs:schema {XS}>" + "<xs:annotation>" * 15_000,
    "10 MB of attributes": f"<xs:schema {XS} " + " ".join(f'a{n}="x"' for n in range(1_000_000)) + "/>",
    "no schema": "<slip/>",
    "no XML": "schema",
}


_TELLS_WHAT_IT_OPENS = """
import json, sys
from datetime import timezone
from slips import SlipError, SlipRenderer
from slips.schemas import build_schema
SlipRenderer(timezone=timezone.utc).warm_up()
attacks, told, opened = json.load(sys.stdin), {}, []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
for attack, text in attacks.items():
    opened.clear()
    try:
        build_schema(text.encode())
    except SlipError:
        told[attack] = list(opened)
opened.clear()
open(sys.argv[1]).close()
told["a file is opened"] = opened
print(json.dumps(told))
"""
"""In a process of its own: an audit hook can't be taken back, and keeps threads from starting where coverage runs."""


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    secret = tmp_path_factory.mktemp("secret") / "secret.xsd"
    secret.write_text(f"<xs:schema {XS}/>")
    return secret


@pytest.fixture(scope="module")
def opened(secret: Path) -> dict[str, list[str]]:
    """What was opened at each attack: by its name the files' names."""
    nowhere = "http://127.0.0.1:9/evil"
    attacks = {
        name: text.replace("{file}", secret.as_uri()).replace("{http}", nowhere)
        for name, text in SCHEMA_ATTACKS.items()
    }
    run = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", _TELLS_WHAT_IT_OPENS, str(secret)],
        input=json.dumps(attacks),
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, list[str]] = json.loads(run.stdout)
    return told


@pytest.mark.parametrize("attack", SCHEMA_ATTACKS)
def test_a_hostile_schema_is_refused_fast_and_alone(
    renderer: SlipRenderer, trap: Trap, secret: Path, attack: str
) -> None:
    renderer.warm_up()
    text = SCHEMA_ATTACKS[attack].replace("{file}", secret.as_uri()).replace("{http}", trap.url)
    begin = time.thread_time()
    with pytest.raises(SlipError, match="the schema can't be built"):
        build_schema(text.encode())
    assert time.thread_time() - begin < LIMIT_S
    assert trap.visits == 0


@pytest.mark.parametrize("attack", SCHEMA_ATTACKS)
def test_a_hostile_schema_opens_no_other_file(opened: dict[str, list[str]], secret: Path, attack: str) -> None:
    assert [name for name in opened[attack] if name.endswith(secret.name)] == []


def test_an_import_in_a_schema_is_not_followed(renderer: SlipRenderer, trap: Trap) -> None:
    renderer.warm_up()
    text = f'<xs:schema {XS}><xs:import namespace="urn:x" schemaLocation="{trap.url}"/></xs:schema>'
    with pytest.raises(SlipError, match="the schema can't be built"):
        build_schema(text.encode())
    assert trap.visits == 0


def test_a_slip_of_hostile_values_is_made_in_bounded_time(renderer: SlipRenderer) -> None:
    huge = "щ\u0301<&" * 2_000_000
    receipt = {
        "_id": huge,
        "card": {"number": huge},
        "merchant": {"name": huge, "address": {"ru": huge}, "type": huge},
        "account": [{"name": "xEntityTaxpayerID", "value": huge}] * 100_000,
        "payer": {"phone": huge},
    }
    template = renderer.load(None)
    renderer.warm_up()
    begin = time.thread_time()
    made = renderer.render(template, {"operation": "pay", "receipt": receipt}, 24)
    assert time.thread_time() - begin < LIMIT_S
    assert len(made.xml) < 20_000


def test_what_opens_a_file_is_seen(opened: dict[str, list[str]], secret: Path) -> None:
    assert str(secret) in opened["a file is opened"]
