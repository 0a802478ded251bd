"""Tools for those who test a host or a client: ``HostConformance``, imported when it is used.

conformance  ``HostConformance``: runs a host as a process and checks what ``docs/host.md`` says it owes
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payme_plugin.testing.conformance.kit import HostConformance

__all__ = ["HostConformance"]


def __getattr__(name: str) -> object:
    """Import ``HostConformance`` when it is first asked for: it needs the sandbox, and a host's process does not."""
    if name in __all__:
        return getattr(import_module("payme_plugin.testing.conformance.kit"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
