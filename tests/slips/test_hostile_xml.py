"""Hostile XML as template and as schema: refused at once, without the network and without reading another file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from slips import SlipRenderer, TemplateError

pytestmark = pytest.mark.floor

LIMIT_S = 1.0
"""CPU time of the thread, so that a busy machine fails no test."""

XS = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"'
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
ATTACKS = {
    "internal entity": '<!DOCTYPE slip [<!ENTITY a "b">]><slip><line>&a;</line></slip>',
    "external entity": '<!DOCTYPE slip [<!ENTITY a SYSTEM "{file}">]><slip><line>&a;</line></slip>',
    "parameter entity": '<!DOCTYPE slip [<!ENTITY % a SYSTEM "{http}"> %a;]><slip><line>a</line></slip>',
    "exponential growth": f'<!DOCTYPE slip [<!ENTITY l0 "ha">{LAUGHS}]><slip><line>&l9;</line></slip>',
    "quadratic growth": f'<!DOCTYPE slip [<!ENTITY a "{"a" * 50_000}">]><slip><line>{"&a;" * 20_000}</line></slip>',
    "external DTD": '<!DOCTYPE slip SYSTEM "{http}"><slip><line>a</line></slip>',
    "remote schema": '<slip xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:noNamespaceSchemaLocation="{http}"><line>a</line></slip>',
    "other type": '<slip><line xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="mark">a</line></slip>',
    "include": '<slip xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{file}" parse="text"/></slip>',
    "deep nesting": "<slip>" + "<line>" * 40_000,
    "10 MB of attributes": "<slip " + " ".join(f'a{n}="x"' for n in range(1_000_000)) + "/>",
    "many elements": "<slip>" + "<x/>" * 50_000 + "</slip>",
    "a long element name": f"<slip><{'x' * 200_000}/></slip>",
    "many unknown names": "<slip>" + f"<line>{'${x}' * 500}</line>" * 100 + "</slip>",
    "many line breaks": "<slip><line>" + "\n" * 200_000 + "</line></slip>",
    "many references in a label": "<slip>" + f"<pair label='{'&#10;${x}' * 180}'/>" * 140 + "</slip>",
    "schema: external entity": f'<!DOCTYPE x [<!ENTITY a SYSTEM "{{file}}">]><xs:schema {XS}>&a;</xs:schema>',
    "schema: exponential growth": f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><xs:schema {XS}>&l9;</xs:schema>',
    "schema: external DTD": f'<!DOCTYPE x SYSTEM "{{http}}"><xs:schema {XS}/>',
    "schema: include of a file": f'<xs:schema {XS}><xs:include schemaLocation="{{file}}"/></xs:schema>',
    "schema: import": f'<xs:schema {XS}><xs:import namespace="urn:x" schemaLocation="{{http}}"/></xs:schema>',
    "schema: remote include": f'<xs:schema {XS}><xs:include schemaLocation="{{http}}"/></xs:schema>',
    "schema: remote schema location": f'<xs:schema {XS} {XSI} xsi:schemaLocation="urn:x {{http}}"/>',
    "schema: location without a namespace": f'<xs:schema {XS} {XSI} xsi:noNamespaceSchemaLocation="{{file}}"/>',
    "schema: schema location further in": f'<xs:schema {XS} {XSI}><xs:element name="slip"><xs:annotation><xs:appinfo>'
    '<x xsi:schemaLocation="urn:x {http}"/></xs:appinfo></xs:annotation></xs:element></xs:schema>',
    "schema: import further in": f'<xs:schema {XS}><xs:annotation><xs:appinfo><xs:import schemaLocation="{{file}}"/>'
    "schema: </xs:appinfo></xs:annotation></xs:schema>",
    "schema: 10 MB of attributes": f"<xs:schema {XS} " + " ".join(f'a{n}="x"' for n in range(1_000_000)) + "/>",
    "schema: no schema": "<slip/>",
    "schema: no XML": "schema",
}


_TRIES = """
import json, sys, time
from slips import SlipError, SlipRenderer, TemplateError
from slips.schemas import build_schema
renderer = SlipRenderer()
renderer.warm_up()
results, seen, load = {}, [], lambda text: renderer.load_text(text, "payme.xml")
watched = {"open", "socket.connect", "socket.getaddrinfo"}
sys.addaudithook(lambda event, args: seen.append(str(args)) if event in watched else None)

def attempt(name, call, text):
    seen.clear()
    begin, faults, refused = time.thread_time(), [], ""
    try:
        call(text.encode())
    except SlipError as error:
        faults, refused = getattr(error, "faults", []), str(error)
    results[name] = {"refused": refused, "faults": len(faults), "s": time.thread_time() - begin, "seen": list(seen)}

for name, text in json.load(sys.stdin).items():
    attempt(name, build_schema if name.startswith("schema: ") else load, text)
attempt("reader", lambda text: open(text).read(), sys.argv[1])
print(json.dumps(results))
"""
"""In a process of its own: an audit hook can't be taken back, and keeps threads from starting where coverage runs."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each attack: how it was refused, with how many faults and how fast, what was opened or asked."""
    secret = tmp_path_factory.mktemp("secret") / "secret.xsd"
    secret.write_text(f"<xs:schema {XS}><!-- CANARY --></xs:schema>")
    attacks = {
        name: text.replace("{file}", secret.as_uri()).replace("{http}", "http://127.0.0.1:9/evil")
        for name, text in ATTACKS.items()
    }
    run = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", _TRIES, str(secret)],
        input=json.dumps(attacks),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    results: dict[str, dict[str, Any]] = json.loads(run.stdout)
    assert any("secret.xsd" in each for each in results.pop("reader")["seen"]), "what opens a file is seen"
    return results


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_xml_is_refused_at_once_and_leads_nowhere(results: dict[str, dict[str, Any]], attack: str) -> None:
    result = results[attack]
    assert result["refused"]
    assert [each for each in result["seen"] if "secret.xsd" in each or "127.0.0.1" in each] == []
    assert result["s"] < LIMIT_S
    assert result["faults"] <= 100
    assert len(result["refused"]) < 60_000
    assert "CANARY" not in result["refused"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_or_a_device_is_not_a_template(renderer: SlipRenderer, tmp_path: Path) -> None:
    pipe = tmp_path / "payme.xml"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(TemplateError, match="this is not a file"):
            renderer.load(path)


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
