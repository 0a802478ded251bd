from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from slips import SlipPress


@pytest.fixture(scope="session")
def press() -> SlipPress:
    """A press in Tashkent's time zone, for a printer of any letters; its schemas are built once for all tests."""
    press = SlipPress(timezone=timezone(timedelta(hours=5)))
    press.warm_up()
    return press


@pytest.fixture
def no_schema_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test begin as a new process does: its presses build the schemas."""
    monkeypatch.setattr("slips.schemas._built", {})
