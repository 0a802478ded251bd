"""The settings: those of the host over the section ``[Main]`` of ``payme.go.conf`` over the defaults.

parsers   what a value may be: text in, checked value out
urls      what an address may be: of the server, the proxy and the broker
problems  faults and warnings: what, where, what is allowed
model     every setting, declared once, and ``Settings``, the frozen result
load      all sources, all problems together: ``read_settings`` and ``LoadedSettings``
reader    ``SettingsReader``: read at each operation, the last good ones kept
"""

from __future__ import annotations

from payme_plugin.settings.load import (
    LINUXCASH,
    ErrorCodes,
    LoadedSettings,
    Places,
    read_settings,
    return_warnings,
)
from payme_plugin.settings.model import SETTINGS, FormerAccount, Setting, Settings, Shown
from payme_plugin.settings.parsers import account_of, foreign_character
from payme_plugin.settings.problems import Origin, SettingFault, SettingsError, SettingWarning, Source
from payme_plugin.settings.reader import SettingsReader

__all__ = [
    "LINUXCASH",
    "SETTINGS",
    "ErrorCodes",
    "FormerAccount",
    "LoadedSettings",
    "Origin",
    "Places",
    "Setting",
    "SettingFault",
    "SettingWarning",
    "Settings",
    "SettingsError",
    "SettingsReader",
    "Shown",
    "Source",
    "account_of",
    "foreign_character",
    "read_settings",
    "return_warnings",
]
