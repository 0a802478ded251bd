"""A scenario: what a sandbox is prepared with, as one JSON document, which is read strictly: every problem is named."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from hookspecs.structure import StructureError, structure
from payme_plugin.sandbox.behaviour import Behaviour  # noqa: TC001 - get_type_hints needs it
from payme_plugin.sandbox.faults import InjectedFault  # noqa: TC001 - the same
from payme_plugin.sandbox.jsonrpc import BankError, read_object
from payme_plugin.sandbox.records import MerchantAccount

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from random import Random

    from payme_plugin.sandbox.bank import Bank
    from payme_plugin.sandbox.faults import FaultRule
    from payme_plugin.sandbox.records import PhoneView

VERSION = 1
MAX_ACCOUNTS = 1000
_DEFAULT_BALANCE = 100_000_000
_KEY_LENGTH = 36
_KEY_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789#%@&?^*"
_SHOWN_FIRST, _SHOWN_LAST = 6, 4
_MAX_FILE_BYTES = 1 << 20
_MAX_NAME_CHARACTERS = 100
_MAX_BALANCE = 10**12
_LONGEST_NAME = 100
_POS_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_POS_KEY = re.compile(r"[!#-~]{1,200}")
_CARD = re.compile(r"[0-9]{12,19}")
_PHONE = re.compile(r"[0-9]{5,15}")
_Kind = TypeVar("_Kind")


class ScenarioError(ValueError):
    """A scenario, or a part of one, that can't be used.

    Attributes:
        problems: all of them, each with its place, e.g. ``faults[2].times: must be an integer``.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class NewAccount:
    """A merchant account to add.

    Attributes:
        pos_id: 1 to 64 letters, digits, ``-`` and ``_``.
        pos_key: 1 to 200 printable ASCII characters without blanks and double quotes; ``None``: a new key.
        name: as buyers see it, 1 to 100 characters; ``None``: the ``pos_id``.

    Raises:
        ValueError: a value is not allowed.
    """

    pos_id: str
    pos_key: str | None = field(default=None, repr=False)
    name: str | None = None

    def __post_init__(self) -> None:
        if not _POS_ID.fullmatch(self.pos_id):
            raise ValueError(f"pos_id is {self.pos_id[:100]!r}: 1 to 64 letters, digits, - and _ are allowed")
        if self.pos_key is not None and not _POS_KEY.fullmatch(self.pos_key):
            raise ValueError(
                "pos_key: 1 to 200 printable ASCII characters without blanks and double quotes are allowed"
            )
        if self.name is not None and not 1 <= len(self.name) <= _LONGEST_NAME:
            raise ValueError(f"name has {len(self.name)} characters: 1 to {_LONGEST_NAME} are allowed")

    def add_to(self, bank: Bank, rng: Random) -> MerchantAccount:
        """Add it to a bank and return it, or return the account with this id that is there."""
        known = bank.account(self.pos_id)
        if known is not None:
            return known
        key = self.pos_key or "".join(rng.choice(_KEY_CHARACTERS) for _ in range(_KEY_LENGTH))
        account = MerchantAccount(self.pos_id, key, self.name or self.pos_id)
        bank.put_account(account)
        return account


@dataclass(frozen=True)
class NewPhone:
    """A buyer's phone to add.

    Attributes:
        balance: tiyin in its wallet; ``None``: 1 000 000 UZS.
        card: 12 to 19 digits; ``None``: a card of the sandbox.
        phone: its number, 5 to 15 digits; ``None``: a number of the sandbox.

    Raises:
        ValueError: a value is not allowed.
    """

    balance: int | None = None
    card: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.balance is not None and not 0 <= self.balance <= _MAX_BALANCE:
            raise ValueError(f"balance is {self.balance}: 0 to {_MAX_BALANCE} tiyin are allowed")
        if self.card is not None and not _CARD.fullmatch(self.card):
            raise ValueError("card: 12 to 19 digits are allowed")
        if self.phone is not None and not _PHONE.fullmatch(self.phone):
            raise ValueError("phone: 5 to 15 digits are allowed")

    def add_to(self, bank: Bank) -> str:
        """Add it to a bank, its card masked, and return its id."""
        own = {} if self.card is None else {"card": _masked_card(self.card)}
        own |= {} if self.phone is None else {"phone": self.phone}
        balance = _DEFAULT_BALANCE if self.balance is None else self.balance
        return bank.add_phone(balance, replace(bank.buyer, **own))


@dataclass(frozen=True)
class Scenario:
    """What a sandbox is prepared with; see ``Sandbox.play``.

    Attributes:
        faults: the faults to inject, in this order.
        codes: the behaviours to issue codes for.
        accounts: the merchant accounts to add.
        phones: the phones to add.
    """

    faults: tuple[InjectedFault, ...] = ()
    codes: tuple[Behaviour, ...] = ()
    accounts: tuple[NewAccount, ...] = ()
    phones: tuple[NewPhone, ...] = ()

    def conflicts(self, bank: Bank) -> Iterator[str]:
        """Return why its accounts can't be added to a bank; nothing if they can."""
        added: dict[str, MerchantAccount | NewAccount] = {each.pos_id: each for each in bank.accounts}
        for index, new in enumerate(self.accounts):
            known = added.setdefault(new.pos_id, new)
            if new.pos_key not in {None, known.pos_key} or new.name not in {None, known.name}:
                yield f"accounts[{index}]: there is an account {new.pos_id!r} with another key or name"
        if len(added) > MAX_ACCOUNTS:
            yield f"accounts: there would be {len(added)}; {MAX_ACCOUNTS} are allowed"


@dataclass(frozen=True)
class Played:
    """What a scenario added.

    Attributes:
        faults: the faults still to happen, with their numbers.
        codes: the codes, each valid for 30 s.
        accounts: its merchant accounts with their keys, also those that were there before.
        phones: the phones.
    """

    faults: tuple[FaultRule, ...]
    codes: tuple[str, ...] = field(repr=False)
    accounts: tuple[MerchantAccount, ...]
    phones: tuple[PhoneView, ...]

    def as_json(self) -> dict[str, object]:
        """Return it as a document, with the codes and keys."""
        return {**asdict(self), "faults": [rule.as_json() for rule in self.faults]}


def read_scenario(document: object) -> Scenario:
    """Return the scenario in a parsed JSON document, e.g. ``{"v": 1, "faults": [{"kind": "html"}]}``.

    Raises:
        ScenarioError: it can't be used; it has every problem.
    """
    if not isinstance(document, dict):
        raise ScenarioError("scenario: must be an object")
    problems: list[str] = []
    types = get_type_hints(Scenario)
    unknown = [name for name in document if name not in {"v", *types}]
    problems += [f"scenario: has {_shown(name)}; allowed are v, {', '.join(types)}" for name in unknown]
    if "v" not in document:
        problems.append(f"scenario: has no v, the version; it must be {VERSION}")
    elif type(document["v"]) is not int or document["v"] != VERSION:
        problems.append(f"v: must be {VERSION}")
    parts = {
        name: _read_all(get_args(kind)[0], document[name], name, problems)
        for name, kind in types.items()
        if name in document
    }
    if problems:
        raise ScenarioError(*problems)
    return Scenario(**parts)


def load_scenario(path: str | os.PathLike[str]) -> Scenario:
    """Return the scenario in a JSON file.

    Raises:
        OSError: the file can't be read.
        ScenarioError: it can't be used; it has every problem.
    """
    with Path(path).open("rb") as file:
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise ScenarioError(f"scenario: must have at most {_MAX_FILE_BYTES} bytes")
    try:
        return read_scenario(read_object(content))
    except BankError:
        raise ScenarioError(f"scenario: {_fault_of_json(content)}") from None


def read_part(kind: type[_Kind], document: object, place: str) -> _Kind:
    """Return a parsed JSON document as a dataclass.

    Raises:
        ScenarioError: it can't be used; it has every problem.
    """
    problems: list[str] = []
    made = _read(kind, document, place, problems)
    if made is None:
        raise ScenarioError(*problems)
    return made


def _fault_of_json(content: bytes) -> str:
    """Return why a file is not one JSON object, with the place if the syntax is wrong."""
    try:
        json.loads(content)
    except json.JSONDecodeError as error:
        return f"must be JSON: {error.msg} in line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        pass
    return "must be one JSON object in UTF-8, with no member given twice and no number out of range"


def _read_all(kind: type[_Kind], document: object, place: str, problems: list[str]) -> tuple[_Kind, ...]:
    if not isinstance(document, list):
        problems.append(f"{place}: must be an array")
        return ()
    made = [_read(kind, each, f"{place}[{index}]", problems) for index, each in enumerate(document)]
    return tuple(each for each in made if each is not None)


def _read(kind: type[_Kind], document: object, place: str, problems: list[str]) -> _Kind | None:
    """Return a document as a dataclass; ``None`` if there are problems, all of which are added to ``problems``.

    ``structure`` ends at the first problem, so it is called for each member.
    """
    if not isinstance(document, dict):
        problems.append(f"{place}: must be an object")
        return None
    known: dict[str, Any] = {one.metadata.get("json", one.name): one for one in fields(kind)}  # type: ignore[arg-type]
    found = [f"{place}: has {_shown(name)}; allowed are {', '.join(known)}" for name in document if name not in known]
    types, values = get_type_hints(kind), {}
    for name, one in known.items():
        if name in document:
            try:
                values[one.name] = structure(types[one.name], document[name], f"{place}.{name}")
            except StructureError as error:
                found.append(str(error))
            except ValueError as error:  # a dataclass within this one refuses its values
                found.append(f"{place}.{name}: {error}")
        elif one.default is MISSING:
            found.append(f"{place}: has no {name}")
    if not found:
        try:
            return kind(**values)
        except ValueError as error:
            found.append(f"{place}: {error}")
    problems += found
    return None


def _shown(name: str) -> str:
    return repr(name[:_MAX_NAME_CHARACTERS])


def _masked_card(card: str) -> str:
    hidden = len(card) - _SHOWN_FIRST - _SHOWN_LAST
    return f"{card[:_SHOWN_FIRST]}{'*' * hidden}{card[-_SHOWN_LAST:]}"
