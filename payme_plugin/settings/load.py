"""Load the settings: those of the host over the section ``[Main]`` of the settings file over the defaults.

Every value is checked by itself and with the others, and every problem is found at once.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from payme_plugin.conf_file import (
    MAX_FILE_BYTES,
    MAX_LINES,
    SECTION,
    ConfFile,
    ConfValue,
    ReadError,
    Snapshot,
    UnacceptableError,
    parse,
    unquoted,
)
from payme_plugin.locale import Message, message
from payme_plugin.secret import Secret
from payme_plugin.settings.model import CONF_FILE, SETTINGS, FormerAccount, Setting, Settings, Shown, written
from payme_plugin.settings.parsers import POS_KEY, is_loopback, is_plain_http
from payme_plugin.settings.problems import (
    Origin,
    SettingFault,
    SettingsError,
    SettingWarning,
    Source,
    unknown_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MAX_KEY_FILE_BYTES = 4_096
_MAX_CA_FILE_BYTES = 4_194_304
_MAX_TEMPLATE_BYTES = 4_194_304
_CHAIN_BYTES = 67_108_864
_CHAIN_LINES = 1_000_000
"""A chain of 100,000 tills needs a third of both."""
_OTHERS_READ_OR_WRITE = 0o006
SHORT_DURATION_MS = 10_000
SHORT_FREQUENCY_MS = 1_000
_CERTIFICATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*CERTIFICATE-----")
_COMMENT = re.compile(r"\s+[;#].*\Z", re.DOTALL)
_WRAPPED = re.compile(r"(?:«(.*)»|“(.*)”|'(.*)')\Z", re.DOTALL)
_BY_NAME = {setting.name: setting for setting in SETTINGS}
_ACCOUNT = {"url", "posKey"}
_NEEDED_TO_RETURN = {None, CONF_FILE, "url", "posId", "posKey", "posKeyFile", "caFile", "proxy", "allowPlainHttp"}
_PLACEHOLDERS = {"posId": "id", "posKey": "key"}


class ErrorCodes(Protocol):
    """What the settings ask of the catalogue of error codes; the module ``payme_plugin.paymego.codes`` is one."""

    def is_documented(self, code: int, /) -> bool:
        """Return whether the manual lists the code for ``ignoredErrors``."""
        ...

    def proves_no_charge(self, code: int, /) -> bool:
        """Return whether the code, as an answer to ``receipts.pay``, proves that nothing was charged."""
        ...


class Places(NamedTuple):
    """Where a till keeps its files.

    Attributes:
        conf_file: the settings file, if no other is named.
        slip_template: the slip's template, if it is there and no other is named.
    """

    conf_file: Path
    slip_template: Path


LINUXCASH = Places(Path("/linuxcash/cash/conf/payme.go.conf"), Path("/linuxcash/cash/reports/payme.xml"))
"""An Artix till."""


def read_settings(
    host: Mapping[str, object], file: Path | None, codes: ErrorCodes, *, places: Places = LINUXCASH
) -> Settings:
    """Return checked settings; the arguments are those of ``LoadedSettings``.

    Raises:
        SettingsError: something can't be used; it carries every fault.
    """
    return LoadedSettings(host, file, codes, places=places).settings()


class LoadedSettings:
    """The settings as far as they can be used, with every problem.

    Args:
        host: the host's settings, names to values as text. ``confFile`` among them names the settings file.
        file: the settings file if the caller names one; it counts before ``confFile``. A named file must be there; the
            default one may be missing.
        codes: the catalogue of error codes.
        places: where the till keeps its files.
        snapshot: what files are read through, to find out later whether they changed.
        of_chain: the file lists the merchant accounts of a chain: it may be long, and ``[Main]`` need not have one.

    Attributes:
        faults: what can't be used.
        warnings: probable mistakes.
        values: the checked values by their fields in ``Settings``, without those that have a fault.
        conf_file: the settings file that was looked for.
        conf: its parsed content.
    """

    def __init__(
        self,
        host: Mapping[str, object],
        file: Path | None,
        codes: ErrorCodes,
        *,
        places: Places = LINUXCASH,
        snapshot: Snapshot | None = None,
        of_chain: bool = False,
    ) -> None:
        self.faults: list[SettingFault] = []
        self.warnings: list[SettingWarning] = []
        self.values: dict[str, Any] = {}
        self._codes = codes
        self._snapshot = snapshot or Snapshot()
        self._of_chain = of_chain
        self._origins: dict[str, Origin] = {}
        self._given: dict[str, tuple[ConfValue, Origin]] = {}
        self.conf_file = self._choose_file(host, file, places.conf_file)
        self.conf, self._conf_mode = self._read_file()
        self._read_host(host)
        for setting in SETTINGS:
            self._check(setting)
        self._choose_key()
        self._check_server()
        self._check_times()
        self._check_files(places.slip_template)
        self._check_codes()
        self._check_broker()
        self._accounts = tuple(self._former_accounts())
        # In the order of the file; other sources last.
        self.faults.sort(key=lambda fault: (fault.origin.source is not Source.FILE, fault.line or 0))
        self.warnings.sort(key=lambda warning: (warning.origin.source is not Source.FILE, warning.line or 0))

    @property
    def account(self) -> FormerAccount | None:
        """The merchant account, if its posId, url and key are known, even if other settings have faults."""
        fields = ("pos_id", "url", "pos_key")
        if self._lacks_account:
            return None
        return FormerAccount(*(self.values[each] for each in fields)) if self.values.keys() >= set(fields) else None

    @property
    def rows(self) -> tuple[Shown, ...]:
        """Every setting without a fault, as a technician sees it; none if the settings file can't be read."""
        rows = [Shown(CONF_FILE, str(self.conf_file), self._origins[CONF_FILE], None)]
        # A setting whose line can't be read would be shown with the default, which it was not meant to have.
        broken = {fault.key for fault in self.faults}
        for setting in SETTINGS:
            if setting.field in self.values and setting.name not in broken:
                value = setting.masked(written(self.values[setting.field]))
                rows.append(Shown(setting.name, value, self._origins[setting.name], setting))
        return () if self._is_unreadable else tuple(rows)

    def settings(self) -> Settings:
        """Return the settings.

        Raises:
            SettingsError: there are faults.
        """
        if self.faults:
            raise SettingsError(self.faults, self.warnings, self.for_returns())
        return self._settings(self.values)

    def for_returns(self) -> Settings | None:
        """Return settings with defaults for those that can't be used, because faults stop charging but not returning.

        Returns:
            None if a fault is about the merchant account, the connection to it, or a whole file or line.
        """
        if not {fault.key for fault in self.faults}.isdisjoint(_NEEDED_TO_RETURN):
            return None
        values = {"payment_type": 0, "early_polling": False} | self.values  # these have no default of their own
        defaults = {each.field: each.kind.parse(each.default) for each in SETTINGS if each.field not in values}
        return self._settings(values | defaults)

    def _settings(self, values: Mapping[str, Any]) -> Settings:
        return Settings(
            **values,
            former_accounts=self._accounts,
            conf_file=self.conf_file,
            origins=self._origins,
            warnings=tuple(self.warnings),
        )

    def _choose_file(self, host: Mapping[str, object], file: Path | None, default: Path) -> Path:
        named, self._origins[CONF_FILE] = host.get(CONF_FILE, ""), Origin(Source.DEFAULT)
        if file is not None:
            self._origins[CONF_FILE] = Origin(Source.CALLER)
            return file
        if isinstance(named, str) and named.startswith("/") and named.isprintable():
            self._origins[CONF_FILE] = Origin(Source.HOST)
            return Path(named)
        if named != "":
            shown = named if isinstance(named, str) else None
            self.faults.append(SettingFault(CONF_FILE, shown, Origin(Source.HOST), message("settings.path")))
        return default

    def _read_file(self) -> tuple[ConfFile, int | None]:
        most_bytes, most_lines = (_CHAIN_BYTES, _CHAIN_LINES) if self._of_chain else (MAX_FILE_BYTES, MAX_LINES)
        content = self._snapshot.read(self.conf_file, most_bytes)
        if isinstance(content, ReadError):
            if not content.is_missing or self._origins[CONF_FILE].source is not Source.DEFAULT:
                explanation = message("settings.unreadable", reason=content.reason)
                self.faults.append(SettingFault(None, None, self._in_file(), explanation))
            return ConfFile({}, ()), None
        conf = parse(content.data, most_lines)
        for fault in conf.faults:
            key = None if fault.key is None else unknown_name(fault.key, _BY_NAME)[0]
            if fault.section == SECTION:
                self.faults.append(SettingFault(key, None, self._in_file(fault.line), fault.explanation))
            else:
                self.warnings.append(SettingWarning(key, None, self._in_file(fault.line), fault.explanation))
        for section, line in conf.other_sections.items():
            shown, explanation = unknown_name(section, [SECTION])
            key = None if shown is None else f"[{shown}]"
            self.warnings.append(SettingWarning(key, None, self._in_file(line), explanation))
        for name, value in conf.values.items():
            self._give(name, value, self._in_file(value.line))
        return conf, content.mode

    def _read_host(self, host: Mapping[str, object]) -> None:
        origin = Origin(Source.HOST)
        for name, value in host.items():
            if name == CONF_FILE:
                continue
            if not isinstance(value, str):
                explanation = message("settings.not_text", type=type(value).__name__)
                self.faults.append(SettingFault(str(name), None, origin, explanation))
            elif (text := unquoted(value)) is None:
                self.faults.append(SettingFault(str(name), None, origin, message("settings.open_quote")))
            else:
                self._give(name, ConfValue(text, 0, value.strip() != text), origin)

    def _give(self, name: str, value: ConfValue, origin: Origin) -> None:
        if name in _BY_NAME:
            self._given[name] = value, origin
        else:
            # The host's names are its program's, not pieces of a key.
            shown, explanation = unknown_name(name, _BY_NAME, is_safe=origin.source is Source.HOST)
            self.warnings.append(SettingWarning(shown, None, origin, explanation))

    def _check(self, setting: Setting) -> None:
        name = setting.name
        default = ConfValue(setting.default, 0, is_quoted=True), Origin(Source.DEFAULT)
        given, self._origins[name] = self._given.get(name, default)
        if name not in self._given and any(fault.key == name for fault in self.faults):
            return  # its line can't be read; it was not meant as the default
        if name == "paymentType" and name not in self._given:
            if not self._is_unreadable and not self._of_chain:
                self.faults.append(SettingFault(name, None, self._in_file(), message("settings.no_payment_type")))
            return
        try:
            self.values[setting.field] = setting.kind.parse(given.text)
        except UnacceptableError as error:
            self._fault(name, setting.masked(given.text), error.explanation)
        # Double quotes say that a comment or other quotes are part of the value.
        if not given.is_quoted:
            self._check_spelling(setting, given.text)

    def _check_spelling(self, setting: Setting, text: str) -> None:
        bare, wrapped, key = _COMMENT.sub("", text), _WRAPPED.match(text), "settings.comment_after_value"
        if bare == text and wrapped is not None:
            bare, key = wrapped[wrapped.lastindex or 0], "settings.other_quotes"
        if bare != text:
            line = f'{setting.name} = "{setting.masked(bare)}"'
            self._warn(setting.name, setting.masked(text), Message(key, (("line", line),)))

    def _choose_key(self) -> None:
        """Use the key from the source with the higher precedence; a key and a key file from one source are a fault."""
        path: Path | None = self.values.get("pos_key_file")
        key, key_file = self._origins["posKey"], self._origins["posKeyFile"]
        is_given = key.source is not Source.DEFAULT and self.values.get("pos_key") != Secret(_PLACEHOLDERS["posKey"])
        if "pos_key_file" not in self.values:
            self.values.pop("pos_key", None)  # the key was to come from that file
        if path is None:
            # A line that can't be read may hold the key.
            if self.conf.faults or self.conf.accounts or (is_given and key.source is Source.FILE):
                self._warn_of_readers(self._conf_mode, self.conf_file)
        elif is_given and key.source is key_file.source:
            self._fault("posKeyFile", str(path), message("settings.two_keys", place=key.message))
            self.values.pop("pos_key", None)
        elif is_given and key.source is Source.HOST:
            self.values["pos_key_file"] = None
        else:
            self._read_key_file(path)

    def _read_key_file(self, path: Path) -> None:
        self.values.pop("pos_key", None)
        content = self._snapshot.read(path, _MAX_KEY_FILE_BYTES)
        if isinstance(content, ReadError):
            self._fault("posKeyFile", str(path), message("settings.unreadable", reason=content.reason))
            return
        try:
            self.values["pos_key"] = POS_KEY.parse(re.sub(r"\r?\n\Z", "", content.data.decode("utf-8-sig")))
        except UnicodeDecodeError:
            self._fault("posKeyFile", str(path), message("settings.not_utf_8"))
        except UnacceptableError as error:
            self._fault("posKeyFile", str(path), message("settings.no_key", what=error.explanation))
        self._origins["posKey"] = Origin(Source.FILE, path)
        self._warn_of_readers(content.mode, path)

    def _warn_of_readers(self, mode: int | None, path: Path) -> None:
        if mode is not None and mode & _OTHERS_READ_OR_WRITE:
            explanation = message("settings.readable_by_others", mode=f"{mode:04o}")
            self.warnings.append(SettingWarning("posKey", None, Origin(Source.FILE, path), explanation))

    def _check_server(self) -> None:
        url: str | None = self.values.get("url")
        if url is None or (is_loopback(url) and self.values.get("proxy") is None) or self._lacks_account:
            return
        if not self._may_carry_key(url):
            self._fault("url", url, message("settings.plain_http"))
        for name, placeholder in _PLACEHOLDERS.items():
            if self.values.get(_BY_NAME[name].field) in {placeholder, Secret(placeholder)}:
                self._fault(name, _BY_NAME[name].masked(placeholder), message("settings.placeholder"))

    @property
    def _lacks_account(self) -> bool:
        return self._of_chain and self._origins["posId"].source is Source.DEFAULT

    def _may_carry_key(self, url: str) -> bool:
        is_here = is_loopback(url) and self.values.get("proxy") is None
        return is_here or not is_plain_http(url) or self.values.get("allow_plain_http", True) is True

    def _check_times(self) -> None:
        if self.values.get("early_polling", False) is None:
            # A frequency that someone has set is obeyed to the letter of the manual.
            self.values["early_polling"] = self._origins["frequency"].source is Source.DEFAULT
        duration, frequency, timeout_s = map(self.values.get, ("pay_duration_ms", "frequency_ms", "timeout_s"))
        if duration is None or frequency is None or timeout_s is None:
            return
        if frequency < SHORT_FREQUENCY_MS:
            self._warn("frequency", str(frequency), message("settings.short_time"))
        if duration < SHORT_DURATION_MS:
            self._warn("payDuration", str(duration), message("settings.short_time"))
        if frequency > duration:
            self._warn("frequency", str(frequency), message("settings.above_duration", duration=duration))
        if timeout_s * 1000 > duration:
            self._warn("timeout", str(timeout_s), message("settings.timeout_above_duration", duration=duration))

    def _check_files(self, default_template: Path) -> None:
        certificates: Path | None = self.values.get("ca_file")
        if certificates is not None:
            content = self._snapshot.read(certificates, _MAX_CA_FILE_BYTES)
            if isinstance(content, ReadError):
                self._fault("caFile", str(certificates), message("settings.unreadable", reason=content.reason))
            elif not _CERTIFICATE.search(content.data):
                self._fault("caFile", str(certificates), message("settings.no_certificate"))
        template: Path | None = self.values.get("slip_template")
        content = self._snapshot.read(template or default_template, _MAX_TEMPLATE_BYTES)
        if template is None and not isinstance(content, ReadError):
            self.values["slip_template"] = default_template
        elif template is not None and isinstance(content, ReadError):
            self._warn("slipTemplate", str(template), message("settings.no_template", reason=content.reason))

    def _check_codes(self) -> None:
        ignored = sorted(self.values.get("ignored_errors", ()), reverse=True)
        for key, is_fit in (
            ("settings.foreign_code", self._codes.is_documented),
            ("settings.doubtful_code", self._codes.proves_no_charge),
        ):
            unfit = [code for code in ignored if not is_fit(code)]
            if unfit:
                self._warn("ignoredErrors", _listed(unfit), message(key))
        stale = sorted(self.values.get("stale_codes", ()), reverse=True)
        doubtful = [code for code in stale if not self._codes.proves_no_charge(code)]
        if doubtful:
            self._fault("staleCodes", _listed(stale), message("settings.doubtful_stale_code", codes=_listed(doubtful)))

    def _check_broker(self) -> None:
        url = self.values.get("queue_url")
        if not url:
            return
        is_plain = url.startswith("amqp:") and not is_loopback(url)
        for is_wrong, key in ((find_spec("pika") is None, "settings.no_pika"), (is_plain, "settings.plain_broker")):
            if is_wrong:
                self.warnings.append(SettingWarning("queueUrl", None, self._origins["queueUrl"], message(key)))

    def _former_accounts(self) -> Iterator[FormerAccount]:
        """Yield the accounts of the sections ``[Account ...]``; what can't be used there is a warning.

        The current account has the key of ``[Main]``: a section with another one is a leftover.
        """
        for pos_id, given in self.conf.accounts.items():
            section, values = f"[Account {pos_id}]", dict[str, Any]()
            for name, value in given.items():
                try:
                    values[name] = self._account_value(name, value.text)
                except UnacceptableError as error:
                    key = f"{section} {unknown_name(name, _ACCOUNT)[0] or ''}".strip()
                    self.warnings.append(SettingWarning(key, None, self._in_file(value.line), error.explanation))
            is_whole = values.keys() == _ACCOUNT
            if is_whole and not (
                self.values.get("pos_id") == pos_id and self.values.get("pos_key") != values["posKey"]
            ):
                yield FormerAccount(pos_id, values["url"], values["posKey"])
            else:
                line = min((value.line for value in given.values()), default=None)
                explanation = message("settings.account_outdated" if is_whole else "settings.account_unusable")
                self.warnings.append(SettingWarning(section, None, self._in_file(line), explanation))

    def _account_value(self, name: str, text: str) -> object:
        if name not in _ACCOUNT:
            raise UnacceptableError(unknown_name(name, _ACCOUNT)[1])
        value = _BY_NAME[name].kind.parse(text)
        if isinstance(value, str) and not self._may_carry_key(value):
            raise UnacceptableError(message("settings.plain_http"))
        return value

    @property
    def _is_unreadable(self) -> bool:
        return any(fault.key is None and fault.line is None for fault in self.faults)

    def _in_file(self, line: int | None = None) -> Origin:
        return Origin(Source.FILE, self.conf_file, line)

    def _fault(self, name: str, value: str, explanation: Message) -> None:
        self.faults.append(SettingFault(name, value, self._origins[name], explanation))

    def _warn(self, name: str, value: str, explanation: Message) -> None:
        self.warnings.append(SettingWarning(name, value, self._origins[name], explanation))


def _listed(codes: Iterable[int]) -> str:
    return ", ".join(map(str, codes))
