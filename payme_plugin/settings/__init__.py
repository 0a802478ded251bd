"""The settings: those of the host over the section ``[Main]`` of ``payme.go.conf`` over the defaults.

parsers   what a value may be: text in, checked value out
problems  faults and warnings: what, where, what is allowed
model     every setting, declared once, and ``Settings``, the frozen result
load      all sources, all problems together: ``read_settings`` and ``LoadedSettings``
reader    ``SettingsReader``: read at each operation, the last good ones kept
"""

from __future__ import annotations

from payme_plugin.settings.load import LINUXCASH, LoadedSettings, Places, read_settings
from payme_plugin.settings.model import SETTINGS, Settings
from payme_plugin.settings.parsers import account_of, accounts_of_till, foreign_character
from payme_plugin.settings.problems import SettingsError, SettingWarning
from payme_plugin.settings.reader import SettingsReader

__all__ = [
    "LINUXCASH",
    "SETTINGS",
    "LoadedSettings",
    "Places",
    "SettingWarning",
    "Settings",
    "SettingsError",
    "SettingsReader",
    "account_of",
    "accounts_of_till",
    "foreign_character",
    "read_settings",
]
