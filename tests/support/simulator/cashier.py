"""The people in front of the till: the cashier's scans and stops, and what the buyers do with their phones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookspecs import BaseUi
from payme_plugin.paymego import codes
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan

if TYPE_CHECKING:
    from random import Random

    from simulator.shop import Shop

_IMPLAUSIBLE = ("", "12", "4607001234567", "http://pay.example/77", "１２３", "8" * 65, "\x00")
_CODES = (*(entry.code for entry in codes.CATALOGUE), -31999)
_HEADS = 0.5
_SCANS_S = (0.3, 1.0)
_SLOW_SCANS_S = (0.3, 2.0, 5.0, 14.0, 29.0, 33.0, 100.0)


class People:
    """What buyers and the cashier do, at random.

    Attributes:
        codes: every code that a phone showed or a scanner read: secrets.
        stops: the chance that the cashier stops a wait.
        fumbles: the chance that a scan brings no fresh code of a buyer.
    """

    def __init__(self, shop: Shop, rng: Random) -> None:
        self.codes: list[str] = []
        self.stops = 0.0
        self.fumbles = 0.0
        self.refusals = 0.0
        self._shop = shop
        self._rng = rng

    def ui(self) -> SimUi:
        """Return the cashier for one hook."""
        settings = self._shop.settings()
        stops = self._rng.random() < self.stops
        after_s = self._rng.uniform(0, settings.pay_duration_ms / 1000) if stops else None
        return SimUi(self, self._shop, self._rng, after_s)

    def fresh_code(self) -> str:
        """Return a new code from the phone of a buyer of some kind."""
        code = self._shop.paymego.bank.issue_code(self._shop.paymego.now_ms, self._behaviour())
        self.codes.append(code)
        return code

    def _behaviour(self) -> Behaviour:
        rng = self._rng
        duration_s = self._shop.settings().pay_duration_ms / 1000
        cancel = self._cancel_plan()
        kind = rng.random()
        if kind < 0.45:
            return Behaviour(BuyerAction.PAYS, cancel=cancel)
        if kind < 0.72:
            near = rng.choice((-0.2, -0.05, 0.0, 0.05, 0.2, 2.0))
            after_s = rng.uniform(0.01, duration_s * 1.3) if rng.random() < _HEADS else max(0.01, duration_s + near)
            return Behaviour(BuyerAction.CONFIRMS, after_s=after_s, cancel=cancel)
        if kind < 0.78:
            return Behaviour(BuyerAction.DECLINES, after_s=rng.uniform(0, duration_s), cancel=cancel)
        if kind < 0.83:
            return Behaviour(BuyerAction.LACKS_FUNDS, cancel=cancel)
        if kind < 0.9:
            return Behaviour(BuyerAction.NEVER_ANSWERS, cancel=cancel)
        codes = sorted(self._shop.settings().stale_codes) if rng.random() < _HEADS else _CODES
        return Behaviour(BuyerAction.FAILS, error_code=rng.choice(codes), cancel=cancel)

    def _cancel_plan(self) -> CancelPlan:
        rng = self._rng
        return CancelPlan(
            settle_s=rng.choice((0.0, 0.4, 3.0, 40.0, 300.0)),
            refused_with=-31800 if rng.random() < self.refusals else None,
            turns_back_after_s=rng.choice((0.0, 1.0, 30.0)) if rng.random() < self.refusals else None,
            busy_with=-31800 if rng.random() < self.refusals else None,
        )


class SimUi(BaseUi):
    """The cashier during one hook."""

    def __init__(self, people: People, shop: Shop, rng: Random, stops_after_s: float | None) -> None:
        self._people = people
        self._shop = shop
        self._rng = rng
        self._stops_after_s = stops_after_s

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        """Scan something, after a while."""
        rng, stage = self._rng, self._shop.stage
        code = self._code()
        if rng.random() < _HEADS:
            # The phone showed the code before the cashier was ready.
            slow_s = (*_SLOW_SCANS_S, 0.7 * self._shop.settings().pay_duration_ms / 1000)
            takes_s = rng.choice(slow_s if rng.random() < self._people.fumbles else _SCANS_S)
        else:
            takes_s = 0.2
        if takes_s > timeout_s:
            stage.sleep(timeout_s)
            return None
        stage.sleep(takes_s)
        if rng.random() < self._people.fumbles / 8:
            raise OSError("the scanner was pulled out")
        return code

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Look at the progress, and perhaps stop."""
        if self._rng.random() < self._people.fumbles / 100:
            raise OSError("the screen was pulled out")
        return self._stops_after_s is not None and elapsed_s >= self._stops_after_s

    def _code(self) -> str | None:
        rng, people = self._rng, self._people
        if rng.random() >= people.fumbles:
            return people.fresh_code()
        if people.codes and rng.random() < _HEADS:
            return rng.choice(people.codes[-4:])
        if rng.random() < _HEADS:
            return rng.choice(_IMPLAUSIBLE)
        return None if rng.random() < _HEADS else f"{rng.randrange(10**19):019d}"
