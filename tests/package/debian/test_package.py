"""The contents of the package, and the results of Debian's own checks."""

from __future__ import annotations

import posixpath
import re
import subprocess
import tarfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from tests.package.debian.conftest import DATA, LINUXCASH, done, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.package.debian.conftest import Build

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

PYTHON = "./usr/lib/python3/dist-packages/"


@pytest.fixture(scope="module")
def files(build: Build) -> dict[str, bytes]:
    """What the package brings, without its folders."""
    packed = subprocess.run(  # noqa: S603 - our own package
        ["dpkg-deb", "--fsys-tarfile", build.package],  # noqa: S607
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        return {member.name: file.read() for member in archive if (file := archive.extractfile(member)) is not None}


def test_lintian_finds_only_what_an_override_names(build: Build) -> None:
    checked = run("lintian", "--allow-root", "--tag-display-limit", "0", str(build.changes))

    assert (checked.out, checked.err) == ("", "")


def test_it_brings_the_three_packages_whole_and_nothing_else_but_what_a_till_needs(
    build: Build, files: dict[str, bytes]
) -> None:
    for package in ("hookspecs", "slips", "payme_plugin"):
        for path in (build.source / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert files[PYTHON + path.relative_to(build.source).as_posix()] == path.read_bytes()
    assert {name for name in files if not name.startswith((PYTHON, "./usr/share/doc/artix-payme/"))} == {
        "./lib/systemd/system/payme-worker.service",
        "./usr/bin/payme",
        "./usr/share/artix-payme/payme.go.conf",
        "./usr/share/artix-payme/payme.ini",
        "./usr/share/artix-payme/payme.xml",
        "./usr/share/bash-completion/completions/payme",
        "./usr/share/lintian/overrides/artix-payme",
        "./usr/share/man/man1/payme.1.gz",
    }
    assert not [name for name in files if "/tests/" in name or name.endswith(".pyc")]
    assert b"_PAYME_COMPLETE=bash_complete" in files["./usr/share/bash-completion/completions/payme"]


def test_a_till_without_a_broker_gets_no_library_of_one(build: Build) -> None:
    fields = done("dpkg-deb", "-f", str(build.package), "Recommends", "Suggests")
    assert fields == "Suggests: python3-pika (>= 1.2), python3-prometheus-client (>= 0.16), rabbitmq-server\n"


def test_no_file_is_a_conffile_because_dpkg_deletes_those_before_a_purge_can_be_refused(build: Build) -> None:
    assert run("dpkg-deb", "--info", str(build.package), "conffiles").code != 0


def test_every_page_leads_to_pages_that_are_there(files: dict[str, bytes]) -> None:
    pages = {path: body.decode() for path, body in files.items() if path.endswith(".md")}
    assert len(pages) > 3
    there = {posixpath.normpath(path) for path in files}
    for path, text in pages.items():
        for target in re.findall(r"\]\(([^)#:]+\.md)", text):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) in there, f"{path}: {target}"


def test_systemd_accepts_the_workers_unit_and_rates_it_as_protected(tmp_path: Path, build: Build) -> None:
    done("dpkg-deb", "-x", str(build.package), str(tmp_path))
    verified = run("systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", "payme-worker.service")
    unit = tmp_path / "lib/systemd/system/payme-worker.service"
    rated = done("systemd-analyze", "security", "--offline=true", str(unit))
    (exposure,) = re.findall(r"Overall exposure level for .*: ([\d.]+)", rated)

    # It misses only what systemd itself brings.
    assert re.findall(r"(?m)^.*payme-worker.*(?<!Unit sysinit\.target not found\.)$", verified.out + verified.err) == []
    assert float(exposure) < 2.5
    assert re.findall(r"(?m)^ReadWritePaths=(.*)$", unit.read_text(encoding="utf-8")) == [f"-{DATA} -{LINUXCASH}/logs"]
