"""The command ``payme``: ``main`` is the console script, and the click group that a test may invoke."""

from __future__ import annotations

from payme_plugin.cli.app import main

__all__ = ["main"]
