"""The settings: the till's own over the section ``[Main]`` of ``payme.go.conf`` over the defaults.

table         every setting, declared once: the reader, the docs and ``payme settings`` are made from it
kinds         what a value may be: text in, checked value out
account       what the setting ``account`` may be, and the fields of the kassa that it makes for a sale
code_pattern  what the setting ``codePattern`` may be
urls          what an address may be: the server's and the broker's
model         ``Settings``, the frozen result, and its spelling for people
remarks       faults and warnings: what, where, what is allowed
sources       what was given: the till's own settings over the file
looks         whether a second look at the files would see the same
reading       ``read_settings``: all sources, all faults together; ``look_over_settings``: the same, as far as it goes
reader        ``SettingsReader``: read at each operation, the last good ones kept
"""

from __future__ import annotations

from payme_plugin.settings.account import account_of
from payme_plugin.settings.code_pattern import foreign_character
from payme_plugin.settings.model import FormerAccount, Settings, Shown
from payme_plugin.settings.reader import SettingsReader
from payme_plugin.settings.reading import (
    LINUXCASH,
    ErrorCodes,
    Overview,
    Places,
    look_over_settings,
    payment_type_of,
    read_settings,
)
from payme_plugin.settings.remarks import Origin, SettingFault, SettingsError, SettingWarning, Source
from payme_plugin.settings.table import SETTINGS, Setting

__all__ = [
    "LINUXCASH",
    "SETTINGS",
    "ErrorCodes",
    "FormerAccount",
    "Origin",
    "Overview",
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
    "look_over_settings",
    "payment_type_of",
    "read_settings",
]
