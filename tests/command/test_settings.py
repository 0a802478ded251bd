from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payme_plugin.settings import LINUXCASH
from tests.command.conftest import KEY, payme

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Shop

pytestmark = pytest.mark.floor

CALM = {"payDuration": 10_000, "frequency": 1_000}
"""Times without a warning."""


def test_settings_that_can_be_used_are_said_so(shop: Shop) -> None:
    shop.configure(**CALM)
    checked = shop.run("settings", "check")

    assert (checked.code, checked.out, checked.err) == (0, f"{shop.conf} can be used.\n", "")
    assert shop.run("settings", "check", "--json").document == {
        "conf_file": str(shop.conf),
        "ok": True,
        "faults": [],
        "warnings": [],
    }


def test_every_fault_is_told_at_once_with_its_line(shop: Shop) -> None:
    shop.conf.write_text("[Main]\npayDuration = ten\npayDuratoin = 10\ntimeout = 0\n", encoding="utf-8")
    checked = shop.run("settings", "check")

    assert (checked.code, checked.out) == (2, "")
    tender, duration, timeout, unknown = checked.sentences
    assert tender.startswith(f"paymentType in {shop.conf}: it must be set")
    assert duration.startswith(f'payDuration on line 2 of {shop.conf} is "ten": use a whole number')
    assert timeout.startswith(f'timeout on line 4 of {shop.conf} is "0": use')
    assert unknown.startswith(f"warning: payDuratoin on line 3 of {shop.conf}: unknown name")
    assert unknown.endswith("the nearest known name is payDuration.")


def test_faults_are_in_the_document_as_well(shop: Shop) -> None:
    shop.configure(frequency=1_000, payDuration="ten")
    checked = shop.run("settings", "check", "--json")

    assert checked.code == 2
    assert checked.document["ok"] is False
    (fault,) = checked.document["faults"]
    assert (fault["name"], fault["value"], fault["line"]) == ("payDuration", "ten", 3)
    assert checked.sentences == [fault["message"]]


def test_warnings_are_shown_and_are_no_fault(shop: Shop) -> None:
    shop.configure(**CALM, ignoredErrors="-12345")
    checked = shop.run("settings", "check")

    assert checked.code == 0
    assert checked.out == f"{shop.conf} can be used.\n"
    assert all(sentence.startswith("warning: ignoredErrors") for sentence in checked.sentences)
    assert any("-12345" in sentence for sentence in checked.sentences)


def test_every_value_is_shown_with_where_it_came_from(shop: Shop) -> None:
    shown = shop.run("settings", "show")

    assert shown.code == 0
    lines = {line.split()[0]: line for line in shown.out.splitlines()}
    assert lines["payDuration"].split() == ["payDuration", "5000", "on", "line", "3", "of", str(shop.conf)]
    assert lines["slipCopies"].split() == ["slipCopies", "2", "by", "default"]
    assert "(none: a cancellation is queued after every error)" in lines["ignoredErrors"]


def test_shown_as_a_document_each_setting_has_its_source(shop: Shop) -> None:
    shown = {each["name"]: each for each in shop.run("settings", "show", "--json").document}

    assert (shown["timeout"]["value"], shown["timeout"]["source"], shown["timeout"]["line"]) == ("5", "file", 2)
    assert (shown["keepDays"]["value"], shown["keepDays"]["source"]) == ("400", "default")


@pytest.mark.parametrize(
    "line", ["payDuration = ten", 'payDuration = "5000', "payDuration = 10000\npayDuration = 20000"]
)
def test_a_bad_line_is_told_and_every_other_setting_is_shown(shop: Shop, line: str) -> None:
    shop.configure(**CALM)
    good = [each for each in shop.run("settings", "show").out.splitlines() if not each.startswith("payDuration ")]
    text = shop.conf.read_text(encoding="utf-8").replace("payDuration = 10000\n", "")
    shop.conf.write_text(f"{text}{line}\n", encoding="utf-8")
    shown = shop.run("settings", "show")

    assert shown.code == 2
    (sentence,) = shown.sentences
    assert sentence.startswith(f"payDuration on line {len(text.splitlines()) + len(line.splitlines())} of {shop.conf}")
    assert [each.split()[:2] for each in shown.out.splitlines()] == [each.split()[:2] for each in good]
    listed = shop.run("settings", "show", "--json")
    assert (listed.code, listed.sentences) == (2, [sentence])
    assert [each["name"] for each in listed.document] == [each.split()[0] for each in good]


def test_settings_that_do_not_go_together_are_told_and_the_others_are_shown(shop: Shop) -> None:
    shop.configure(**CALM, url="http://payme.example/api", posKeyFile=shop.folder / "none")
    shown = shop.run("settings", "show")

    assert shown.code == 2
    names = [line.split()[0] for line in shown.out.splitlines()]
    assert {"url", "posKeyFile"}.isdisjoint(names)
    assert {"timeout", "posId", "confFile"} < set(names)
    assert {sentence.split()[0] for sentence in shown.sentences} == {"url", "posKeyFile"}


@pytest.mark.parametrize("content", [b"\xff\xfe[\x00", b"\n" * 2000])
def test_of_a_file_that_can_not_be_read_no_defaults_are_shown(shop: Shop, content: bytes) -> None:
    shop.conf.write_bytes(content)

    assert (shop.run("settings", "show").code, shop.run("settings", "show").out) == (2, "")
    assert shop.run("settings", "show", "--json").document == []


@pytest.mark.parametrize("line", ["KCRWkzqPxxUeWBHNMAOtR", "KCRWkzqPxxUeWBHNMAOtR=", "KCRWkzqPxxUeWBHNMAOtR=x"])
@pytest.mark.parametrize("command", [("settings", "check"), ("settings", "show"), ("doctor",)])
def test_a_key_that_was_pasted_without_its_name_is_told_by_its_line_alone(
    shop: Shop, command: tuple[str, ...], line: str
) -> None:
    shop.configure()
    lines = shop.conf.read_text(encoding="utf-8").splitlines()
    shop.conf.write_text("\n".join([*lines, line, ""]), encoding="utf-8")
    told = shop.run(*command)

    assert f"n line {len(lines) + 1} of {shop.conf}" in " ".join(
        (told.out + told.err).split()
    )  # doctor folds its lines
    assert "KCRW" not in told.out + told.err


@pytest.mark.parametrize("command", ["check", "show"])
@pytest.mark.parametrize("json", [[], ["--json"]])
def test_the_key_is_never_shown(shop: Shop, command: str, json: list[str]) -> None:
    for changed in ({}, {"payDuration": "ten"}, {"posKey": f'"{KEY}'}):
        shop.configure(**changed)
        shown = shop.run("settings", command, *json)

        assert KEY not in shown.out + shown.err
        assert KEY[:12] not in shown.out + shown.err


@pytest.mark.skipif(LINUXCASH.conf_file.exists(), reason="this machine is a till with settings of its own")
def test_where_the_tills_own_file_is_missing_the_defaults_are_shown() -> None:
    shown = payme("settings", "show")

    assert shown.code == 2
    tender, missing = shown.sentences
    assert tender.startswith(f"paymentType in {LINUXCASH.conf_file}: it must be set to the number of the tender")
    assert missing == f"warning: in {LINUXCASH.conf_file}: there is no such file, so the defaults count."
    lines = [line.rstrip() for line in shown.out.splitlines()]
    assert lines[0].split() == ["confFile", str(LINUXCASH.conf_file), "by", "default"]
    assert all(line.endswith("by default") for line in lines)
    sources = {each["source"] for each in payme("settings", "show", "--json").document}
    assert sources == {"default"}


@pytest.mark.skipif(LINUXCASH.conf_file.exists(), reason="this machine is a till with settings of its own")
def test_where_the_tills_own_file_is_missing_the_check_warns() -> None:
    checked = payme("settings", "check")

    assert (checked.code, checked.out) == (2, "")
    tender, sentence = checked.sentences
    assert tender.startswith(f"paymentType in {LINUXCASH.conf_file}: ")
    assert sentence.startswith(f"warning: in {LINUXCASH.conf_file}: there is no such file")
    document = payme("settings", "check", "--json").document
    assert (document["ok"], [each["message"] for each in document["warnings"]]) == (False, [sentence[9:]])


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_missing_file_is_named(tmp_path: Path, command: str) -> None:
    ended = payme("settings", command, "--conf", str(tmp_path / "none.conf"))

    assert ended.code == 2
    (sentence,) = ended.sentences
    assert str(tmp_path / "none.conf") in sentence


def test_payments_that_wait_for_their_return_at_another_account_or_host_are_warnings(shop: Shop) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")
    shop.sandbox.stop()
    assert shop.run("refund", "p1").code == 3
    shop.configure(url="http://127.0.0.9:9/api")
    (moved,) = [each for each in shop.run("settings", "check").sentences if each.startswith("warning: url")]
    shop.configure(posId="another")
    (lost,) = [each for each in shop.run("settings", "check").sentences if each.startswith("warning: posId")]

    assert "were made at another host, 127.0.0.1;" in moved
    assert f"add a section [Account {shop.sandbox.pos_id}]" in lost
