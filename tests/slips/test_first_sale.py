"""The first sale doesn't wait for schemas: ``on_start`` leaves them to the background; the journal's times show it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from faults.child_process import without_coverage
from slips.schemas import SCHEMA_NAMES

ROOT = Path(__file__).parents[2]

# In an interpreter of its own, where nobody has imported xmlschema yet.
_TWO_SALES = """
import json, sys, threading, time
from pathlib import Path
import slips.schemas
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.states import PaymentState
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import Sandbox
from fakes.served_till import ServedTill
from fakes.till import TENDER, VirtualHost, open_sale

imported_by, built_by = {}, []
build = slips.schemas.build_schema

def watched_build(text):
    built_by.append(threading.current_thread().name)
    return build(text)

slips.schemas.build_schema = watched_build

class Watch:
    def find_spec(self, name, *_):
        imported_by.setdefault(name, threading.current_thread().name)

def slip_ms(till, payment_id, number):
    result = till.pay(till.code(), payment_id=payment_id, receipt=open_sale(number))
    returned_ms = time.time() * 1000
    reader = JournalReader.open_read_only(till.host.folder / FILE_NAME)
    (paid_ms,) = [event.at_ms for event in reader.events(payment_id) if event.after is PaymentState.PAID]
    reader.close()
    till.plugins.on_payment_recorded(result.payment)
    (slip,) = result.slips
    assert "<slip" in slip.xml and till.host.notices == {}, till.host.notices
    return returned_ms - paid_ms

with Sandbox() as sandbox:
    given = {"url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": str(TENDER)}
    till = ServedTill(VirtualHost(Path(sys.argv[1]), given), sandbox)
    assert "xmlschema" not in sys.modules
    till.plugins.register(PaymePlugin(), "payme")
    sys.meta_path.insert(0, Watch())
    till.plugins.on_start(till.host)
    warming = [thread for thread in threading.enumerate() if thread.name == "payme-warm-up"]
    begin = time.perf_counter()
    for thread in warming:
        thread.join()
    built_ms = (time.perf_counter() - begin) * 1000
    sales = [slip_ms(till, f"p{number}", number) for number in (1, 2, 3)]
    till.plugins.on_stop()
    print(json.dumps({"still_warming": len(warming), "built_ms": built_ms, "sales": sales, "built_by": built_by,
                      "imported_by": {name: imported_by[name] for name in ("defusedxml", "xmlschema")}}))
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", _TWO_SALES, str(tmp_path_factory.mktemp("till"))],
        capture_output=True,
        text=True,
        env=without_coverage({**os.environ, "PYTHONPATH": path}),
        check=False,
        timeout=90,
    )
    assert run.returncode == 0, run.stderr
    measured: dict[str, Any] = json.loads(run.stdout)
    return measured


def test_on_start_returns_before_the_schemas_are_built(measured: dict[str, Any]) -> None:
    assert measured["still_warming"] == 1
    assert measured["built_ms"] > 20, "there was something to wait for"


def test_between_paid_in_the_journal_and_the_answer_the_first_sale_waits_for_no_schema(
    measured: dict[str, Any],
) -> None:
    first, *others = measured["sales"]

    assert measured["built_by"] == ["payme-warm-up"] * len(SCHEMA_NAMES)
    assert first < max(others) + measured["built_ms"] / 2


def test_what_swaps_modules_while_it_is_imported_is_imported_by_on_start_itself(measured: dict[str, Any]) -> None:
    swaps = int(version("elementpath").partition(".")[0]) < 5
    assert measured["imported_by"] == {
        "defusedxml": "MainThread",
        "xmlschema": "MainThread" if swaps else "payme-warm-up",
    }
