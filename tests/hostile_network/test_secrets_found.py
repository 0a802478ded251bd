"""7. Secrets: the words that the plugin makes of others' words, and the witness who would have found a secret."""

from __future__ import annotations

import pickle
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults.canaries import CARD, CODE, KEY, MASKED_CARD, PHONE, Witness, grouped
from hookspecs import Slip
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.secret import Secret, mask_digits, safe_traceback

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


WORDS = f"{KEY} {CODE} {grouped(CODE)} {CARD} {grouped(CARD)} {grouped(CARD, '-')} +{PHONE} +998 (90) 111-22-33"


class Broken(RuntimeError):
    """A fault whose words repeat everything."""


def test_a_fault_is_told_by_its_class_and_the_places_that_it_came_through_and_so_is_its_cause() -> None:
    def inner() -> None:
        raise KeyError(WORDS)

    def outer() -> None:
        try:
            inner()
        except KeyError as cause:
            raise Broken(WORDS) from cause

    with pytest.raises(Broken) as raised:
        outer()

    told = safe_traceback(raised.value)
    assert told.startswith("Broken < test_secrets_found.py:")
    assert ", after KeyError < test_secrets_found.py:" in told
    assert "\n" not in told
    assert KEY not in told


def test_a_circle_of_causes_has_an_end() -> None:
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one

    assert safe_traceback(one) == "ValueError, after KeyError"


@pytest.mark.parametrize("shown", [str, repr, "{}".format, "{:>80}".format, "{!r}".format, "%s".__mod__, ascii])
def test_a_secret_is_shown_by_no_way_of_writing_it(shown: Callable[[object], str]) -> None:
    secret = Secret(KEY)

    assert "***" in shown(secret)
    assert KEY not in shown(secret)
    assert KEY not in f"{secret} {secret!r} {[secret]}"
    assert pickle.loads(pickle.dumps(secret)).reveal() == "***"  # noqa: S301 - our own


# Numbers in what others say


@given(
    number=st.sampled_from([CARD, CODE, PHONE]),
    by=st.sampled_from(["", " ", "-", "\u00a0", "\u2011", ".", "- ", ") ", "\u200b"]),
    size=st.integers(2, 6),
    before=st.text(st.characters(exclude_categories=["Cs", "N"]), max_size=9),
)
def test_a_number_in_groups_is_masked_but_for_its_last_four_digits(
    number: str, by: str, size: int, before: str
) -> None:
    masked = mask_digits(f"{before}{grouped(number, by, size)}.")

    assert masked == f"{before}{'*' * (len(number) - 4)}{number[-4:]}."


@pytest.mark.parametrize(
    "text",
    ["", "15 000 000 sum", "150 000.00", "error -31400", "-31400, -31101, -31103", "12:30:59", "2026-01-31", "a1b2c3"],
)
def test_amounts_codes_and_times_stay(text: str) -> None:
    assert mask_digits(text) == text


@given(st.text())
def test_masking_is_done_once(text: str) -> None:
    once = mask_digits(text)

    assert mask_digits(once) == once


# The witness


def a_slip(xml: str = "<slip/>", *lines: str) -> Slip:
    return Slip(xml=xml, lines=lines, copies=1)


@pytest.mark.parametrize(
    "slip",
    [
        a_slip(f"<line>{escape(KEY)}</line>"),
        a_slip(f"<line>{quoteattr(KEY)}</line>"),
        a_slip("".join(f"&#{ord(letter)};" for letter in KEY)),
        a_slip("<slip/>", KEY[:32], KEY[32:]),
        a_slip("<slip/>", f"   {KEY[:20]}   ", f"{KEY[20:]:>32}"),
        a_slip("<slip/>", f"Karta    {CARD[:4]} {CARD[4:8]} {CARD[8:11]}", f"{CARD[11:13]} {CARD[13:]}"),
    ],
    ids=["escaped", "as an attribute", "by numbers", "wrapped", "wrapped and aligned", "in groups and wrapped"],
)
def test_no_slip_hides_a_secret_from_the_witness(tmp_path: Path, slip: Slip) -> None:
    witness = Witness(tmp_path)

    witness.note_slip("a slip", slip)

    assert {where for _, where in witness.leaks(KEY, CARD)} == {"a slip"}


@pytest.mark.parametrize("secret", [KEY, CODE, CARD, PHONE])
@pytest.mark.parametrize("lost", [slice(None, -2), slice(2, None), slice(1, 11)], ids=["end", "beginning", "both"])
def test_a_part_of_a_secret_is_found_as_the_whole_is(tmp_path: Path, secret: str, lost: slice) -> None:
    witness = Witness(tmp_path / "till")
    witness.folder.mkdir()
    (witness.folder / "kept").write_text(f"the buyer showed {secret[lost]}")

    witness.note("the log", f"the buyer showed {secret[lost]}")
    witness.note("in groups", f"the buyer showed {grouped(secret[lost])}")
    witness.note_files()

    assert {where for _, where in witness.leaks(secret)} == {"the log", "in groups", "kept"}


def test_what_a_masked_number_shows_is_no_leak(tmp_path: Path) -> None:
    witness = Witness(tmp_path)

    witness.note("a slip", MASKED_CARD, mask_digits(WORDS.replace(KEY, "")), CODE[-4:], KEY[:7], CODE[:7])

    assert witness.leaks(KEY, CODE, CARD, PHONE) == []


def test_the_witness_reads_every_column_and_every_byte_of_the_journal(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as journal:
        journal.execute("PRAGMA journal_mode = WAL")
        journal.execute("CREATE TABLE anything (one TEXT, other BLOB)")
        journal.execute("INSERT INTO anything VALUES (?, ?)", (grouped(CARD), KEY.encode()))
        journal.commit()
        witness = Witness(tmp_path)
        witness.note_files()

    assert (CARD, "the table anything") in witness.leaks(CARD)
    assert (KEY, f"{FILE_NAME}-wal") in witness.leaks(KEY)


def test_the_witness_reads_the_values_in_a_traceback_and_what_an_error_came_of(tmp_path: Path) -> None:
    def hold(kept: str) -> None:
        raise KeyError from ValueError(PHONE)

    with pytest.raises(KeyError) as raised:
        hold(KEY)
    witness = Witness(tmp_path)
    witness.note_error("an error", raised.value)

    assert {secret for secret, _ in witness.leaks(KEY, PHONE, CODE)} == {KEY, PHONE}
