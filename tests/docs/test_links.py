"""Links have targets, and the pages describe only the product."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from tests.docs.conftest import NAMES, ROOT, headings, read

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LOCAL = re.compile(
    r"/(?:home|root|work|tmp|opt|mnt|Users)/\w|\b(?:pypi|pythonhosted|npmjs|deb\.debian|crates)\.(?:org|io|com)\b|\bmirror\.",
    re.IGNORECASE,
)
FOLDERS = ("docs", "hookspecs", "payme_plugin", "slips", "debian")
TEXTS = {".md", ".py", ".toml", ".xml", ".xsd", ".po", ".html", ".sh", ".conf"}


def anchor(heading: str) -> str:
    """Return the anchor that readers of Markdown on the web give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", NAMES)
def test_a_link_leads_to_a_file_and_to_a_heading_in_it(name: str) -> None:
    for target in LINK.findall(CODE.sub("", read(name))):
        parts = urlsplit(target)
        if parts.scheme:
            continue
        file = (ROOT / name).parent / parts.path if parts.path else ROOT / name
        assert file.exists(), f"{name}: {target}"
        assert file.resolve().is_relative_to(ROOT), f"{name}: {target} leads out of the project"
        if parts.fragment:
            titles = headings(str(file.resolve().relative_to(ROOT)))
            assert parts.fragment in {anchor(title) for title in titles}, f"{name}: {target}"


@pytest.mark.parametrize("name", [each for each in NAMES if each.startswith("docs/")])
def test_every_page_can_be_reached_from_a_readme(name: str) -> None:
    readme = "README.ru.md" if name.startswith("docs/ru/") else "README.md"

    assert name in LINK.findall(read(readme))


def test_no_file_of_the_product_names_a_folder_of_some_machine_or_a_registry() -> None:
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS):
        found = LOCAL.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path}: {found}"


def test_what_the_page_of_guarantees_points_at_is_there() -> None:
    page = read("docs/architecture.md")
    rows = [line for line in page.splitlines() if re.match(r"\| \d+ \|", line)]

    assert [int(row.split("|")[1]) for row in rows] == list(range(1, 11))
    for row in rows:
        _, _, _, kept, shown, _ = row.split("|")
        modules, tests = re.findall(r"`([\w/]+\.py)`", kept), re.findall(r"`(tests/\w+)`", shown)
        assert modules
        assert tests
        for name in modules:
            assert (ROOT / name).is_file() or (ROOT / "payme_plugin" / name).is_file(), name
        for name in tests:
            assert list((ROOT / name).glob("test_*.py")), name
