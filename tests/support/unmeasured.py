"""The environment of a child process that no coverage measures: what is measured writes files of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["without_coverage"]


def without_coverage(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what starts coverage in a child process."""
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}
