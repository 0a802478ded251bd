from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hookspecs import PaymentType, PosPlugins, hookimpl

if TYPE_CHECKING:
    from tests.hookspecs.conftest import Install

pytestmark = pytest.mark.floor

GOOD = """
    import hookspecs

    class Plugin:
        @hookspecs.hookimpl
        def payment_types(self):
            return [hookspecs.PaymentType(number=7, name="Good")]

    plugin = Plugin()
"""


class OneTender:
    def __init__(self, number: int = 7) -> None:
        self.number = number

    @hookimpl
    def payment_types(self) -> list[PaymentType]:
        return [PaymentType(number=self.number, name=f"Tender {self.number}")]


def tender_numbers(plugins: PosPlugins) -> list[int]:
    return [tender.number for tender in plugins.payment_types()]


def loaded(group: str) -> PosPlugins:
    plugins = PosPlugins()
    plugins.load_entry_points(group)
    return plugins


def test_a_plugin_is_found_by_its_entry_point_and_answers(install: Install) -> None:
    plugins = loaded(install("good_plugin", GOOD))

    assert plugins.names == ("good_plugin",)
    assert plugins.faults == ()
    assert tender_numbers(plugins) == [7]


def test_the_group_is_pos_unless_another_is_named(install: Install) -> None:
    install("plugin_of_pos", GOOD, group="pos")
    plugins = PosPlugins()
    plugins.load_entry_points()

    assert "plugin_of_pos" in plugins.names


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        pytest.param("raise RuntimeError('no licence')", None, "no licence", id="its import raises"),
        pytest.param(
            "import a_library_that_is_not_there", None, "a_library_that_is_not_there", id="a library is missing"
        ),
        pytest.param("plugin = (", None, "bad_plugin", id="its file is no Python"),
        pytest.param("other = 1", None, "plugin", id="the object is not in the module"),
        pytest.param("", "no_such_module:plugin", "no_such_module", id="the module is not there"),
        pytest.param("", "not a reference", "not a reference", id="the entry point is nonsense"),
    ],
)
def test_a_plugin_that_cannot_be_imported_harms_no_other(
    install: Install, source: str, value: str | None, reason: str
) -> None:
    install("bad_plugin", source, value)
    plugins = loaded(install("good_plugin", GOOD))

    assert plugins.names == ("good_plugin",)
    assert tender_numbers(plugins) == [7]
    (fault,) = plugins.faults
    assert fault.plugin == "bad_plugin"
    assert reason in fault.reason
    assert isinstance(fault.error, Exception)


def test_a_class_instead_of_an_instance_is_refused_at_load() -> None:
    plugins = PosPlugins()

    assert not plugins.register(OneTender, "a_class")
    assert plugins.register(OneTender(), "an_instance")
    assert plugins.names == ("an_instance",)
    (fault,) = plugins.faults
    assert fault.reason == "is the class OneTender; an instance is needed"


class MisspeltHook(OneTender):
    @hookimpl
    def on_paymnet(self, request: object, ui: object) -> None: ...


class UnknownHook(OneTender):
    @hookimpl
    def on_tuesday(self) -> None: ...


class WrongArgument(OneTender):
    @hookimpl
    def on_payment(self, demand: object, ui: object) -> None: ...


class PropertyRaises(OneTender):
    @property
    def balance(self) -> int:
        raise RuntimeError("not connected yet")


class NoHook:
    def on_payment(self, request: object, ui: object) -> None: ...


@pytest.mark.parametrize(
    ("plugin", "named"),
    [
        pytest.param(MisspeltHook(), "on_paymnet", id="a misspelt hook"),
        pytest.param(UnknownHook(), "on_tuesday", id="a hook that the contract does not know"),
        pytest.param(WrongArgument(), "demand", id="an argument that the hook does not have"),
        pytest.param(NoHook(), "no hook", id="no hook at all"),
        pytest.param(None, "no hook", id="no plugin at all"),
    ],
)
def test_what_does_not_fit_the_contract_is_refused_at_load_with_its_reason(plugin: object, named: str) -> None:
    plugins = PosPlugins()

    assert not plugins.register(plugin, "misfit")
    assert plugins.register(OneTender(), "good")
    assert tender_numbers(plugins) == [7]
    (fault,) = plugins.faults
    assert fault.plugin == "misfit"
    assert named in fault.reason


def test_a_property_that_raises_never_reaches_the_till() -> None:
    # one pluggy reads properties while it registers, another does not: both are fine as long as the others work
    plugins = PosPlugins()
    plugins.register(PropertyRaises(8), "with_property")
    plugins.register(OneTender(7), "good")

    assert "good" in plugins.names
    assert 7 in tender_numbers(plugins)


def test_a_name_is_taken_once() -> None:
    plugins = PosPlugins()
    plugins.register(OneTender(1), "twin")

    assert not plugins.register(OneTender(2), "twin")
    assert tender_numbers(plugins) == [1]
    assert plugins.faults[0].reason == "a plugin of this name is in service already"


def test_two_tills_in_one_process_do_not_share_plugins() -> None:
    first, second = PosPlugins(), PosPlugins()
    first.register(OneTender(), "payme")

    assert second.names == ()
    assert second.register(OneTender(), "payme")
