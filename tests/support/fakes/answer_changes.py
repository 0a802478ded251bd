"""Wrong answers of a server, for ``VirtualPaymeGo.change``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from payme_plugin.sandbox import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.paymego import Change, Envelope, VirtualPaymeGo


def spoil(paymego: VirtualPaymeGo, method: str, fault: FaultKind | Change, *, times: int = 1, skip: int = 0) -> None:
    """Inject a fault into the next answers to a method, or change them."""
    if isinstance(fault, FaultKind):
        paymego.inject_fault(fault, method, times=times, skip=skip)
    else:
        paymego.change(method, fault, times=times, skip=skip)


def body(text: bytes) -> Change:
    """Answer with these bytes."""
    return lambda _: text


def meanwhile(action: Callable[[], object]) -> Change:
    """Keep the answer, and call ``action`` between the effect and the answer."""

    def changed(answer: Envelope) -> Envelope:
        action()
        return answer

    return changed


def result(value: object) -> Change:
    """Answer with another result."""
    return lambda answer: {"id": answer.get("id"), "result": value}


def error(code: int, message: object = "no") -> Change:
    """Answer with an error, whatever happened."""
    return lambda answer: {"id": answer.get("id"), "error": {"code": code, "message": message}}


def without_id(change: Change | None = None) -> Change:
    """Leave the id out, after another change."""

    def changed(answer: Envelope) -> Envelope | bytes:
        after = answer if change is None else change(answer)
        return after if isinstance(after, bytes) else {name: part for name, part in after.items() if name != "id"}

    return changed


def with_receipt(**fields: object) -> Change:
    """Replace these fields of the receipt."""
    return lambda answer: {**answer, "result": {"receipt": {**_receipt(answer), **fields}}}


def without_receipt_fields(*names: str) -> Change:
    """Leave out these fields of the receipt."""
    return lambda answer: {
        **answer,
        "result": {"receipt": {name: value for name, value in _receipt(answer).items() if name not in names}},
    }


def _receipt(answer: Envelope) -> Mapping[str, object]:
    found = answer.get("result")
    receipt = found.get("receipt") if isinstance(found, Mapping) else None
    assert isinstance(receipt, Mapping), "this answer brings no receipt"
    return receipt
