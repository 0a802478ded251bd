"""The slip templates, their schemas, and the letters of the image."""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_data_files

datas = collect_data_files("slips")
