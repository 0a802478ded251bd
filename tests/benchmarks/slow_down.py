"""A slow-down that is planted in the payment's path, to see that the figures show it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin.plugin import PaymePlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hookspecs import PaymentRequest, PaymentResult, Ui


@contextmanager
def planted(percent: float, clock: Callable[[], float] = time.perf_counter) -> Iterator[None]:
    """Let the plugin's ``on_payment`` be busy for so much more of its own time, within the block."""
    original = PaymePlugin.on_payment

    def on_payment(self: PaymePlugin, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        begin = clock()
        result = original(self, request, ui)
        ended = clock()
        while clock() < ended + (ended - begin) * percent / 100:
            pass
        return result

    on_payment.__dict__.update(original.__dict__)  # how pluggy knows that it is a hook
    PaymePlugin.on_payment = on_payment  # type: ignore[method-assign]
    try:
        yield
    finally:
        PaymePlugin.on_payment = original  # type: ignore[method-assign]
