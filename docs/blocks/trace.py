"""One payment that Payme answers with state 4 at once, played and traced: which functions and files it goes through."""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from hookspecs import PosPlugins
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import Sandbox
from payme_plugin.till import Till, one_line_sale

if TYPE_CHECKING:
    from types import FrameType

_PROJECT = re.compile(r".*/((?:hookspecs|payme_plugin(?!/(?:till|locale|sandbox)/)|slips)/.*)")
"""A file of the project, but not of the server or the host, whose log escapes its lines with ``locale``."""


class _Trace:
    """What ``on_payment`` goes through on the cashier's thread and the I/O threads: files, and the calls to ``pay``."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.calls: dict[str, list[str]] = {}
        self._is_paying = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        found, name = _PROJECT.fullmatch(frame.f_code.co_filename), frame.f_code.co_name
        if found is None:
            return
        if name == "on_payment" and found[1] == "hookspecs/manager.py":
            self._is_paying = event == "call"
        if self._is_paying:
            self.files.add(found[1])
            if name == "begin" and frame.f_locals.get("method") == "receipts.pay":
                self.calls["cashier"] = _stack(frame)
            elif name == "allow_write" and "cashier" in self.calls:
                self.calls["I/O"] = _stack(frame)


def _stack(frame: FrameType | None) -> list[str]:
    """Return the project's calls on a stack, the outermost first, as cells of a table."""
    if frame is None:
        return []
    found = _PROJECT.fullmatch(frame.f_code.co_filename)
    name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
    return [*_stack(frame.f_back), *([f"`{found[1]}` | `{name}`"] if found else [])]


def payment_path() -> str:
    """Return the calls from the host to ``receipts.pay`` as a table, and how many project files the payment touches."""
    trace, plugins = _Trace(), PosPlugins()
    plugins.register(PaymePlugin(), "payme")
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        settings = {"url": sandbox.url, "posId": sandbox.pos_id, "posKey": str(sandbox.pos_key), "runWorker": "false"}
        code = sandbox.issue_code()
        ui = cast("Any", SimpleNamespace(scan=lambda *_: code, progress=lambda *_: None))
        shown: dict[str, Any] = {"language": "en", "slip_width": 32, "print_slip": id, "notice": lambda *_: None}
        with Till(Path(folder), settings, ui, plugins=plugins, **shown) as till:
            for thread in threading.enumerate():
                if thread.name in {"payme-warm-up", "payme-recovery"}:
                    thread.join()
            for set_profile in (threading.setprofile, sys.setprofile):
                set_profile(trace)
            try:
                till.sell(one_line_sale("Хлеб", 1_500_000))
            finally:
                for set_profile in (threading.setprofile, sys.setprofile):
                    set_profile(None)
    rows = ["| Thread | File | Function |", "|---|---|---|"]
    rows += [f"| {thread} | {call} |" for thread in ("cashier", "I/O") for call in trace.calls[thread]]
    parts = Counter(re.sub(r"/[^/]*$|^payme_plugin/(?=.*/)", "", path) for path in trace.files)
    counted = ", ".join(f"{part} {count}" for part, count in sorted(parts.items()))
    return "\n".join([*rows, "", f"The whole payment touches {len(trace.files)} files of the project: {counted}."])
