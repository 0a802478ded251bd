"""The pages on slips are true: their templates are valid, and mistakes are reported as printed there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from slips import OPERATIONS
from tests.command.conftest import payme
from tests.docs.conftest import blocks, read

if TYPE_CHECKING:
    from pathlib import Path

PAGES = ["docs/slips.md", "docs/ru/slip.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_templates_of_a_page_print_or_fail_word_for_word_and_its_commands_run(page: str, tmp_path: Path) -> None:
    broken, sound = sorted(
        (each.text for each in blocks(page) if each.language == "xml"), key=lambda text: "<lin>" not in text
    )
    template = tmp_path / "payme.xml"
    template.write_text(broken, encoding="utf-8")
    reported = payme("slip", "check", str(template), "--lang", "ru" if "/ru/" in page else "en").err
    shown = next(block.text for block in blocks(page) if block.language == "text" and "payme:" in block.text)
    assert reported.replace(f"{tmp_path}/", "") == shown

    template.write_text(sound, encoding="utf-8")
    for operation in OPERATIONS:
        assert "1 234 500.00" in payme("slip", "preview", str(template), "--operation", operation).out
    # A block in a list is indented, so it is looked for line by line.
    lines = re.findall(r"^ *payme (slip .*)$", read(page), re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        ended = payme(*(str(tmp_path / word) if word.endswith((".xml", ".png")) else word for word in line.split()))
        assert (ended.code, ended.err) == (0, ""), line
