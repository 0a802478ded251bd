"""The command ``payme``: ``main`` is the console script, and the click group that a test may invoke."""

from __future__ import annotations

try:
    from payme_plugin.cli.app import main
except Exception:
    # ``hookspecs`` and ``slips`` are names that another program may have too; what its package does is anybody's guess.
    from payme_plugin.cli.foreign import foreign_packages
    from payme_plugin.cli.foreign import main as main

    if not foreign_packages():
        raise

__all__ = ["main"]
