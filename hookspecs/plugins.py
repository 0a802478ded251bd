"""The typed caller for a host: it loads plugins, checks them, and calls their hooks.

Every plugin lives in a ``pluggy`` manager of its own, so that one that can't be imported, misspells a hook or raises
harms no other: what it did becomes a ``PluginFault`` or a ``HookFailed``, and the other plugins are asked all the same.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, TypeVar

import pluggy

import hookspecs
from hookspecs import hooks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hookspecs import (
        CancelRequest,
        HookFailed,
        Host,
        PaymentRequest,
        PaymentResult,
        PaymentType,
        PluginFault,
        QueueMessage,
        QueueVerdict,
        Receipt,
        RefundRequest,
        RefundViolation,
        ReversalResult,
        Ui,
    )

__all__ = ["PosPlugins"]

_Answer = TypeVar("_Answer")


class _Loaded:
    """A plugin in service, with the manager that is its alone."""

    def __init__(self, name: str, plugin: object, manager: pluggy.PluginManager) -> None:
        self.name = name
        self.plugin = plugin
        self._manager = manager

    def call(self, hook: str, **arguments: object) -> object:
        return getattr(self._manager.hook, hook)(**arguments)


class PosPlugins:
    """The plugins of one till, asked in the order in which they were loaded."""

    def __init__(self) -> None:
        self._loaded: list[_Loaded] = []
        self._faults: list[PluginFault] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the plugins in service, in the order in which they are asked."""
        return tuple(loaded.name for loaded in self._loaded)

    @property
    def faults(self) -> tuple[PluginFault, ...]:
        """Why other plugins are not in service."""
        return tuple(self._faults)

    def load_entry_points(self, group: str = hooks.PROJECT) -> None:
        """Load every installed entry point of ``group``, each on its own; what fails is in ``faults``."""
        for entry_point in entry_points(group=group):
            try:
                plugin = entry_point.load()
            except Exception as error:  # noqa: BLE001 - a plugin's import may raise anything
                self._refuse(entry_point.name, f"can't be imported from {entry_point.value!r}: {error}", error)
            else:
                self.register(plugin, entry_point.name)

    def register(self, plugin: object, name: str) -> bool:
        """Take ``plugin`` into service under ``name``.

        Returns:
            True; or False, with the reason in ``faults``: a class instead of an instance, a hook that the contract
            doesn't know, an argument that it doesn't have, no hook at all, a name already taken.
        """
        if name in self.names:
            return self._refuse(name, "a plugin of this name is in service already")
        if isinstance(plugin, type):
            return self._refuse(name, f"is the class {plugin.__name__}; an instance is needed")
        manager = pluggy.PluginManager(hooks.PROJECT)
        manager.add_hookspecs(hooks)
        try:
            manager.register(plugin, name)
            manager.check_pending()
        except Exception as error:  # noqa: BLE001 - registering evaluates attributes, which may raise anything
            return self._refuse(name, f"does not fit the contract: {error}", error)
        if not manager.get_hookcallers(plugin):
            return self._refuse(name, "implements no hook")
        self._loaded.append(_Loaded(name, plugin, manager))
        return True

    def on_start(self, host: Host) -> None:
        """Start every plugin; one that raises is out of service and in ``faults``.

        Money effect: may cancel, later: what an earlier run left.
        """
        for loaded in tuple(self._loaded):
            try:
                loaded.call("on_start", host=host)
            except Exception as error:  # noqa: BLE001 - isolates a faulty plugin
                self._loaded.remove(loaded)
                self._refuse(loaded.name, f"failed in on_start: {error}", error)

    def payment_types(self) -> list[PaymentType]:
        """Return the tenders of all plugins; a plugin that raises offers none.

        Money effect: none.
        """
        return self._all("payment_types", hookspecs.PaymentType, {}, failures=[])

    def on_payment(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Return the verdict on a payment; None: no plugin answers to this tender.

        Raises:
            HookFailed: a plugin failed and no other answered; the outcome is unknown.

        Money effect: may charge; whatever is not PAID is returned to the buyer by itself.
        """
        return self._first("on_payment", hookspecs.PaymentResult, {"request": request, "ui": ui})

    def on_cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        """Return the verdict on a cancel; None: the payment is no plugin's.

        Raises:
            HookFailed: a plugin failed and no other answered; the outcome is unknown.

        Money effect: may cancel, the whole amount.
        """
        return self._first("on_cancel", hookspecs.ReversalResult, {"request": request, "ui": ui})

    def on_receipt_closed(self, receipt: Receipt) -> None:
        """Tell every plugin that a receipt is closed.

        Raises:
            HookFailed: a plugin failed, after all were told; call again.

        Money effect: none.
        """
        failures: list[HookFailed] = []
        for _ in self._answers("on_receipt_closed", {"receipt": receipt}, failures):
            pass
        if failures:
            raise failures[0]

    def validate_refund(self, request: RefundRequest) -> list[RefundViolation]:
        """Return every plugin's reasons against a refund; an empty list: it may close.

        Raises:
            HookFailed: a plugin failed, after all were asked; the refund must not close.

        Money effect: none.
        """
        failures: list[HookFailed] = []
        violations = self._all("validate_refund", hookspecs.RefundViolation, {"request": request}, failures)
        if failures:
            raise failures[0]
        return violations

    def on_full_refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        """Return the verdict on a full refund; None: the payment is no plugin's.

        Raises:
            HookFailed: a plugin failed and no other answered; the outcome is unknown.

        Money effect: may cancel, the whole amount.
        """
        return self._first("on_full_refund", hookspecs.ReversalResult, {"request": request, "ui": ui})

    def on_queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Return what becomes of a queue message; RETRY where a plugin failed, None: no plugin knows its kind.

        Money effect: may cancel, never charges.
        """
        try:
            return self._first("on_queue_message", hookspecs.QueueVerdict, {"message": message})
        except hookspecs.HookFailed:
            return hookspecs.QueueVerdict.RETRY

    def on_stop(self) -> None:
        """Stop every plugin, also those after one that raises.

        Money effect: may cancel, later: a payment that it ends under way, and one that the host does not have.
        """
        for _ in self._answers("on_stop", {}, failures=[]):
            pass

    def _refuse(self, name: str, reason: str, error: Exception | None = None) -> bool:
        self._faults.append(hookspecs.PluginFault.logged(name, reason, error))
        return False

    def _answers(
        self, hook: str, arguments: dict[str, object], failures: list[HookFailed]
    ) -> Iterable[tuple[str, object]]:
        for loaded in self._loaded:
            try:
                answer = loaded.call(hook, **arguments)
            except Exception as error:  # noqa: BLE001 - isolates a faulty plugin
                failures.append(hookspecs.HookFailed.by_raising(loaded.name, hook, error))
            else:
                yield loaded.name, answer

    def _first(self, hook: str, kind: type[_Answer], arguments: dict[str, object]) -> _Answer | None:
        failures: list[HookFailed] = []
        for name, answer in self._answers(hook, arguments, failures):
            if isinstance(answer, kind):
                return answer
            # pluggy gives [] for a hook without an implementation where firstresult has nothing to say
            if answer is not None and answer != []:
                failures.append(hookspecs.HookFailed.by_answering(name, hook, answer))
        if failures:
            raise failures[0]
        return None

    def _all(
        self, hook: str, kind: type[_Answer], arguments: dict[str, object], failures: list[HookFailed]
    ) -> list[_Answer]:
        found: list[_Answer] = []
        for name, answers in self._answers(hook, arguments, failures):
            for answer in answers if isinstance(answers, list) else [answers]:
                if isinstance(answer, list) and all(isinstance(each, kind) for each in answer):
                    found.extend(answer)
                elif answer is not None:
                    failures.append(hookspecs.HookFailed.by_answering(name, hook, answer))
        return found
