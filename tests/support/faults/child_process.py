"""Child processes that no coverage measures: what is measured is slower, and writes files of its own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PYTHON_PATH = os.pathsep.join(map(str, (Path(__file__).parents[3], Path(__file__).parents[1])))
"""Where a child finds the product and these packages."""


def without_coverage(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what starts coverage in a child process."""
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}


@contextmanager
def children_unmeasured() -> Iterator[None]:
    """Let no child process that is started within the block be measured."""
    former = dict(os.environ)
    for name in former.keys() - without_coverage(former).keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(former)
