"""A disk that is full for real, without rights and without a disk: no file of this process may hold another byte."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def fill_disk() -> None:
    """Let every write of this process fail from now on. Python ignores the signal that goes with it (SIGXFSZ)."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))


def free_disk() -> None:
    """Let files grow again."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def full_disk() -> Iterator[None]:
    """Let every write fail within the block."""
    fill_disk()
    try:
        yield
    finally:
        free_disk()
