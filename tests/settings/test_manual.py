"""What the manual of the replaced module says of its settings holds to the letter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, combinations
from pathlib import Path

import pytest

from payme_plugin.paymego import codes
from payme_plugin.settings import SETTINGS, LoadedSettings, Places, Settings, SettingsError

SAMPLE = """\
[Main]
; Настройки процессинга PaymeGo

; Время ожидания ответа от сервера (в секундах)
; По умолчанию 10 секунд
;timeout = 10

; Адрес сервера
; По умолчанию "http://localhost"
;url = "http://localhost"

; Код кассы
; По умолчанию "id"
;posId = "id"

; Ключ кассы
; По умолчанию "key"
;posKey = "key"

; Продолжительность опроса состояния выполнения оплаты (в миллисекундах)
; По умолчанию 300000
;payDuration = 300000

; Частота опроса состояния оплаты (в миллисекундах)
; По умолчанию 10000
;frequency = 10000

; Код провайдера услуг по оплате по QR-коду
; По умолчанию 141
;paymentProvider = 141

; Список кодов ошибок, при которых сообщения на отмену не складываются в очередь
; Доступные коды: -32300, -32700, -32600, -32400, -32601, -32602, -32504, -31301,
; -31300, -31302, -31303, -31002, -31001, -31400, -31101, -31102, -31103, -31110,
; -31700, -31613, -31630, -31602, -31601, -31620, -31100, -31624, -31623, -31900, -31640, -31901, -31200, -31800
; По умолчанию список пуст
;ignoredErrors =.
"""
NAMES = ["timeout", "url", "posId", "posKey", "payDuration", "frequency", "paymentProvider", "ignoredErrors"]


def uncommented(names: Iterable[str]) -> str:
    """The sample with some of its lines uncommented."""
    return re.sub(rf"^;({'|'.join(names) or '(?!)'}) =", r"\1 =", SAMPLE, flags=re.MULTILINE)


Read = Callable[[Mapping[str, object]], Settings]
Write = Callable[["str | bytes"], Path]


def test_the_defaults_are_the_manuals(read: Read) -> None:
    settings = read({})
    assert settings.timeout_s == 10
    assert settings.url == "http://localhost/api"
    assert settings.pos_id == "id"
    assert settings.pos_key.reveal() == "key"
    assert settings.pay_duration_ms == 300_000
    assert settings.frequency_ms == 10_000
    assert settings.payment_provider == 141
    assert settings.ignored_errors == frozenset()


def test_the_manuals_settings_come_first_in_the_table() -> None:
    assert [setting.name for setting in SETTINGS[:8]] == NAMES


def test_the_sample_as_it_is_means_the_defaults(conf: Write, read: Read) -> None:
    defaults = read({})
    conf(SAMPLE)
    assert read({}) == defaults


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_a_line_of_the_sample_uncommented_means_its_default(conf: Write, read: Read, name: str, encoding: str) -> None:
    defaults = read({})
    path = conf(SAMPLE.replace(f";{name}", name).encode(encoding))
    settings = read({})
    assert settings == defaults
    assert settings.origins[name].path == path
    assert SAMPLE.splitlines()[(settings.origins[name].line or 0) - 1].startswith(f";{name}")


@pytest.mark.parametrize("quotes", ["as they are", "everywhere", "nowhere"])
def test_the_whole_sample_uncommented_means_the_defaults(conf: Write, read: Read, quotes: str) -> None:
    defaults = read({})
    text = uncommented(NAMES)
    if quotes != "as they are":
        text = text.replace('"', "")
    if quotes == "everywhere":
        text = re.sub(r"^(\w+) =[ ]*(.*)$", r'\1 = "\2"', text, flags=re.MULTILINE)
        assert 'timeout = "10"\n' in text
    conf(text)
    assert read({}) == defaults


def test_whatever_lines_of_the_sample_are_uncommented_it_means_the_defaults(conf: Write, read: Read) -> None:
    defaults = read({})
    for names in chain.from_iterable(combinations(NAMES, count) for count in range(len(NAMES) + 1)):
        path = conf(uncommented(names))
        settings = read({})
        assert settings == defaults
        assert {name for name, origin in settings.origins.items() if origin.path == path} == set(names)


def test_every_default_reads_back_from_the_table(places: Places) -> None:
    rows = {row.name: row.value for row in LoadedSettings({}, None, codes, places=places).rows}
    for setting in SETTINGS:
        if setting.name not in {"posKey", "url", "paymentType", "staleCodes"}:
            assert rows[setting.name] == setting.default
    assert rows["posKey"] == "***"
    assert rows["url"] == "http://localhost/api"


def test_a_code_outside_the_manuals_list_is_a_warning(read: Read) -> None:
    warnings = [str(warning) for warning in read({"ignoredErrors": "-31400, -31612"}).warnings]
    assert any("-31612" in warning and "manual" in warning for warning in warnings)
    assert read({"ignoredErrors": "-31400, -31630"}).warnings == ()


def test_an_ignored_code_that_proves_nothing_is_a_warning(read: Read) -> None:
    (warning,) = read({"ignoredErrors": "-31400, -31602"}).warnings
    assert (warning.key, warning.value) == ("ignoredErrors", "-31602")
    assert "does not prove" in str(warning)


def test_a_stale_code_must_prove_that_nothing_was_charged(read: Read) -> None:
    assert read({"staleCodes": "-31630"}).stale_codes == {-31630}
    assert read({"staleCodes": ""}).stale_codes == frozenset()
    with pytest.raises(SettingsError, match="so not -31602"):
        read({"staleCodes": "-31400, -31602"})
