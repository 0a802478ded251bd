from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego import codes
from payme_plugin.settings import LoadedSettings, Places, Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from payme_plugin.settings.problems import SettingFault

Read = Callable[[Mapping[str, object]], Settings]
Load = Callable[[Mapping[str, object]], LoadedSettings]
Faults = Callable[[Mapping[str, object]], "tuple[SettingFault, ...]"]
Write = Callable[["str | bytes"], Path]

KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
FAR = {"url": "https://checkout.paycom.uz", "posId": "65aa00112233445566778899", "posKey": KEY}
"""The merchant account at a server that is not on this machine."""
NOWHERE = Places(Path("/nowhere/payme.go.conf"), Path("/nowhere/payme.xml"))
"""A till without files of its own."""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "payme.go.conf", tmp_path / "payme.xml")


@pytest.fixture
def conf(places: Places) -> Write:
    """Writes the till's settings file."""

    def write(text: str | bytes) -> Path:
        places.conf_file.write_bytes(text.encode() if isinstance(text, str) else text)
        places.conf_file.chmod(0o600)
        return places.conf_file

    return write


@pytest.fixture
def read(places: Places) -> Read:
    """Reads the settings of a host that gives these and a tender."""
    return lambda host: read_settings({"paymentType": "7", **host}, None, codes, places=places)


@pytest.fixture
def load(places: Places) -> Load:
    """Loads settings that may have faults."""
    return lambda host: LoadedSettings(host, None, codes, places=places)


@pytest.fixture
def faults(read: Read) -> Faults:
    """Reads settings that can't be used."""

    def run(host: Mapping[str, object]) -> tuple[SettingFault, ...]:
        with pytest.raises(SettingsError) as raised:
            read(host)
        return raised.value.faults

    return run
