"""What a till waits for when it loads and starts the plugin, in fresh interpreters, beside ``import urllib3``.

And what a person waits for until the command says something, beside ``import click``.

Loading is work alone, so its processor time counts, which a busy machine does not change; a start also waits for the
disk, so there the wall clock counts.
"""

from __future__ import annotations

from functools import partial
from tempfile import TemporaryDirectory

from tests.benchmarks.measure import CONTRACT, Figure, compare, fresh

LOAD_AT_MOST = 0.60
START_AT_MOST = 1.5
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


def load(rounds: int) -> list[Figure]:
    """Compare loading by entry point with ``import urllib3``."""
    ratio = compare(partial(_printed, LOAD), partial(_printed, IMPORT_URLLIB3), rounds)
    return [ratio.figure(CONTRACT, "load by entry point until registered", "`import urllib3`", LOAD_AT_MOST)]


def start(rounds: int) -> list[Figure]:
    """Compare ``on_start`` with ``import urllib3``."""
    with TemporaryDirectory() as folder:
        ratio = compare(partial(_printed, START, folder), lambda: _printed(IMPORT_URLLIB3, which=1), rounds)
    return [ratio.figure(CONTRACT, "`on_start` until a payment can go out", "`import urllib3`", START_AT_MOST)]


def version(rounds: int) -> list[Figure]:
    """Compare ``payme --version`` with ``import click``."""
    ratio = compare(partial(_printed, VERSION, which=-1), partial(_printed, IMPORT_CLICK), rounds)
    return [ratio.figure(CONTRACT, "`payme --version`", "`python -c 'import click'`", VERSION_AT_MOST)]


def _printed(script: str, *arguments: str, which: int = 0) -> float:
    """Return a number that a script prints in a fresh interpreter."""
    return float(fresh(script, *arguments).split()[which])
