"""The distributions contain every file of the three packages and nothing else that a till does not need."""

from __future__ import annotations

from gettext import GNUTranslations
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego.codes import CATALOGUE
from payme_plugin.texts import DOMAIN, LANGUAGES, Text
from tests.package.conftest import ROOT

if TYPE_CHECKING:
    import tarfile
    import zipfile

PACKAGES = ("hookspecs", "slips", "payme_plugin")


def source_files() -> set[str]:
    """Return the files of the packages as they are here, without what Python leaves behind."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_is_the_three_packages_as_they_are_here_and_the_licence(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    (licence,) = [name for name in wheel.namelist() if name.endswith("/LICENSE")]

    assert names == source_files()
    assert [name for name in names if wheel.read(name) != (ROOT / name).read_bytes()] == []
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_texts_are_in_the_wheel(wheel: zipfile.ZipFile, language: str) -> None:
    catalogue = GNUTranslations(BytesIO(wheel.read(f"payme_plugin/locale/{language}/LC_MESSAGES/{DOMAIN}.mo")))

    keys = [text.value for text in Text] + [f"error.{entry.code}" for entry in CATALOGUE]
    assert all(catalogue.gettext(key) != key for key in keys)


def test_the_sdist_has_what_it_takes_to_build_test_and_read(sdist: tarfile.TarFile) -> None:
    names = {name.partition("/")[2] for name in sdist.getnames()}

    assert source_files() <= names
    assert {"README.md", "docs/host.md", "docs/blocks/contract.py", "tests/package/conftest.py", ".ci/run"} <= names
    assert not [name for name in names if name.endswith((".pyc", ".mo.new")) or "/.venv/" in name]
