from __future__ import annotations

from fakes.fixtures import till, world

__all__ = ["till", "world"]
