"""The buyer's phone: the code as a QR on a page."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payme_plugin.sandbox.desk import Desk

__all__ = ["page", "status", "svg_code"]


def page() -> str:
    """Return the phone as a page that needs nothing from outside the sandbox."""
    return files("payme_plugin.sandbox").joinpath("phone.html").read_text(encoding="utf-8")


def svg_code(code: str) -> str:
    """Return the QR of ``code`` as an SVG element that scales with its box."""
    import segno  # noqa: PLC0415 - an extra, and the module must load without it

    return segno.make(code, micro=False, error="m").svg_inline(omitsize=True, border=4, title="QR", lineclass=None)


def status(desk: Desk, code: str) -> dict[str, object]:
    """Return what the phone shows of its code: ``left_ms``, and ``state`` and ``amount`` of its receipt or ``null``.

    An unknown code has nothing left.
    """
    known = desk.code(code)
    if known is None:
        return {"left_ms": 0, "used": False, "state": None, "amount": None}
    view, receipt, left_ms = known
    return {
        "left_ms": left_ms,
        "used": view.used_by is not None,
        "state": receipt.state if receipt else None,
        "amount": receipt.amount if receipt else None,
    }
