"""2. Answers that are not Payme's, or that no till may take: by the whole plugin for each, and by shapes without end.

A paid answer for another receipt or amount is never taken for ours, and nothing but our own errors comes out of the
client.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fakes.hooked_world import OFD_LINK
from faults.cases import answer_cells
from faults.fixed_server import AnsweringPeer
from faults.host_names import Counted
from faults.proxy import Phase
from faults.proxy_answers import ELSEWHERE, STATUSES
from faults.rules import lapses_of
from faults.stage import AMOUNT, Stage
from hookspecs import PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.paymego import receipts
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.errors import CallFailed, NotSent, ServerError, Unclear
from payme_plugin.paymego.protocols import Answer, MerchantAccount
from payme_plugin.sandbox import BuyerAction
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.cases import Cell
    from faults.matrix import Matrix
    from faults.proxy_line import Line
    from faults.shop import Shop

pytestmark = [
    pytest.mark.timeout(300),  # the first cell asked for may be the last one played
]

CELLS = answer_cells()
MOST_PLAYED_AGAIN = 45  # as large a share as of the network's faults
RECEIPT = "65f0a1b2c3d4e5f601234567"
OTHER = "65f0a1b2c3d4e5f601234568"


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_an_answer_that_may_not_be_taken_costs_no_money_and_no_time(matrix: Matrix, cell: Cell) -> None:
    assert lapses_of(cell, matrix.seen(cell)) == []
    assert matrix.complaints(cell) == []


def test_hardly_a_cell_had_to_be_played_again_for_a_busy_machine(matrix: Matrix) -> None:
    assert len(matrix.played_again()) <= MOST_PLAYED_AGAIN


# ---------------------------------------------------------------------------------------------------------------------
# Shapes without end
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def peer() -> Iterator[AnsweringPeer]:
    peer = AnsweringPeer()
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def client(peer: AnsweringPeer) -> Iterator[PaymeGoClient]:
    ids = itertools.count(1001)
    merchant = MerchantAccount("5e730e8e0b852a417aa49ceb", Secret("canary-key"), f"http://127.0.0.1:{peer.port}/api")
    client = PaymeGoClient(merchant, clock=SystemClock(), request_ids=lambda: next(ids))
    yield client
    client.close()


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([4, 50, 21, 0, -31630, AMOUNT, 2**63, 2**64, -(2**63) - 1]),
    st.floats(),
    st.text(st.characters(codec=None), max_size=20),
    st.sampled_from([RECEIPT, OTHER, "4", "true", "\ud83d"]),
)
names = st.sampled_from(
    ["id", "result", "error", "receipt", "_id", "state", "amount", "code", "message", "pay_time", "payer", "ru"]
) | st.text(max_size=5)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5), max_leaves=15
)
documents = st.one_of(
    values,
    st.fixed_dictionaries({"id": st.just("OURS") | leaves}, optional={"result": values, "error": values}),
    st.fixed_dictionaries(
        {
            "id": st.just("OURS"),
            "result": st.fixed_dictionaries({"receipt": st.dictionaries(names, leaves)})
            | st.dictionaries(names, leaves),
        }
    ),
)
encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1251"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return the bytes of an answer; ``"OURS"`` stands for the id of the request."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    document, escaped = draw(documents), draw(st.booleans())
    text = json.dumps(document, ensure_ascii=escaped)
    body = text.encode(draw(encodings) if draw(st.integers(0, 4)) == 0 else "utf-8", errors="replace")
    if draw(st.integers(0, 4)) == 0:  # something is lost or comes twice on the way
        cut = draw(st.integers(0, len(body)))
        body = draw(st.sampled_from([body[:cut], body[cut:], body[:cut] + body, body + body[cut:]]))
    return body


@given(body=bodies(), method=st.sampled_from(["pay", "check", "get", "create", "cancel", "get_all", "set_fiscal_data"]))
@example(body=b"[" * 100_000, method="pay")
@example(body=b'{"id": "OURS", "result": {"state": 4, "state": 4}}', method="check")
@example(body=b'{"id": "OURS", "result": {"state": 1e999}}', method="check")
@example(body=b'{"id": "OURS", "result": ' + b"9" * 5000 + b"}", method="check")
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_but_our_own_errors_comes_out_of_the_client(
    peer: AnsweringPeer, client: PaymeGoClient, body: bytes, method: str
) -> None:
    params = {
        "pay": receipts.pay(RECEIPT, Secret("0027161293")),
        "create": receipts.create(AMOUNT, {"order_id": "1"}),
        "get_all": receipts.get_all(0, 1),
        "set_fiscal_data": receipts.set_fiscal_data(RECEIPT, {"receipt_id": 1, "qr_code_url": OFD_LINK}),
    }.get(method, receipts.by_id(RECEIPT))
    peer.answer = lambda request: body.replace(b'"OURS"', str(request["id"]).encode())

    try:
        answer = client.begin(f"receipts.{method}", params, SystemClock().monotonic() + 5).answer()
        assert isinstance(answer, Answer)
        if method == "check":
            assert type(receipts.state_of(answer)) is int
        elif method == "get_all":
            receipts.receipts_of(answer)
        elif method == "set_fiscal_data":
            assert isinstance(answer.result, Mapping)
        else:
            told = receipts.receipt_of(answer)
            assert told.state is None or type(told.state) is int
            assert told.amount is None or type(told.amount) is int
    except CallFailed as failure:
        assert type(failure) in {NotSent, Unclear, ServerError}  # noqa: PT017 - whichever of them
        assert "the request failed" not in str(failure)  # noqa: PT017 - so an error of whatever reads the answer is told
        assert "canary-key" not in repr(failure) + str(failure)  # noqa: PT017
        assert "0027161293" not in repr(failure) + str(failure)  # noqa: PT017


ids_told = st.sampled_from(["ours", "ours", "ours", "another", "text", "none"])
receipt_ids = st.sampled_from(["ours", "ours", "another", "absent", "number"])
amounts = st.sampled_from([AMOUNT, AMOUNT, AMOUNT + 1, 1, 0, True, str(AMOUNT), float(AMOUNT), "absent", None])
states = st.sampled_from([4, 4, 4, "4", 4.0, True, 77, -4, None, [4], 2**63, "absent"])


class Liar:
    """Answers ``pay`` with what is told, ``get`` with no receipt, ``check`` with state 1, and the rest truly."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told

    def __call__(self, request: dict[str, Any], truth: bytes) -> bytes:
        document: dict[str, Any] = json.loads(truth)
        if request["method"] == "receipts.get":
            document["result"] = {}
        if request["method"] == "receipts.pay":
            receipt = {
                "_id": {"ours": request["params"]["id"], "another": OTHER, "number": 4}.get(self.told["_id"], "absent"),
                "amount": self.told["amount"],
                "state": self.told["state"],
            }
            document = {"result": {"receipt": {name: value for name, value in receipt.items() if value != "absent"}}}
            request_id = {"ours": request["id"], "another": request["id"] + 1, "text": str(request["id"])}
            if self.told["id"] in request_id:
                document["id"] = request_id[self.told["id"]]
        return json.dumps(document).encode()

    @property
    def is_true(self) -> bool:
        """Whether the answer is bound to our request, is of our receipt and amount, and says 4."""
        is_paid = type(self.told["state"]) is int and self.told["state"] == 4
        id_fits = self.told["_id"] in {"ours", "absent"}
        amount = self.told["amount"]
        amount_fits = amount in {"absent", None} or (type(amount) is int and amount == AMOUNT)
        return self.told["id"] == "ours" and is_paid and id_fits and amount_fits


PATIENT_S = 5
"""A timeout for what is no question of time: a busy machine loses no answer."""


@pytest.fixture(scope="module")
def lied_to(shop: Shop) -> Iterator[Stage]:
    """A till whose buyer never confirms: whatever says that he paid is a lie."""
    stage = Stage(shop, "lied-to", settings={"payDuration": 1000, "frequency": 100, "timeout": PATIENT_S})
    yield stage
    stage.close()


numbers = itertools.count(1)


@given(told=st.fixed_dictionaries({"id": ids_told, "_id": receipt_ids, "amount": amounts, "state": states}))
@example(told={"id": "ours", "_id": "ours", "amount": AMOUNT, "state": 4})
@example(told={"id": "none", "_id": "ours", "amount": AMOUNT, "state": 4})
@example(told={"id": "ours", "_id": "another", "amount": AMOUNT, "state": 4})
@example(told={"id": "ours", "_id": "ours", "amount": AMOUNT + 1, "state": 4})
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_paid_answer_is_taken_only_where_it_is_ours_to_the_letter(lied_to: Stage, told: dict[str, Any]) -> None:
    number = next(numbers)
    liar = Liar(told)
    lied_to.proxy.answered_by = liar

    result = lied_to.pay(lied_to.till.code(BuyerAction.NEVER_ANSWERS), f"p{number}", number)

    assert (result.status is PaymentStatus.PAID) == liar.is_true, told
    assert result.cancellation_queued != liar.is_true


def test_no_server_makes_a_cashier_wait_by_a_retry_after(shop: Shop) -> None:
    timeout_s = 5
    with closing(Stage(shop, "too-many", settings={"timeout": timeout_s})) as stage:
        stage.proxy.befall("receipts.create", STATUSES["429 with Retry-After"], Phase.AFTER)
        began_at = time.monotonic()
        result = stage.pay(stage.till.code())
        took_s = time.monotonic() - began_at

    assert (result.status, result.cancellation_queued) == (PaymentStatus.REFUSED, False)
    assert took_s < timeout_s


def test_no_redirect_is_even_looked_up(shop: Shop) -> None:
    asked = Counted([shop.nowhere.refusing])
    shop.names.lead(ELSEWHERE, asked)
    stage = Stage(shop, "redirected", settings={"payDuration": 1000, "timeout": PATIENT_S})
    for number in (301, 302, 303, 307, 308):
        stage.proxy.befall("receipts.create", partial(redirected, number), Phase.AFTER)
        result = stage.pay(stage.till.code(), str(number), number)
        assert (result.status, result.cancellation_queued) == (PaymentStatus.REFUSED, False)
    stage.close()

    assert asked.times == 0


def redirected(status: int, line: Line, answer: bytes) -> bool:
    line.reply(answer, status=f"{status} Elsewhere", headers=f"Location: http://{ELSEWHERE}/api\r\n")
    return True
