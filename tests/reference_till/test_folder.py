from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from hookspecs import QueueMessage
from payme_plugin.till import FolderUnusable, TillBusy, reference_identity
from payme_plugin.till.host import PAYMENT_TYPE

if TYPE_CHECKING:
    from tests.reference_till.conftest import ScriptedPlugin, TillFolder

pytestmark = pytest.mark.floor


def test_two_commands_never_work_at_one_till_at_a_time(shop: TillFolder) -> None:
    with shop.till(), pytest.raises(TillBusy, match=str(shop.folder)), shop.till():
        pass
    with shop.till():
        pass


@pytest.mark.parametrize("below", ["", "deeper"], ids=["the folder is a file", "a folder above it is a file"])
def test_a_folder_that_can_not_be_used_is_named(shop: TillFolder, plugin: ScriptedPlugin, below: str) -> None:
    shop.folder.write_text("a file", encoding="utf-8")
    shop.folder = shop.folder / below
    with pytest.raises(FolderUnusable, match=str(shop.folder)), shop.till():
        pass
    assert not hasattr(plugin, "host"), "no hook was called"


def test_the_plugin_payme_has_the_tills_folder_and_any_other_one_of_its_own(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    with shop.till() as till:
        host = plugin.host
        identity = till.identity

    assert host.data_dir("payme") == shop.folder
    assert host.data_dir("another") == shop.folder / "another"
    assert identity == host.identity == reference_identity() == f"reference-till@{platform.node()}"


def test_the_till_gives_itself_the_number_of_its_tender_and_shows_its_settings_in_no_repr(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    till = shop.till()
    till.settings = {"posKey": "canary-key"}
    with till:
        host = plugin.host

        assert dict(host.settings("payme")) == {"paymentType": str(PAYMENT_TYPE), "posKey": "canary-key"}
        assert dict(host.settings("another")) == {}
        assert (host.language, host.slip_width) == ("ru", 32)
        assert "canary-key" not in repr(till) + repr(host)


def test_notices_reach_the_person_and_messages_no_queue(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    with shop.till():
        plugin.host.notice("payme.settings", "frequency is wrong")
        plugin.host.notice("payme.queue", None)
        assert not plugin.host.enqueue(QueueMessage(message_id="m", kind="payme.cancel", body="{}", created_at=0))

    assert shop.notices == {"payme.settings": "frequency is wrong", "payme.queue": None}


def test_plugins_are_stopped_also_when_the_till_ends_by_an_error(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    with pytest.raises(KeyboardInterrupt), shop.till():
        raise KeyboardInterrupt
    assert plugin.is_stopped
