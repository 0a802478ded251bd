from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from slips import SlipRenderer


@pytest.fixture(scope="session")
def renderer() -> SlipRenderer:
    """A renderer in Tashkent's time zone, for a printer of any letters; its schemas are built once for all tests."""
    renderer = SlipRenderer(timezone=timezone(timedelta(hours=5)))
    renderer.warm_up()
    return renderer


@pytest.fixture
def no_schema_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test begin as a new process does: its presses build the schemas."""
    monkeypatch.setattr("slips.schemas._built", {})
