"""Answers in wrong shapes: each visibly none of ours, or the truth in a form that must not count."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fakes.answer_changes import result

if TYPE_CHECKING:
    from fakes.paymego import Change, Envelope

_OTHER_ID = "0123456789abcdef01234567"


def _with_result(change: dict[str, object]) -> Change:
    def changed(answer: Envelope) -> Envelope:
        found = answer.get("result")
        if not isinstance(found, Mapping):
            return answer
        receipt = found.get("receipt")
        changes = {"receipt": {**receipt, **change}} if isinstance(receipt, Mapping) else change
        return {**answer, "result": {**found, **changes}}

    return changed


def _stated(form: object) -> Change:
    """Give the state in another form."""

    def changed(answer: Envelope) -> Envelope:
        found = answer.get("result")
        source = found.get("receipt", found) if isinstance(found, Mapping) else None
        state = source.get("state") if isinstance(source, Mapping) else None
        if not isinstance(state, int):
            return answer
        forms: dict[object, object] = {"text": str(state), "float": float(state), "list": [state], "none": None}
        return _with_result({"state": forms[form]})(answer)  # type: ignore[return-value] # no bytes here

    return changed


def _error(value: object) -> Change:
    return lambda answer: {"id": answer.get("id"), "error": value}


def _foreign(answer: Envelope) -> Envelope:
    """Speak of another receipt; ``receipts.create`` has none yet, so there it has no id at all."""
    found = answer.get("result")
    receipt = found.get("receipt") if isinstance(found, Mapping) else None
    is_new = isinstance(receipt, Mapping) and receipt.get("state") == 0
    changed = _with_result({"_id": None if is_new else _OTHER_ID})(answer)
    assert isinstance(changed, Mapping)
    return changed


SHAPES: tuple[Change, ...] = (
    _stated("text"),
    _stated("float"),
    _stated("list"),
    _stated("none"),
    _with_result({"state": True}),
    _with_result({"state": 99}),
    _with_result({"state": -1}),
    _with_result({"amount": 1}),
    _with_result({"amount": "1500000"}),
    _foreign,
    result({}),
    result([]),
    result("ok"),
    result(None),
    result({"receipt": []}),
    _error("no"),
    _error({"code": "-31400", "message": "no"}),
    _error({"message": {"ru": "нет"}}),
    lambda answer: {**answer, "error": {"code": -31400, "message": "no"}} if "result" in answer else b"{}",
    lambda answer: json.dumps(answer).encode()[:-9],
    lambda _: b"",
    lambda _: b"[]",
    lambda _: b"\xff\xfe{}",
    lambda _: b'{"id":1,"result":{"state":NaN}}',
)
"""Each makes one of them out of a sound answer."""
