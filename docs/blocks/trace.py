"""One payment that Payme answers with state 4 at once, played and traced: which functions and files it goes through.

``python docs/blocks/trace.py`` prints the table of the architecture page.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from hookspecs import Item, PaymentRequest, PaymentStatus, PosPlugins, Receipt, ReceiptKind
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import Behaviour, BuyerAction, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from hookspecs import QueueMessage

__all__ = ["payment_path"]

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("hookspecs", "payme_plugin", "slips")
_AMOUNT = 1_500_000


class _Host:
    """A host that leaves nothing to ``BaseHost``."""

    language = "en"
    slip_width = 32

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._settings = settings

    @property
    def identity(self) -> str:
        return "till-1"

    def settings(self, plugin: str) -> Mapping[str, str]:  # noqa: ARG002 - there is one
        return self._settings

    def data_dir(self, plugin: str) -> Path:  # noqa: ARG002 - there is one
        return self._folder

    def is_recorded(self, payment_id: str) -> bool | None:
        """Know nothing: there is no other payment."""

    def enqueue(self, message: QueueMessage) -> bool:  # noqa: ARG002 - there is no queue
        return False

    def notice(self, key: str, text: str | None) -> None:
        """Show nothing."""


class _Ui:
    def __init__(self, code: str) -> None:
        self._code = code

    def scan(self, prompt: str, timeout_s: float) -> str:  # noqa: ARG002 - the code is at hand
        return self._code

    def progress(self, elapsed_s: float, total_s: float, text: str) -> None:
        """Show nothing; never stop."""


class _Trace:
    """The files that the cashier's thread and the I/O threads go through, and the calls on the way to ``pay``."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.to_begin: list[str] = []
        self.to_the_wire: list[str] = []
        self._sends_pay = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        path = _project_path(frame)
        if event != "call" or path is None:
            return
        is_io = threading.current_thread().name == "payme-io"
        if not is_io and threading.current_thread() is not threading.main_thread():
            return
        self.files.add(path)
        if not is_io and frame.f_code.co_name == "begin" and frame.f_locals.get("method") == "receipts.pay":
            self._sends_pay = True
            self.to_begin = list(_calls(frame))
        elif is_io and self._sends_pay and frame.f_code.co_name == "allow_write":
            self.to_the_wire = list(_calls(frame))


def payment_path() -> str:
    """Return the calls from the host to ``receipts.pay`` as a table, and how many project files the payment touches."""
    trace = _play()
    rows = ["| Thread | File | Function |", "|---|---|---|"]
    for thread, calls in (("cashier", trace.to_begin), ("I/O", trace.to_the_wire)):
        rows += [f"| {thread} | `{path}` | `{name}` |" for path, _, name in (call.partition(" ") for call in calls)]
    parts = Counter(_part(path) for path in trace.files)
    counted = ", ".join(f"{part} {count}" for part, count in sorted(parts.items()))
    return "\n".join([*rows, "", f"The whole payment touches {len(trace.files)} files of the project: {counted}."])


def _play() -> _Trace:
    trace = _Trace()
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        settings = {
            "url": sandbox.url,
            "posId": sandbox.pos_id,
            "posKey": str(sandbox.pos_key),
            "paymentType": "7",
            "runWorker": "false",
        }
        host, plugins = _Host(Path(folder), settings), PosPlugins()
        plugins.register(PaymePlugin(), "payme")
        plugins.on_start(host)
        for thread in threading.enumerate():
            if thread.name in {"payme-warm-up", "payme-recovery"}:
                thread.join()
        item = Item(name="Хлеб", quantity=Decimal(1), price=_AMOUNT, amount=_AMOUNT)
        sale = Receipt(till="till-1", shift=1, number=1, kind=ReceiptKind.SALE, items=(item,), total=_AMOUNT)
        request = PaymentRequest(payment_id="p1", payment_type=7, amount=_AMOUNT, receipt=sale)
        ui = _Ui(sandbox.issue_code(Behaviour(BuyerAction.PAYS)))
        threading.setprofile(trace)
        sys.setprofile(trace)
        try:
            result = plugins.on_payment(request, ui)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        plugins.on_stop()
    assert result is not None  # noqa: S101 - the trace is of a paid payment only
    assert result.status is PaymentStatus.PAID, result.message  # noqa: S101
    return trace


def _calls(frame: FrameType | None) -> Iterator[str]:
    """Give the project's calls on a stack, the outermost first."""
    if frame is None:
        return
    yield from _calls(frame.f_back)
    path = _project_path(frame)
    if path is not None:
        yield f"{path} {getattr(frame.f_code, 'co_qualname', frame.f_code.co_name)}"


def _project_path(frame: FrameType) -> str | None:
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(_ROOT):
        return None
    relative = path.relative_to(_ROOT)
    return relative.as_posix() if relative.parts[0] in _PACKAGES else None


def _part(path: str) -> str:
    parts = path.split("/")
    return parts[1] if parts[0] == "payme_plugin" and len(parts) > 2 else parts[0]  # noqa: PLR2004 - a file's depth


if __name__ == "__main__":
    print(payment_path())  # noqa: T201
