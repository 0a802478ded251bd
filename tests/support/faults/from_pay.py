"""A fault that befalls everything from the first ``receipts.pay`` on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from faults.proxy import Phase

if TYPE_CHECKING:
    from faults.proxy import Strike
    from faults.proxy_line import Request
    from faults.stage import Stage


class FromPayOn:
    """A fault that befalls the first ``receipts.pay``, and after it every request, whatever its method.

    Attributes:
        strike: what befalls ``receipts.pay``.
        at_s: when it arrived.
    """

    def __init__(self, stage: Stage, strike: Strike) -> None:
        self.strike = strike
        self.at_s: float | None = None
        self._later = strike
        self._stage = stage
        stage.proxy.arriving = self._arriving

    def _arriving(self, request: Request) -> None:
        if request.method == "receipts.pay":
            self.at_s = time.monotonic()
            self._stage.proxy.befall(request.method, self.strike, Phase.AFTER)
        elif self.at_s is not None:
            self._stage.proxy.befall(request.method, self._later, Phase.BEFORE)

    def over(self) -> None:
        """End it."""
        self._stage.proxy.arriving = lambda _: None
        self._stage.proxy.heal()
