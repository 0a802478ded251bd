"""The texts for cashiers, and the sandbox's page for a host that has the sandbox."""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_data_files

datas = collect_data_files("payme_plugin", excludes=["**/*.po"])
