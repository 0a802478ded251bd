"""Plugins that are really installed, by a distribution folder on ``sys.path``; and the models that tests share."""

from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Protocol

import pytest

from hookspecs import CancelRequest, PaymentRecord, PaymentRequest, Receipt, ReceiptKind, RefundRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


RECEIPT = Receipt(till="till-1", shift=1, number=1, kind=ReceiptKind.SALE, items=(), total=1000)
RECORD = PaymentRecord(payment_id="p1", payment_type=7, amount=1000)
PAYMENT = PaymentRequest(payment_id="p1", payment_type=7, amount=1000, receipt=RECEIPT)
CANCEL = CancelRequest(payment=RECORD, receipt=RECEIPT)
REFUND = RefundRequest(
    refund_id="r1", payment_type=7, payment=RECORD, sale=RECEIPT, refund=RECEIPT, amount=1000, manual_selection=False,
    currency_selection=False,
)  # fmt: skip


class Install(Protocol):
    """Installs a distribution of one module and one entry point, and returns the entry point group."""

    def __call__(self, name: str, source: str, value: str | None = None, group: str = ...) -> str:
        """Write ``source`` as module ``name`` with the entry point ``name = value`` (default: ``name:plugin``)."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of this test on ``sys.path``."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    return site


@pytest.fixture
def install(site: Path) -> Iterator[Install]:
    """Install distributions into the folder; their modules are forgotten afterwards."""
    installed: list[str] = []

    def write(name: str, source: str, value: str | None = None, group: str = "pos.test") -> str:
        site.joinpath(f"{name}.py").write_text(dedent(source), encoding="utf-8")
        metadata = site / f"{name}-1.0.dist-info"
        metadata.mkdir()
        metadata.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        metadata.joinpath("entry_points.txt").write_text(f"[{group}]\n{name} = {value or f'{name}:plugin'}\n")
        installed.append(name)
        return group

    yield write
    for name in installed:
        sys.modules.pop(name, None)
