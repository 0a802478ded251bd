"""The host of ``docs/conformance.md``, as it is and with single faults."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.conftest import ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Change = tuple[str, str]
"""A part of the host's text, which it has once, and what is in its place."""

REFERENCE_TILL = (sys.executable, "-m", "payme_plugin.till.adapter")


@pytest.fixture(autouse=True)
def _children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hosts import the product from here. They are measured: adapter and probe run nowhere else."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.fixture
def host(tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """Write the host of the page with some changes, and return its command."""

    def written(*changes: Change) -> tuple[str, ...]:
        text = max((block.text for block in blocks("docs/conformance.md") if block.language == "python"), key=len)
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path = tmp_path / "till.py"
        path.write_text(text, encoding="utf-8")
        return sys.executable, str(path)

    return written
