"""What is in the package, and what Debian's own checks say of it."""

from __future__ import annotations

import posixpath
import re
import subprocess
import tarfile
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.package.debian.conftest import ROOT, done, run

if TYPE_CHECKING:
    from tests.package.debian.conftest import Repository

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

PYTHON = "./usr/lib/python3/dist-packages/"


@pytest.fixture(scope="module")
def files(repository: Repository) -> dict[str, bytes]:
    """What the package brings, without its folders."""
    packed = subprocess.run(  # noqa: S603 - our own package
        ["dpkg-deb", "--fsys-tarfile", repository.package(repository.version)],  # noqa: S607
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        return {member.name: file.read() for member in archive if (file := archive.extractfile(member)) is not None}


def test_lintian_finds_only_what_an_explained_override_names(repository: Repository) -> None:
    overrides = (ROOT / "debian/artix-payme.lintian-overrides").read_text(encoding="utf-8").splitlines()
    checked = run("lintian", "--allow-root", "--tag-display-limit", "0", str(repository.changes))

    assert (checked.out, checked.err) == ("", "")
    for before, line in pairwise(overrides):
        assert before.startswith("# ") or line.startswith("# "), "an override stands below its reason"


def test_it_brings_the_three_packages_whole(repository: Repository, files: dict[str, bytes]) -> None:
    for package in ("hookspecs", "slips", "payme_plugin"):
        for path in (repository.source / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert files[PYTHON + path.relative_to(repository.source).as_posix()] == path.read_bytes()


def test_it_brings_the_entry_point_and_the_command(files: dict[str, bytes]) -> None:
    (entry_points,) = [data for name, data in files.items() if name.endswith(".dist-info/entry_points.txt")]

    assert b"[pos]\npayme = payme_plugin.plugin:plugin\n" in entry_points
    assert files["./usr/bin/payme"].startswith(b"#!/usr/bin/python3\n")


def test_it_brings_the_commands_completion_for_bash(files: dict[str, bytes]) -> None:
    script = files["./usr/share/bash-completion/completions/payme"]

    assert b"_PAYME_COMPLETE=bash_complete" in script
    assert subprocess.run(["bash", "-n"], input=script, check=False, timeout=60).returncode == 0  # noqa: S607


def test_it_brings_nothing_else_but_what_a_till_needs(files: dict[str, bytes]) -> None:
    others = {name for name in files if not name.startswith((PYTHON, "./usr/share/doc/artix-payme/"))}

    assert others == {
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


def test_no_file_is_a_conffile_because_dpkg_deletes_those_before_a_purge_can_be_refused(repository: Repository) -> None:
    assert run("dpkg-deb", "--info", str(repository.package(repository.version)), "conffiles").code != 0


def test_every_page_leads_to_pages_that_are_there(files: dict[str, bytes]) -> None:
    pages = {path: body.decode() for path, body in files.items() if path.endswith(".md")}
    assert len(pages) > 3
    there = {posixpath.normpath(path) for path in files}
    for path, text in pages.items():
        for target in re.findall(r"\]\(([^)#:]+\.md)", text):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) in there, f"{path}: {target}"


def test_the_template_is_the_russian_one(repository: Repository, files: dict[str, bytes]) -> None:
    assert files["./usr/share/artix-payme/payme.xml"] == (repository.source / "slips/payme.xml").read_bytes()


def test_it_depends_on_the_distributions_libraries(repository: Repository) -> None:
    package = str(repository.package(repository.version))
    names = {
        kind: set(re.findall(r"(?:^|, )(python3[\w-]*)", done("dpkg-deb", "-f", package, kind)))
        for kind in ("Depends", "Recommends", "Suggests")
    }

    assert names == {
        "Depends": {
            "python3",
            "python3-click",
            "python3-defusedxml",
            "python3-pluggy",
            "python3-urllib3",
            "python3-xmlschema",
        },
        "Recommends": set(),
        "Suggests": set(),
    }


def test_the_questions_are_in_the_package_in_russian_too(repository: Repository) -> None:
    templates = done("dpkg-deb", "--info", str(repository.package(repository.version)), "templates")

    assert templates.count("\nDescription-ru.UTF-8: ") == templates.count("Template: artix-payme/") == 5


def test_the_man_page_is_well_formed(repository: Repository) -> None:
    page = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(ROOT / "debian/payme.1"))

    assert (page.code, page.err) == (0, ""), page.err
