"""What a till waits for when it loads and starts the plugin, in fresh interpreters, beside ``import urllib3``.

And what a person waits for until the command says something, beside ``import click``.

Loading is work alone, so its processor time counts, which a busy machine does not change; a start also waits for the
disk, so there the wall clock counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.measure import compare, fresh

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.conftest import Within

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]

ROUNDS = 15
LOAD_AT_MOST = 1.0
START_AT_MOST = 2.5
VERSION_AT_MOST = 1.6

IMPORT_URLLIB3 = """
import time
begin, begin_wall = time.thread_time(), time.perf_counter()
import urllib3
print(time.thread_time() - begin, time.perf_counter() - begin_wall)
"""

IMPORT_CLICK = """
import time
import click
print(time.thread_time())
"""

VERSION = """
import time
from payme_plugin.cli import main
main(["--version"], prog_name="payme", standalone_mode=False)
print(time.thread_time())
"""

LOAD = """
import time
begin = time.thread_time()
from hookspecs import PosPlugins
plugins = PosPlugins()
plugins.load_entry_points()
ended = time.thread_time()
assert "payme" in plugins.names, plugins.faults
print(ended - begin)
"""

START = """
import sys, time
from pathlib import Path
from hookspecs import BaseHost, PosPlugins
class Till(BaseHost):
    identity = "till-1"
    def settings(self, plugin):
        return {"paymentType": "7", "url": "http://127.0.0.1:9/api", "posId": "account-1", "posKey": "key"}
    def data_dir(self, plugin):
        return Path(sys.argv[1])
plugins = PosPlugins()
plugins.load_entry_points()
till = Till()
begin = time.perf_counter()
plugins.on_start(till)
ended = time.perf_counter()
assert "payme" in plugins.names, plugins.faults
print(ended - begin)
plugins.on_stop()
"""


def import_urllib3(*, wall: bool) -> float:
    return float(fresh(IMPORT_URLLIB3).split()[wall])


def test_the_plugin_is_loaded_in_the_time_that_urllib3_takes_to_be_imported(within: Within) -> None:
    ratio = compare(lambda: float(fresh(LOAD)), lambda: import_urllib3(wall=False), ROUNDS)

    within("load by entry point until registered / import urllib3", ratio, LOAD_AT_MOST)


def test_a_payment_can_go_out_soon_after_the_start(within: Within, tmp_path: Path) -> None:
    ratio = compare(lambda: float(fresh(START, str(tmp_path))), lambda: import_urllib3(wall=True), ROUNDS)

    within("on_start until a payment can go out / import urllib3", ratio, START_AT_MOST)


def test_the_command_says_its_version_soon_after_click_is_imported(within: Within) -> None:
    ratio = compare(lambda: float(fresh(VERSION).split()[-1]), lambda: float(fresh(IMPORT_CLICK)), ROUNDS)

    within("payme --version / python -c 'import click'", ratio, VERSION_AT_MOST)
