from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego import codes
from payme_plugin.settings import LoadedSettings, Places, Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.settings.problems import SettingFault

Read = Callable[[Mapping[str, object]], Settings]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "payme.go.conf", tmp_path / "payme.xml")


@pytest.fixture
def conf(places: Places) -> Callable[[str | bytes], Path]:
    """Writes the till's settings file."""

    def write(text: str | bytes) -> Path:
        places.conf_file.write_bytes(text.encode() if isinstance(text, str) else text)
        places.conf_file.chmod(0o600)
        return places.conf_file

    return write


@pytest.fixture
def read(places: Places) -> Read:
    """Reads the settings of a host that gives these and a tender."""

    def run(host: Mapping[str, object]) -> Settings:
        return read_settings({"paymentType": "7", **host}, None, codes, places=places)

    return run


@pytest.fixture
def load(places: Places) -> Callable[[Mapping[str, object]], LoadedSettings]:
    """Loads settings that may have faults."""

    def run(host: Mapping[str, object]) -> LoadedSettings:
        return LoadedSettings(host, None, codes, places=places)

    return run


@pytest.fixture
def faults(read: Read) -> Callable[[Mapping[str, object]], tuple[SettingFault, ...]]:
    """Reads settings that can't be used."""

    def run(host: Mapping[str, object]) -> tuple[SettingFault, ...]:
        with pytest.raises(SettingsError) as raised:
            read(host)
        return raised.value.faults

    return run
