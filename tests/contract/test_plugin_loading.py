from __future__ import annotations

import importlib.metadata
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from hookspecs import PaymentType, PosPlugins, hookimpl
from hookspecs.installed import EntryPoint, installed_plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tests.contract.conftest import Install

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


def test_plugins_are_found_by_their_entry_points_in_the_order_of_their_names(install: Install) -> None:
    install("z_plugin", GOOD, group="pos")
    install("a_plugin", GOOD, group="pos")
    plugins = PosPlugins()
    plugins.load_entry_points()

    assert [name for name in plugins.names if name.endswith("_plugin")] == ["a_plugin", "z_plugin"]
    assert plugins.faults == ()
    assert tender_numbers(plugins) == [7, 7]


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


class MisspeltHook(OneTender):
    @hookimpl
    def on_paymnet(self, request: object, ui: object) -> None: ...


class WrongArgument(OneTender):
    @hookimpl
    def on_payment(self, demand: object, ui: object) -> None: ...


class PropertyRaises(OneTender):
    @property
    def balance(self) -> int:
        raise RuntimeError("not connected yet")


class OldWrapper(OneTender):
    @hookimpl(hookwrapper=True)
    def on_payment(self, request: object, ui: object) -> Generator[None, None, None]:
        yield


class DefaultArgument(OneTender):
    @hookimpl
    def on_payment(self, request: object, ui: object = None) -> None: ...


class KeywordArgument(OneTender):
    @hookimpl
    def on_payment(self, request: object, *, ui: object) -> None: ...


class Asynchronous(OneTender):
    @hookimpl
    async def on_payment_recorded(self, record: object) -> None: ...


class Lazy(OneTender):
    @hookimpl
    def on_payment_recorded(self, record: object) -> Generator[None, None, None]:
        yield


class NoHook:
    def on_payment(self, request: object, ui: object) -> None: ...


@pytest.mark.parametrize(
    ("plugin", "named"),
    [
        pytest.param(MisspeltHook(), "on_paymnet", id="a hook that the contract does not have"),
        pytest.param(OneTender, "it is the class OneTender; an instance is needed", id="a class"),
        pytest.param(WrongArgument(), "demand", id="an argument that the hook does not have"),
        pytest.param(OldWrapper(), "wrapper", id="a hook wrapper"),
        pytest.param(DefaultArgument(), "defaults", id="an argument with a default"),
        pytest.param(KeywordArgument(), "by position", id="an argument by keyword only"),
        pytest.param(Asynchronous(), "asynchronous", id="a coroutine"),
        pytest.param(Lazy(), "generator", id="a generator"),
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


def test_a_wrapper_of_the_new_kind_is_refused_too() -> None:
    class NewWrapper(OneTender):
        def on_payment(self, request: object, ui: object) -> Generator[None, object, object]:
            return (yield)

    try:
        hookimpl(NewWrapper.on_payment, wrapper=True)
    except TypeError:
        pytest.skip("pluggy 1.0 has none")
    plugins = PosPlugins()

    assert not plugins.register(NewWrapper(), "wraps")
    assert "wrapper" in plugins.faults[0].reason


@pytest.mark.parametrize("misfit", [MisspeltHook, WrongArgument, OldWrapper])
def test_a_name_that_a_misfit_could_not_have_is_free_and_its_fault_ends_with_the_next_owner(
    misfit: Callable[[], object],
) -> None:
    plugins = PosPlugins()
    assert not plugins.register(misfit(), "payme")
    assert plugins.register(OneTender(), "payme")

    assert (plugins.names, plugins.faults, tender_numbers(plugins)) == (("payme",), (), [7])


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
    (fault,) = plugins.faults
    assert fault.plugin == "twin"
    assert "registered already" in fault.reason


def test_the_same_plugin_under_its_own_name_again_changes_nothing() -> None:
    plugins, plugin = PosPlugins(), OneTender()

    assert plugins.register(plugin, "payme")
    assert plugins.register(plugin, "payme")
    assert (plugins.names, plugins.faults) == (("payme",), ())


# ---------------------------------------------------------------------------------------------------------------------
# Distributions
# ---------------------------------------------------------------------------------------------------------------------


DAMAGES = {
    "entry points that are no text": ("entry_points.txt", b"\xff\xfe\x00"),
    "zeros": ("entry_points.txt", b"\0" * 64),
    "a line without a value": ("entry_points.txt", b"[pos.test]\nbad_plugin\n"),
    "metadata that are no text": ("METADATA", b"\xff\xfe\x00"),
    "empty metadata": ("METADATA", b""),
    "no metadata": ("METADATA", None),
    "no files": ("*", None),
}


def damage(metadata: Path, kind: str) -> None:
    pattern, content = DAMAGES[kind]
    for each in list(metadata.glob(pattern)):
        each.unlink()
        if content is not None:
            each.write_bytes(content)


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", ["a_bad_plugin", "z_bad_plugin"])
def test_a_damaged_distribution_hides_no_other_and_is_a_fault_with_its_path(
    install: Install, site: Path, kind: str, name: str
) -> None:
    install(name, GOOD)
    damage(site / f"{name}-1.0.dist-info", kind)
    plugins = loaded(install("good_plugin", GOOD))

    assert plugins.names == ("good_plugin",)
    (fault,) = plugins.faults
    assert fault.plugin == str(site / f"{name}-1.0.dist-info")
    assert isinstance(fault.error, Exception)


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("version", ["0.9", "1.1"])
def test_what_another_version_of_a_plugin_has_left_does_not_hide_it(
    install: Install, site: Path, kind: str, version: str
) -> None:
    group = install("good_plugin", GOOD)
    left = site / f"good_plugin-{version}.dist-info"
    left.mkdir()
    for each in site.joinpath("good_plugin-1.0.dist-info").iterdir():
        left.joinpath(each.name).write_bytes(each.read_bytes())
    damage(left, kind)
    plugins = loaded(group)

    assert plugins.names == ("good_plugin",)
    assert [fault.plugin for fault in plugins.faults] == [str(left)]


def test_of_two_intact_distributions_of_one_name_the_first_on_the_path_counts_without_a_fault(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = install("good_plugin", GOOD)
    other = tmp_path / "earlier" / "Good.Plugin-1.0.dist-info"
    other.mkdir(parents=True)
    other.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: Good.Plugin\nVersion: 1.0\n")
    other.joinpath("entry_points.txt").write_text(f"[{group}]\nearlier = good_plugin:plugin\n")
    monkeypatch.syspath_prepend(str(other.parent))
    plugins = loaded(group)

    assert (plugins.names, plugins.faults) == (("earlier",), ())


def test_all_that_python_finds_is_found() -> None:
    found, faults = installed_plugins("console_scripts")

    expected = importlib.metadata.entry_points(group="console_scripts")
    assert {(each.name, each.value) for each in found} == {(each.name, each.value) for each in expected}
    assert faults == ()


@pytest.mark.parametrize("value", ["os", "os.path", "os:path", "os : path.join", "os:path.join [one, two]"])
def test_an_entry_point_names_a_module_or_something_in_it_and_may_name_extras(value: str) -> None:
    assert EntryPoint("any", value).load() is importlib.metadata.EntryPoint("any", value, "pos").load()


@pytest.mark.parametrize("suffix", [".zip", ".egg"])
def test_a_plugin_in_an_archive_is_found(
    install: Install, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    group = install("good_plugin", GOOD)
    archive = tmp_path / f"plugins{suffix}"
    with zipfile.ZipFile(archive, "w") as packed:
        for each in [*site.glob("*.py"), *site.glob("*.dist-info/*")]:
            packed.write(each, each.relative_to(site))
            each.unlink()
    site.joinpath("good_plugin-1.0.dist-info").rmdir()
    monkeypatch.syspath_prepend(str(archive))

    assert loaded(group).names == ("good_plugin",)


def test_a_plugin_of_another_import_system_is_found(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    class Frozen:
        find_spec = None

        @staticmethod
        def find_distributions(context: object) -> list[importlib.metadata.Distribution]:
            return [InMemory()]

    class InMemory(importlib.metadata.Distribution):
        def read_text(self, filename: str) -> str | None:
            files = {"METADATA": "Name: frozen\n", "entry_points.txt": "[pos.test]\nfrozen = good_plugin:second\n"}
            return files.get(filename)

        def locate_file(self, path: object) -> Path:
            raise NotImplementedError

    monkeypatch.setattr("sys.meta_path", [*sys.meta_path, Frozen])
    group = install("good_plugin", f"{GOOD}    second = Plugin()")

    assert loaded(group).names == ("frozen", "good_plugin")


@pytest.mark.parametrize("folder", ["no such folder", "", "too long" * 1000], ids=["missing", "empty", "too long"])
def test_a_path_entry_that_is_no_folder_hides_nothing(
    install: Install, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    group = install("good_plugin", GOOD)
    monkeypatch.syspath_prepend(folder)

    assert loaded(group).names == ("good_plugin",)


def test_a_distribution_without_entry_points_is_no_fault(install: Install, site: Path) -> None:
    install("a_library", "")
    site.joinpath("a_library-1.0.dist-info", "entry_points.txt").unlink()
    site.joinpath("old_library.egg-info").write_text("Metadata-Version: 1.0\nName: old_library\n")
    install("with_comment", GOOD)
    written = site.joinpath("with_comment-1.0.dist-info", "entry_points.txt")
    written.write_text("\n# made by hand\n" + written.read_text())
    plugins = loaded("pos.test")

    assert (plugins.names, plugins.faults) == (("with_comment",), ())


def test_loading_again_takes_in_what_was_repaired_and_ends_its_faults(install: Install, site: Path) -> None:
    install("good_plugin", GOOD)
    install("repaired", "raise OSError('too many open files')")
    group = install("damaged", GOOD)
    entry_points = site / "damaged-1.0.dist-info" / "entry_points.txt"
    intact = entry_points.read_text()
    entry_points.write_bytes(b"\0")
    plugins = loaded(group)
    assert (plugins.names, len(plugins.faults)) == (("good_plugin",), 2)

    entry_points.write_text(intact)
    site.joinpath("repaired.py").write_text("import good_plugin\nplugin = type(good_plugin.plugin)()\n")
    plugins.load_entry_points(group)

    assert (plugins.names, plugins.faults) == (("good_plugin", "damaged", "repaired"), ())
