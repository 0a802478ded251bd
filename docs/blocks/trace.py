"""One payment that Payme answers with state 4 at once, played and traced: which functions and files it goes through."""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks.tables import table
from hookspecs import BaseUi, PosPlugins
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import Sandbox
from payme_plugin.till import Till, one_line_sale

if TYPE_CHECKING:
    from types import FrameType

_PROJECT = re.compile(r".*/((?:hookspecs(?!/host\.)|payme_plugin(?!/(?:till|locale|sandbox)/)|slips)/.*)")
"""A file of the project, but not of the server or the host, whose log escapes its lines with ``locale``."""


def _stack(frame: FrameType | None) -> list[tuple[str, str]]:
    """Return file and function of the project's calls on a stack, the outermost first."""
    if frame is None:
        return []
    found = _PROJECT.fullmatch(frame.f_code.co_filename)
    name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
    return [*_stack(frame.f_back), *([(f"`{found[1]}`", f"`{name}`")] if found else [])]


def payment_path() -> str:
    """Return the calls from the host to ``receipts.pay`` as a table, and how many project files the payment touches."""
    files: set[str] = set()
    calls: dict[str, list[tuple[str, str]]] = {}
    is_paying = threading.Event()

    def trace(frame: FrameType, event: str, _: object) -> None:
        found, name = _PROJECT.fullmatch(frame.f_code.co_filename), frame.f_code.co_name
        if found and name == "on_payment" and found[1] == "hookspecs/manager.py":
            (is_paying.set if event == "call" else is_paying.clear)()
        if found and is_paying.is_set():
            files.add(found[1])
            if name == "begin" and frame.f_locals.get("method") == "receipts.pay":
                calls["cashier"] = _stack(frame)
            elif name == "allow_write" and "cashier" in calls:
                calls["I/O"] = _stack(frame)

    plugins = PosPlugins()
    plugins.register(PaymePlugin(), "payme")
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        settings = {"url": sandbox.url, "posId": sandbox.pos_id, "posKey": str(sandbox.pos_key), "runWorker": "false"}
        shown: dict[str, Any] = {"language": "en", "slip_width": 32, "print_slip": id, "notice": lambda *_: None}
        with Till(Path(folder), settings, BaseUi(), plugins=plugins, **shown) as till:
            for thread in threading.enumerate():
                if thread.name in {"payme-warm-up", "payme-recovery"}:
                    thread.join()
            threading.setprofile(trace)
            sys.setprofile(trace)
            try:
                till.sell(one_line_sale("Хлеб", 1_500_000), qr_code=sandbox.issue_code())
            finally:
                threading.setprofile(None)
                sys.setprofile(None)
    rows = [(thread, *call) for thread in ("cashier", "I/O") for call in calls[thread]]
    parts = Counter(re.sub(r"/[^/]*$|^payme_plugin/(?=.*/)", "", path) for path in files)
    counted = ", ".join(f"{part} {count}" for part, count in sorted(parts.items()))
    touched = f"The whole payment touches {len(files)} files of the project: {counted}."
    return f"{table(('Thread', 'File', 'Function'), *rows)}\n\n{touched}"
