"""The package as a user has it: the wheel of this checkout, unpacked where nothing else is, and pytest beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.child_process import without_coverage

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class UserProject:
    """A folder with tests of somebody else, who has installed the package.

    Attributes:
        folder: where the tests are.
        installed: where the package is.
    """

    folder: Path
    installed: Path

    def pytest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the tests in a process of their own."""
        return self.python("-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *arguments)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the folder, with the package."""
        environment = without_coverage(os.environ)
        environment.pop("PYTEST_ADDOPTS", None)
        return subprocess.run(  # noqa: S603 - our own arguments
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**environment, "PYTHONPATH": str(self.installed), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked as pip does it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        env=without_coverage(os.environ),
        check=True,
        capture_output=True,
        timeout=100,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder / "installed")
    return folder / "installed"


@pytest.fixture
def project(installed: Path, tmp_path: Path) -> UserProject:
    """The folder, empty."""
    return UserProject(tmp_path, installed)
