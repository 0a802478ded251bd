"""What a host needs that imports only the contract: every installed plugin, with the metadata that names it."""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_entry_point, collect_submodules

datas, hiddenimports = collect_entry_point("pos")
hiddenimports += collect_submodules("hookspecs")  # they are imported at first use, by name
