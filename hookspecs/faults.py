"""What a plugin did wrong, for the log and for the host."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass

_log = logging.getLogger("pos.plugins")


def _tell(form: str, *details: str, error: Exception | None = None) -> None:
    # A handler of the host's that raises must not take the place of what a hook returns or raises.
    with contextlib.suppress(Exception):
        _log.error(form, *details, exc_info=error)


class HookFailed(Exception):
    """A hook has no result that the host may rely on.

    A plugin raised or returned what the contract does not allow, or no plugin answered although one must. *If it
    raises* in the hook's docstring says what the host does then.

    Attributes:
        plugin: the plugin's name; None if no plugin is known to be responsible.
        hook: the hook's name.
        reason: what the plugin did, e.g. "raised OSError" or "is not in service".
    """

    def __init__(self, plugin: str | None, hook: str, reason: str, cause: Exception | None = None) -> None:
        super().__init__(f"{hook}: {'no plugin' if plugin is None else f'plugin {plugin!r}'} {reason}")
        self.plugin = plugin
        self.hook = hook
        self.reason = reason
        self.__cause__ = cause

    @classmethod
    def by_raising(cls, plugin: str, hook: str, error: Exception) -> HookFailed:
        """Log what a plugin raised in a hook, and return it as a failure; a ``HookFailed`` is returned as it is."""
        _tell("plugin %s failed in %s", plugin, hook, error=error)
        return error if isinstance(error, cls) else cls(plugin, hook, f"raised {type(error).__name__}", error)

    @classmethod
    def by_answering(cls, plugin: str, hook: str, result: object) -> HookFailed:
        """Log the type of a result that the contract does not allow, and return the failure for the host."""
        kind = type(result).__name__
        _tell("plugin %s returned %s from %s", plugin, kind, hook)
        return cls(plugin, hook, f"returned {kind}")


@dataclass(frozen=True)
class PluginFault:
    """Why a plugin is out of service.

    Attributes:
        plugin: name of its entry point, the name it was registered under, or the path of a damaged distribution.
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
