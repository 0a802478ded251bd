"""What a plugin did wrong: told in the log, and to the host."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass

__all__ = ["HookFailed", "PluginFault"]

_log = logging.getLogger("pos.plugins")


def _tell(form: str, *details: str, error: Exception | None = None) -> None:
    # A handler of the host's that raises must not take the place of what the hooks are to return or raise.
    with contextlib.suppress(Exception):
        _log.error(form, *details, exc_info=error)


class HookFailed(Exception):
    """A plugin raised in a hook, or returned what the contract doesn't allow, and no other plugin answered.

    What the host must do is in the hook's docstring under *If it raises*.

    Attributes:
        plugin: the plugin's name.
        hook: the hook's name.
    """

    def __init__(self, plugin: str, hook: str) -> None:
        super().__init__(f"plugin {plugin!r} failed in {hook}")
        self.plugin = plugin
        self.hook = hook

    @classmethod
    def by_raising(cls, plugin: str, hook: str, error: Exception) -> HookFailed:
        """Log what a plugin raised in a hook, and return the failure for the host."""
        _tell("plugin %s failed in %s", plugin, hook, error=error)
        return cls._because(plugin, hook, error)

    @classmethod
    def by_answering(cls, plugin: str, hook: str, answer: object) -> HookFailed:
        """Log the type of an answer that the contract doesn't allow, and return the failure for the host."""
        kind = type(answer).__name__
        _tell("plugin %s returned %s from %s", plugin, kind, hook)
        return cls._because(plugin, hook, TypeError(f"{hook} returned {kind}"))

    @classmethod
    def _because(cls, plugin: str, hook: str, cause: Exception) -> HookFailed:
        failure = cls(plugin, hook)
        failure.__cause__ = cause
        return failure


@dataclass(frozen=True)
class PluginFault:
    """Why a plugin is out of service.

    Attributes:
        plugin: name of its entry point, or the name it was registered under.
        reason: one sentence for the integrator.
        error: what was raised, or None.
    """

    plugin: str
    reason: str
    error: Exception | None = None

    @classmethod
    def logged(cls, plugin: str, reason: str, error: Exception | None = None) -> PluginFault:
        """Log why a plugin is out of service, and return it for the host."""
        _tell("plugin %s %s", plugin, reason, error=error)
        return cls(plugin, reason, error)
