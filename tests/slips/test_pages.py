"""The pages on slips say what the program does: their templates are sound, their mistakes are told as printed there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from slips import OPERATIONS, SlipRenderer, sample_data
from tests.command.conftest import payme
from tests.docs.conftest import blocks, read

if TYPE_CHECKING:
    from pathlib import Path

PAGES = ["docs/slips.md", "docs/ru/slip.md"]


def templates(page: str) -> tuple[str, str]:
    """The template with mistakes and the sound one."""
    first, second = (block.text for block in blocks(page) if block.language == "xml")
    return (first, second) if "<lin>" in first else (second, first)


@pytest.mark.parametrize("page", PAGES)
def test_the_template_of_a_page_prints_for_every_operation(renderer: SlipRenderer, page: str) -> None:
    template = renderer.load_text(templates(page)[1].encode(), page)

    for operation in OPERATIONS:
        assert "1 234 500.00" in "\n".join(renderer.render(template, sample_data(operation), 32).lines)


@pytest.mark.parametrize("page", PAGES)
def test_the_mistakes_of_a_page_are_told_word_for_word(page: str, tmp_path: Path) -> None:
    template = tmp_path / "payme.xml"
    template.write_text(templates(page)[0], encoding="utf-8")
    told = payme("slip", "check", str(template), "--lang", "ru" if "/ru/" in page else "en").err
    shown = next(block.text for block in blocks(page) if block.language == "text" and "payme:" in block.text)

    assert told.replace(f"{tmp_path}/", "") == shown


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(page: str, tmp_path: Path) -> None:
    template = tmp_path / "payme.xml"
    template.write_text(templates(page)[1], encoding="utf-8")
    # A block in a list is indented, so it is looked for line by line.
    lines = re.findall(r"^ *payme (slip .*)$", read(page), re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        words = [str(tmp_path / word) if word.endswith((".xml", ".png")) else word for word in line.split()]
        ended = payme(*words)
        assert (ended.code, ended.err) == (0, ""), line
