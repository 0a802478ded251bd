"""Reads the settings: every value checked, alone and with the others, every fault in one error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from payme_plugin.conf_file import ReadError, Snapshot
from payme_plugin.secret import Secret
from payme_plugin.settings.kinds import MAX_VALUE_CHARACTERS, checked_key
from payme_plugin.settings.model import FormerAccount, Settings, Shown, shown_values
from payme_plugin.settings.remarks import (
    Origin,
    SettingFault,
    SettingsError,
    SettingWarning,
    Source,
    UnacceptableError,
    nearest,
    shown_name,
)
from payme_plugin.settings.sources import LINUXCASH, Gathered, Given, Places, gather
from payme_plugin.settings.table import CONF_FILE, SETTINGS, Setting
from payme_plugin.settings.urls import is_loopback, is_plain_http

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["LINUXCASH", "ErrorCodes", "Overview", "Places", "look_over_settings", "payment_type_of", "read_settings"]

_MAX_KEY_FILE_BYTES = 4_096
_MAX_CA_FILE_BYTES = 4_194_304
_OTHERS_READ_OR_WRITE = 0o006
_CERTIFICATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*CERTIFICATE-----")
_UNFIT = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
_COMMENT_BEHIND = re.compile(r"\s[;#]")
_BY_NAME = {setting.name: setting for setting in SETTINGS}
_POS_ID = re.compile("[A-Za-z0-9_.-]{1,64}")
_PLACEHOLDERS = {"posId": "id", "posKey": "key"}


class ErrorCodes(Protocol):
    """What the settings ask of the catalogue of error codes; the module ``payme_plugin.paymego.codes`` is one."""

    def is_documented(self, code: int, /) -> bool:
        """Return whether the manual lists the code for ``ignoredErrors``."""
        ...

    def proves_no_charge(self, code: int, /) -> bool:
        """Return whether the code, as an answer to ``receipts.pay``, proves that nothing was charged."""
        ...


def read_settings(
    host: Mapping[str, object],
    file: Path | None,
    codes: ErrorCodes,
    *,
    places: Places = LINUXCASH,
    snapshot: Snapshot | None = None,
    former: Path | None = None,
) -> Settings:
    """Return checked settings: the till's own over the section ``[Main]`` of the settings file over the defaults.

    Args:
        host: the till's own settings, names to values as text. ``confFile`` among them names the settings file.
        file: the settings file where the caller names one; it counts before ``confFile``. A named file must be there;
            the default one may be missing.
        codes: the catalogue of error codes.
        places: where the till keeps its files.
        snapshot: what files are read through, for one who wants to know later whether they changed.
        former: the settings file that good settings came from before, or None; a till whose file is lost does not
            fall back to the defaults.

    Raises:
        SettingsError: something can't be used; it carries every fault.

    Money effect: none.
    """
    snapshot = snapshot or Snapshot()
    return _Reading(gather(host, file, places, snapshot, former), codes, places, snapshot).settings()


@dataclass(frozen=True, slots=True)
class Overview:
    """Settings as people see them, whether they can be used or not.

    Attributes:
        rows: every setting without a fault; none at all where the settings file itself can't be read.
        faults: what can't be used.
        warnings: what should be looked at besides.
    """

    rows: tuple[Shown, ...]
    faults: tuple[SettingFault, ...]
    warnings: tuple[SettingWarning, ...]


def look_over_settings(
    host: Mapping[str, object], file: Path | None, codes: ErrorCodes, *, places: Places = LINUXCASH
) -> Overview:
    """Return what ``read_settings`` would read, as far as it goes; the arguments are the same.

    Money effect: none.
    """
    snapshot = Snapshot()
    return _Reading(gather(host, file, places, snapshot), codes, places, snapshot).overview()


def payment_type_of(host: Mapping[str, object], file: Path | None, *, places: Places = LINUXCASH) -> int | None:
    """Return the tender's number where it alone can be read, whatever else is wrong; else None."""
    given = gather(host, file, places, Snapshot()).given.get("paymentType")
    try:
        value = _BY_NAME["paymentType"].kind.read(given.text) if given else None
    except UnacceptableError:
        return None
    return value if isinstance(value, int) else None


class _Reading:
    """One reading; what it finds is collected in ``values``, ``origins``, ``faults`` and ``warnings``."""

    def __init__(self, gathered: Gathered, codes: ErrorCodes, places: Places, snapshot: Snapshot) -> None:
        self._gathered = gathered
        self._codes = codes
        self._places = places
        self._snapshot = snapshot
        self._values: dict[str, Any] = {}
        self._origins = {CONF_FILE: gathered.conf_origin}
        self._faults = list(gathered.faults)
        self._warnings: list[SettingWarning] = []
        self._accounts: tuple[FormerAccount, ...] = ()

    def _read_all(self) -> None:
        for setting in SETTINGS:
            self._read(setting)
        self._settle_key()
        self._check_server()
        self._check_files()
        self._check_codes()
        self._check_broker()
        self._accounts = tuple(self._former_accounts())
        self._faults.sort(key=_place)

    def overview(self) -> Overview:
        self._read_all()
        # A setting whose line can't be read would be shown with the default, which it was not meant to have.
        broken = {_BY_NAME[fault.key].field for fault in self._faults if fault.key in _BY_NAME}
        values = {name: value for name, value in self._values.items() if name not in broken}
        is_lost = any(fault.key is None and fault.line is None for fault in self._faults)
        rows = () if is_lost else shown_values(values, self._origins, self._gathered.conf_file)
        return Overview(rows, tuple(self._faults), tuple(self._warnings))

    def settings(self) -> Settings:
        self._read_all()
        if self._faults:
            raise SettingsError(self._faults, self._warnings)
        return Settings(
            **self._values,
            former_accounts=self._accounts,
            conf_file=self._gathered.conf_file,
            origins=self._origins,
            warnings=tuple(self._warnings),
        )

    def _read(self, setting: Setting) -> None:
        given = self._gathered.given.get(setting.name) or Given(setting.default, Origin(Source.DEFAULT))
        self._origins[setting.name] = given.origin
        try:
            _check_fit(given.text)
            self._values[setting.field] = setting.kind.read(given.text)
        except UnacceptableError as error:
            behind = given.origin.source is Source.FILE and _COMMENT_BEHIND.search(given.text)
            hint = "; a comment must stand on a line of its own" if behind and setting.name != "posKey" else ""
            self._fault(setting.name, setting.masked(given.text), f"{error}{hint}")

    def _former_accounts(self) -> Iterator[FormerAccount]:
        """Yield the accounts of the sections ``[Account ...]``; what can't be used there is a warning."""
        kinds = {"url": _BY_NAME["url"].kind, "posKey": _BY_NAME["posKey"].kind}
        for pos_id, given in self._gathered.accounts.items():
            shown = "[Account]" if not _POS_ID.fullmatch(pos_id) else f"[Account {pos_id}]"
            values: dict[str, Any] = {}
            for name, value in given.items():
                try:
                    _check_fit(value.text)
                    values[name] = kinds[name].read(value.text)
                except KeyError:
                    explanation = "there is no such setting in this section; allowed are url and posKey"
                    near = shown_name(name, nearest(name, kinds))
                    self._warnings.append(SettingWarning(f"{shown} {near}", None, value.origin, explanation))
                except UnacceptableError as error:
                    self._warnings.append(SettingWarning(f"{shown} {name}", None, value.origin, str(error)))
            url, key = values.get("url"), values.get("posKey")
            if url is not None and not self._may_carry_key(url):
                explanation = "plain http would send the kassa's key in clear; allowed are https and allowPlainHttp = 1"
                origin = given["url"].origin
                self._warnings.append(SettingWarning(f"{shown} url", None, origin, explanation))
            elif url is None or key is None or shown == "[Account]":
                missing = [name for name in kinds if name not in given]
                what = f"it lacks {' and '.join(missing)}" if missing else "it can't be used"
                origin = next(iter(given.values())).origin
                explanation = f"{what}, so payments of this account can't be returned"
                self._warnings.append(SettingWarning(shown, None, origin, explanation))
            else:
                yield FormerAccount(pos_id, url, key)

    def _may_carry_key(self, url: str) -> bool:
        is_here = is_loopback(url) and self._values.get("proxy") is None
        return is_here or not is_plain_http(url) or self._values.get("allow_plain_http") is True

    def _settle_key(self) -> None:
        """Let the higher source of the key win; two of one height are a fault."""
        path: Path | None = self._values.get("pos_key_file")
        if path is None:
            self._warn_of_conf_readers()
            return
        here, there = self._origins["posKey"], self._origins["posKeyFile"]
        key_given = here.source is not Source.DEFAULT and self._values.get("pos_key") != Secret(_PLACEHOLDERS["posKey"])
        if key_given and here.source is there.source:
            self._fault("posKeyFile", str(path), f"posKey is set {here} as well; allowed is one of the two")
        elif key_given and here.source is Source.HOST:
            self._values["pos_key_file"] = None
        else:
            self._read_key_file(path)

    def _read_key_file(self, path: Path) -> None:
        self._values.pop("pos_key", None)
        content = self._snapshot.read(path, _MAX_KEY_FILE_BYTES)
        if isinstance(content, ReadError):
            self._fault("posKeyFile", str(path), f"the file can't be read: {content.explanation}")
            return
        try:
            text = content.data.decode("utf-8-sig")
            self._values["pos_key"] = checked_key(re.sub(r"\r?\n\Z", "", text))
        except UnicodeDecodeError:
            self._fault("posKeyFile", str(path), "the file is not UTF-8")
        except UnacceptableError as error:
            self._fault("posKeyFile", str(path), f"the file holds no key: {error}")
        self._origins["posKey"] = Origin(Source.FILE, path)
        self._warn_of_readers(content.mode, path)

    def _warn_of_conf_readers(self) -> None:
        conf_file, given = self._gathered.conf_file, self._origins["posKey"].source is Source.FILE
        # A line that can't be read may hold the key.
        is_torn = any(fault.origin.path == conf_file for fault in self._gathered.faults)
        if (
            is_torn
            or self._gathered.accounts
            or (given and self._values.get("pos_key") != Secret(_PLACEHOLDERS["posKey"]))
        ):
            self._warn_of_readers(self._gathered.conf_mode, conf_file)

    def _warn_of_readers(self, mode: int | None, path: Path) -> None:
        if mode is not None and mode & _OTHERS_READ_OR_WRITE:
            explanation = f"the file's mode {mode:04o} lets others read or change the kassa's key; it should be 0600"
            self._warnings.append(SettingWarning("posKey", None, Origin(Source.FILE, path), explanation))

    def _check_server(self) -> None:
        url: str | None = self._values.get("url")
        if url is None or (is_loopback(url) and self._values.get("proxy") is None):
            return
        if is_plain_http(url) and self._values.get("allow_plain_http") is False:
            self._fault(
                "url", url, "plain http would send the kassa's key in clear; allowed are https and allowPlainHttp = 1"
            )
        for name, placeholder in _PLACEHOLDERS.items():
            value = self._values.get(_BY_NAME[name].field)
            if value in {placeholder, Secret(placeholder)}:
                explanation = "it must be set to the kassa's own, because url leads beyond this machine"
                self._fault(name, _BY_NAME[name].masked(placeholder), explanation)

    def _check_files(self) -> None:
        certificates: Path | None = self._values.get("ca_file")
        if certificates is not None:
            content = self._snapshot.read(certificates, _MAX_CA_FILE_BYTES)
            if isinstance(content, ReadError):
                self._fault("caFile", str(certificates), f"the file can't be read: {content.explanation}")
            elif not _CERTIFICATE.search(content.data):
                self._fault("caFile", str(certificates), "the file holds no certificate; allowed is a PEM file")
        template: Path | None = self._values.get("slip_template")
        if template is None and self._snapshot.is_there(self._places.slip_template):
            self._values["slip_template"] = self._places.slip_template
        elif template is not None and not self._snapshot.is_there(template):
            self._warn("slipTemplate", str(template), "there is no such file; slips are made from the shipped template")

    def _check_codes(self) -> None:
        ignored = sorted(self._values.get("ignored_errors", ()), reverse=True)
        foreign = [code for code in ignored if not self._codes.is_documented(code)]
        doubtful = [code for code in ignored if not self._codes.proves_no_charge(code)]
        if foreign:
            self._warn("ignoredErrors", _listed(foreign), "the manual's list has no such code")
        if doubtful:
            explanation = (
                "such a code does not prove that nothing was charged, so the receipt's state decides all the same"
            )
            self._warn("ignoredErrors", _listed(doubtful), explanation)
        stale = sorted(self._values.get("stale_codes", ()), reverse=True)
        doubtful = [code for code in stale if not self._codes.proves_no_charge(code)]
        if doubtful:
            explanation = f"allowed are codes which prove that nothing was charged; {_listed(doubtful)} does not"
            self._fault("staleCodes", _listed(stale), explanation)

    def _check_broker(self) -> None:
        if self._values.get("queue_url"):
            explanation = "this version has no broker: the till delivers its cancellations by itself"
            self._warnings.append(SettingWarning("queueUrl", None, self._origins["queueUrl"], explanation))

    def _fault(self, name: str, value: str, explanation: str) -> None:
        self._faults.append(SettingFault(name, value, self._origins[name], explanation))

    def _warn(self, name: str, value: str, explanation: str) -> None:
        self._warnings.append(SettingWarning(name, value, self._origins[name], explanation))


def _check_fit(text: str) -> None:
    if len(text) > MAX_VALUE_CHARACTERS:
        raise UnacceptableError(f"allowed are at most {MAX_VALUE_CHARACTERS} characters")
    if _UNFIT.search(text):
        raise UnacceptableError("it holds a control character or one that can't be read")


def _place(fault: SettingFault) -> tuple[bool, int]:
    """Order faults as a person mends them: down the file, then the rest."""
    return fault.origin.source is not Source.FILE, fault.line or 0


def _listed(codes: Iterable[int]) -> str:
    return ", ".join(map(str, codes))
