"""The typed caller for a host: it loads plugins, checks them, and calls their hooks.

All plugins share one ``pluggy`` manager, so that ``tryfirst`` and ``trylast`` hold across plugins. Each implementation
is called on its own: one that raises becomes a ``HookFailed`` or a ``PluginFault``, and the others are still asked.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeVar

import pluggy

import hookspecs
from hookspecs import hooks
from hookspecs.installed import installed_plugins

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hookspecs import (
        CancelRequest,
        HookFailed,
        Host,
        PaymentRecord,
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
        Shift,
        Ui,
    )

_Result = TypeVar("_Result")


class PosPlugins:
    """The plugins of one till.

    A hook asks the plugin that was registered last first. An implementation marked ``tryfirst`` is asked before the
    others, one marked ``trylast`` after them.

    A plugin is in service from the moment its ``on_start`` returns until ``on_stop``. A payment record names its plugin
    in ``data["plugin"]``: the name of its entry point, or the name that it was registered under.
    """

    def __init__(self) -> None:
        self._manager = _new_manager()
        self._started: set[str] = set()
        self._failed: dict[str, PluginFault] = {}
        self._refused: dict[str, PluginFault] = {}
        self._unreadable: tuple[PluginFault, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the plugins that hooks ask, in the order of registration; the last is asked first."""
        return tuple(name for name, _ in self._manager.list_name_plugin() if name not in self._failed)

    @property
    def faults(self) -> tuple[PluginFault, ...]:
        """What is out of service and why; a successful retry removes the fault."""
        return (*self._unreadable, *self._refused.values(), *self._failed.values())

    def load_entry_points(self, group: str = hooks.PROJECT) -> None:
        """Register every installed entry point of ``group``, sorted by name; failures are in ``faults``.

        Each distribution is read on its own. If two have the same name, the first on ``sys.path`` that has a plugin is
        used. Another call retries what has failed.
        """
        entry_points, self._unreadable = installed_plugins(group)
        for entry_point in entry_points:
            try:
                plugin = entry_point.load()
            except Exception as error:  # noqa: BLE001 - a plugin's import may raise anything
                self._refuse(entry_point.name, f"can't be imported from {entry_point.value!r}: {error}", error)
            else:
                self.register(plugin, entry_point.name)

    def register(self, plugin: object, name: str) -> bool:
        """Add ``plugin`` under ``name``; hooks ask it from now on.

        Returns:
            True, also if it is already registered under this name. False if it is rejected; ``faults`` has the reason:
            a class instead of an instance, a hook or an argument that the contract does not have, a hook wrapper, an
            asynchronous function or a generator, no hook at all, or the name of another plugin.
        """
        holder = self._manager.get_plugin(name)
        if holder is not None:
            return holder is plugin or self._refuse(name, "has the name of a plugin that is registered already")
        try:
            _check(plugin, name)
            self._manager.register(plugin, name)
        except Exception as error:  # noqa: BLE001 - registering evaluates attributes, which may raise anything
            return self._refuse(name, f"does not fit the contract: {error}", error)
        self._refused.pop(name, None)
        return True

    def on_start(self, host: Host) -> None:
        """Start every plugin; one that raises is out of service, with a fault, until ``on_start`` is called again.

        Called again, it starts every plugin again.

        Money effect: none at once; pending cancellations are delivered in the background.
        """
        self._failed.clear()
        for implementation in self._implementations("on_start"):
            name = implementation.plugin_name
            try:
                _call(implementation, {"host": host})
            except Exception as error:  # noqa: BLE001 - isolates a faulty plugin
                self._failed[name] = hookspecs.PluginFault.logged(name, f"failed in on_start: {error}", error)
        self._started = set(self.names)

    def payment_types(self) -> list[PaymentType]:
        """Return the tenders of all plugins; a plugin that raises offers none.

        Money effect: none.
        """
        return list(self._ask("payment_types", hookspecs.PaymentType, {}, [], is_list=True))

    def on_payment(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Return the result of a payment, or None if no plugin handles this tender.

        Raises:
            HookFailed: a plugin failed and no other answered, or no plugin answers a repeated request. The outcome is
                unknown; ask again.

        Money effect: may charge, unless the request is repeated. Without PAID, money that may have been charged is
        returned.
        """
        result = self._first("on_payment", hookspecs.PaymentResult, {"request": request, "ui": ui})
        if result is None and request.repeated:
            raise hookspecs.HookFailed(None, "on_payment", f"answers for the repeated payment {request.payment_id}")
        return result

    def on_payment_recorded(self, record: PaymentRecord) -> None:
        """Acknowledge a payment: the host has stored its paid tender.

        Raises:
            HookFailed: a plugin failed, after all were called, or the record's plugin is not in service. Call again.

        Money effect: none. Afterwards only ``on_cancel`` and ``on_full_refund`` return the money.
        """
        _raise_first(self._tell("on_payment_recorded", {"record": record}))
        self._require_service("on_payment_recorded", [record])

    def on_ready(self) -> None:
        """Call every plugin: the host has repeated and acknowledged everything of earlier runs.

        Raises:
            HookFailed: a plugin failed, after all were called. Call again.

        Money effect: payments of earlier runs that are neither acknowledged nor finished are returned.
        """
        _raise_first(self._tell("on_ready", {}))

    def on_cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        """Return the result of a cancel, or None if no plugin took the payment.

        Raises:
            HookFailed: a plugin failed and no other answered, or no plugin answers for the plugin that the record
                names. The outcome is unknown; ask again.

        Money effect: may return the whole amount.
        """
        return self._reverse("on_cancel", request.payment, {"request": request, "ui": ui})

    def validate_refund(self, request: RefundRequest) -> list[RefundViolation]:
        """Return the violations that all plugins report; an empty list if the refund may close.

        Raises:
            HookFailed: a plugin failed, after all were asked, or the payment's plugin is not in service. The refund
                must not close.

        Money effect: none.
        """
        failures: list[HookFailed] = []
        asked = self._ask("validate_refund", hookspecs.RefundViolation, {"request": request}, failures, is_list=True)
        violations = list(asked)
        _raise_first(failures)
        self._require_service("validate_refund", [request.payment])
        return violations

    def on_full_refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        """Return the result of a full refund, or None if no plugin took the payment.

        Raises:
            HookFailed: a plugin failed and no other answered, or no plugin answers for the plugin that the record
                names. The outcome is unknown; ask again.

        Money effect: may return the whole amount.
        """
        return self._reverse("on_full_refund", request.payment, {"request": request, "ui": ui})

    def on_receipt_closed(self, receipt: Receipt) -> None:
        """Call every plugin: a receipt is closed; a SALE receipt also acknowledges its payments.

        Raises:
            HookFailed: a plugin failed, after all were called, or a payment of a SALE receipt names a plugin that is
                not in service. Call again.

        Money effect: none. Afterwards only ``on_full_refund`` returns the payments in the receipt.
        """
        _raise_first(self._tell("on_receipt_closed", {"receipt": receipt}))
        if receipt.kind is hookspecs.ReceiptKind.SALE:
            self._require_service("on_receipt_closed", receipt.payments)

    def on_shift_closed(self, shift: Shift) -> list[str]:
        """Return the texts of all plugins for the shift report; a plugin that raises adds none.

        Money effect: none.
        """
        return list(self._ask("on_shift_closed", str, {"shift": shift}, [], is_list=False))

    def on_queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Return what to do with a queue message: RETRY if a plugin failed, None if no plugin knows its kind.

        Money effect: may return the whole amount of a payment; never charges.
        """
        try:
            return self._first("on_queue_message", hookspecs.QueueVerdict, {"message": message})
        except hookspecs.HookFailed:
            return hookspecs.QueueVerdict.RETRY

    def on_stop(self) -> None:
        """Stop every plugin, also those after one that raises.

        Money effect: the money of an interrupted payment is returned, unless it ends PAID.
        """
        self._tell("on_stop", {})
        self._started.clear()

    def _refuse(self, name: str, reason: str, error: Exception | None = None) -> bool:
        self._refused[name] = hookspecs.PluginFault.logged(name, reason, error)
        return False

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        """Return the implementations of a hook in the order of calls, which is the reverse of pluggy's list."""
        found = reversed(getattr(self._manager.hook, hook).get_hookimpls())
        return [each for each in found if each.plugin_name not in self._failed]

    def _ask(
        self,
        hook: str,
        kind: type[_Result],
        arguments: Mapping[str, object],
        failed: list[HookFailed],
        *,
        is_list: bool,
    ) -> Iterator[_Result]:
        """Yield the results that are not None, or their elements if ``is_list``; add a failure for any other type."""
        for implementation in self._implementations(hook):
            name = implementation.plugin_name
            try:
                result = _call(implementation, arguments)
            except Exception as error:  # noqa: BLE001 - isolates a faulty plugin
                failed.append(hookspecs.HookFailed.by_raising(name, hook, error))
                continue
            found = result if is_list else [result]
            if isinstance(found, list) and all(isinstance(each, kind) for each in found):
                yield from found
            elif result is not None:
                failed.append(hookspecs.HookFailed.by_answering(name, hook, result))

    def _first(self, hook: str, kind: type[_Result], arguments: Mapping[str, object]) -> _Result | None:
        failures: list[HookFailed] = []
        result = next(self._ask(hook, kind, arguments, failures, is_list=False), None)
        if result is None:
            _raise_first(failures)
        return result

    def _tell(self, hook: str, arguments: Mapping[str, object]) -> list[HookFailed]:
        """Call every plugin, whatever it returns, and return the failures."""
        failures: list[HookFailed] = []
        list(self._ask(hook, object, arguments, failures, is_list=False))
        return failures

    def _reverse(
        self, hook: str, record: PaymentRecord | None, arguments: Mapping[str, object]
    ) -> ReversalResult | None:
        result = self._first(hook, hookspecs.ReversalResult, arguments)
        if result is None:
            self._require_service(hook, [record], has_answered=False)
        return result

    def _require_service(
        self, hook: str, records: Iterable[PaymentRecord | None], *, has_answered: bool = True
    ) -> None:
        """Raise ``HookFailed`` if a record names a plugin that is not in service, or that has not answered for it."""
        for record in records:
            name = None if record is None else record.data.get("plugin")
            if name and not (has_answered and name in self._started):
                reason = "does not answer for its payment" if name in self._started else "is not in service"
                raise hookspecs.HookFailed(name, hook, reason)


def _raise_first(failures: list[HookFailed]) -> None:
    if failures:
        raise failures[0]


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    return manager


def _check(plugin: object, name: str) -> None:
    """Raise if ``plugin`` does not fit the contract.

    A plugin that pluggy refuses may stay half registered, so it is tried in a manager of its own.
    """
    if isinstance(plugin, type):
        raise TypeError(f"it is the class {plugin.__name__}; an instance is needed")
    manager = _new_manager()
    manager.register(plugin, name)
    manager.check_pending()
    callers = manager.get_hookcallers(plugin)
    if not callers:
        raise TypeError("it implements no hook")
    for caller in callers:
        for implementation in caller.get_hookimpls():
            _check_implementation(caller.name, implementation)


def _check_implementation(hook: str, implementation: pluggy.HookImpl) -> None:
    function = implementation.function
    if implementation.hookwrapper or getattr(implementation, "wrapper", False):  # pluggy 1.0 has no ``wrapper``
        raise TypeError(f"{hook} is a hook wrapper: it could change the results of other plugins")
    if any(is_kind(function) for is_kind in _DEFERRED):
        raise TypeError(f"{hook} is asynchronous or a generator: nothing would run it")
    if tuple(inspect.signature(function).parameters) != tuple(implementation.argnames):
        raise TypeError(f"{hook} must take its arguments by position and without defaults")


_DEFERRED = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def _call(implementation: pluggy.HookImpl, arguments: Mapping[str, object]) -> object:
    return implementation.function(*(arguments[name] for name in implementation.argnames))
