"""A PaymeGO payment plugin for a POS. The plugin itself is ``payme_plugin.plugin:plugin``."""

from __future__ import annotations

__all__ = ["PLUGIN_NAME", "VERSION"]

PLUGIN_NAME = "payme"
"""Name of the plugin: for the host, in payment records and in the log."""

VERSION = "0.1.0"
"""The distribution's version; its metadata take longer to read than click to import."""
