"""The settings work as the manual of the replaced module describes them."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain, combinations
from typing import TYPE_CHECKING

import pytest

from payme_plugin.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.settings.conftest import Faults, Load, Read, Write

SAMPLE = """\
[Main]
; Настройки процессинга PaymeGo

; Время ожидания ответа от сервера (в секундах)
; По умолчанию 10 секунд
;timeout = 10
;url = "http://localhost"
;posId = "id"
;posKey = "key"
;payDuration = 300000
;frequency = 10000
;paymentProvider = 141
;ignoredErrors =.
"""
NAMES = ["timeout", "url", "posId", "posKey", "payDuration", "frequency", "paymentProvider", "ignoredErrors"]


def uncommented(names: Iterable[str]) -> str:
    """The sample with some of its lines uncommented."""
    return re.sub(rf"^;({'|'.join(names) or '(?!)'}) =", r"\1 =", SAMPLE, flags=re.MULTILINE)


def test_the_manuals_settings_come_first_in_the_table_with_its_defaults(read: Read, load: Load) -> None:
    assert [setting.name for setting in SETTINGS[:8]] == NAMES
    settings = read({})
    assert (settings.timeout_s, settings.pay_duration_ms, settings.frequency_ms) == (10, 300_000, 10_000)
    assert (settings.url, settings.pos_id, settings.pos_key.reveal()) == ("http://localhost/api", "id", "key")
    assert (settings.payment_provider, settings.ignored_errors) == (141, frozenset())

    rows = {row.name: row.value for row in load({"paymentType": "7"}).rows}
    defaults = {each.name: each.default for each in SETTINGS} | {"posKey": "***", "url": "http://localhost/api"}
    assert {name: rows[name] for name in defaults} == defaults | {
        "paymentType": "7",
        "staleCodes": rows["staleCodes"],
        "earlyPolling": "1",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_any_lines_of_the_sample_uncommented_mean_the_defaults(conf: Write, read: Read, encoding: str) -> None:
    defaults = read({})
    for names in chain.from_iterable(combinations(NAMES, count) for count in range(len(NAMES) + 1)):
        path = conf(uncommented(names).encode(encoding))
        settings = read({})
        assert settings == replace(defaults, early_polling="frequency" not in names)
        given = {name: origin for name, origin in settings.origins.items() if origin.path == path}
        assert set(given) == set(names)
        assert all(SAMPLE.splitlines()[(each.line or 0) - 1].startswith(f";{name}") for name, each in given.items())


def test_a_stale_code_must_prove_that_nothing_was_charged(read: Read, faults: Faults) -> None:
    assert read({"staleCodes": "-31630"}).stale_codes == {-31630}
    (fault,) = faults({"staleCodes": "-31400, -31602"})
    assert "so not -31602" in str(fault)
