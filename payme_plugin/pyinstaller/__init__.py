"""Hooks that let PyInstaller freeze a host with its plugins; PyInstaller finds them by the group ``pyinstaller40``."""

from __future__ import annotations

from pathlib import Path

__all__ = ["hook_dirs"]


def hook_dirs() -> list[str]:
    """Return the folder of the hooks; each is named after the package that it is for."""
    return [str(Path(__file__).parent)]
