"""A till in Russian, from the module that the package replaces to a purge that is refused while money is owed."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.sandbox import Behaviour, BuyerAction
from tests.package.debian.conftest import CONF, DATA, JOURNAL, KEY, ROOT, SWITCH, TEMPLATE, done, new_till, repacked
from tests.package.debian.terminal import at_terminal

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.package.debian.conftest import Build, DebianTill, File

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(900)]

REPLACED = "4.6.246"
CASHIER = 1000
PYTHON = "/usr/bin/python3"
OLD_CODE = "/usr/lib/artix/libpayme.so"
OLD_TEMPLATE = '<report><text align="center">PAYME</text></report>\n'
OLD_SETTINGS = """[Main]
; Настройки процессинга PaymeGo
url = "{url}"
posId = "{pos_id}"
posKey = "{pos_key}"
;frequency = 10000
"""


@dataclass
class Steps:
    """What was seen after each step; of files only those below ``/linuxcash``."""

    files: dict[str, dict[Path, File]] = field(default_factory=dict)
    version: dict[str, str] = field(default_factory=dict)
    output: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def see(self, step: str, till: DebianTill, output: str = "") -> None:
        disk = till.disk("linuxcash").items()
        self.files[step] = {path: file for path, file in disk if stat.S_ISREG(file.mode)}
        self.version[step], self.output[step] = till.version(), output


# ---------------------------------------------------------------------------------------------------------------------
# What happens
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def till(build: Build, tmp_path_factory: pytest.TempPathFactory) -> DebianTill:
    """A till that has the replaced module and can get the package."""
    folder = tmp_path_factory.mktemp("replacement")
    till = new_till(folder, "ru_RU.UTF-8")
    # A version whose unpacking fails, because another package has its file.
    broken = repacked(build.package, folder, f"{build.version}~broken", {"usr/bin/aptitude-curses": "\n"})
    till.serve(build.package, broken, build_replaced(folder))
    return till


def build_replaced(folder: Path) -> Path:
    """Build a stand-in for the module that the package replaces: its settings and its template are conffiles."""
    tree = folder / "replaced"
    contents = {
        "DEBIAN/control": (
            f"Package: artix-payme\nVersion: {REPLACED}\nArchitecture: all\n"
            "Maintainer: somebody <somebody@example.org>\nDescription: stand-in\n"
        ),
        "DEBIAN/conffiles": f"{CONF}\n{TEMPLATE}\n",
        str(CONF)[1:]: OLD_SETTINGS.format(url="http://localhost", pos_id="id", pos_key="key"),
        str(TEMPLATE)[1:]: OLD_TEMPLATE,
        OLD_CODE[1:]: "code\n",
    }
    for name, text in contents.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    package = folder / f"artix-payme_{REPLACED}_all.deb"
    done("dpkg-deb", "--root-owner-group", "-b", str(tree), str(package))
    return package


@pytest.fixture(scope="module")
def steps(till: DebianTill, sandbox: Sandbox, build: Build) -> Steps:
    steps = Steps()
    use_the_replaced_module(till, sandbox)
    steps.see("replaced", till)
    broken = till.run("aptitude", "-y", "install", f"artix-payme=1:{build.version}~broken")
    steps.see("failed", till, broken.out + broken.err)

    replies = [
        ("Номер типа оплаты Payme:", "семь"),
        ("Адрес сервера PaymeGO:", ""),
        ("Код кассы Payme (posId):", ""),
        ("Ключ кассы Payme (posKey):", ""),
        ("Номер типа оплаты Payme:", "7"),
    ]
    terminal = till.environment | {"DEBIAN_FRONTEND": "readline"}
    install = till.command("aptitude", "-y", "install", f"artix-payme=1:{build.version}")
    steps.see("installed", till, at_terminal(install, replies, terminal, within_s=300))
    steps.facts["conffiles"] = till.done("dpkg-query", "-W", "-f", "${Conffiles}", "artix-payme")
    steps.facts["owner of the journal"] = till.path(DATA).stat().st_uid
    steps.facts["old code"] = till.path(OLD_CODE).exists()

    replaced = f"/packages/artix-payme_{REPLACED}_all.deb"
    till.done("dpkg", "--force-confnew", "-i", replaced)
    till.path(CONF).write_bytes(steps.files["installed"][CONF].content)
    steps.see("back", till)
    steps.see("again", till, till.done("dpkg", "-i", f"/packages/artix-payme_{build.version}_all.deb"))

    till.preseed(paymentType="8", url="http://example.com/api")
    steps.see("reconfigured", till, till.done("dpkg-reconfigure", "artix-payme"))

    owe(till, sandbox)
    steps.see("owing", till)
    refused = till.run("apt-get", "-y", "purge", "artix-payme", "python3")
    steps.facts["refused"] = refused.code, till.path(PYTHON).exists()
    steps.see("refused", till, refused.out + refused.err)
    steps.facts["held"] = sandbox.held()
    till.done("payme", "queue", "deliver", "--until-empty")
    steps.facts["returned"] = steps.facts["held"] - sandbox.held()

    steps.see("purged", till, till.done("apt-get", "-y", "purge", "artix-payme", "python3", "python3-minimal"))
    steps.facts["python"] = till.path(PYTHON).exists()
    return steps


def use_the_replaced_module(till: DebianTill, sandbox: Sandbox) -> None:
    till.done("aptitude", "-y", "install", f"artix-payme={REPLACED}")
    settings = OLD_SETTINGS.format(url=sandbox.url, pos_id=sandbox.pos_id, pos_key=KEY)
    till.path(CONF).write_text(settings, encoding="utf-8")
    till.path(TEMPLATE).write_text(OLD_TEMPLATE.replace("PAYME", "МАГАЗИН"), encoding="utf-8")
    till.path(DATA.parent).mkdir()
    for folder in (CONF.parent, DATA.parent):
        os.chown(till.path(folder), CASHIER, CASHIER)


def owe(till: DebianTill, sandbox: Sandbox) -> None:
    """Charge a buyer after the payment ended without a result; no worker delivers its cancellation."""
    till.done("payme", "settings", "set", "runWorker=0", "payDuration=1000", "frequency=100", "timeout=1")
    code = sandbox.issue_code(Behaviour(BuyerAction.NEVER_ANSWERS))
    assert till.sell(code)["status"] == "UNKNOWN"
    assert sandbox.buyer_answers(code, confirms=True)


# ---------------------------------------------------------------------------------------------------------------------
# What must hold
# ---------------------------------------------------------------------------------------------------------------------


def settings_of(steps: Steps, step: str) -> dict[str, str]:
    text = steps.files[step][CONF].content.decode()
    return dict(re.findall(r'(?m)^(\w+) = "?(.*?)"?$', text))


def test_the_package_replaces_a_module_of_a_higher_version(steps: Steps, build: Build) -> None:
    assert steps.version["replaced"] == f"ii {REPLACED}"
    assert steps.version["installed"] == f"ii 1:{build.version}"
    assert not steps.facts["old code"]


def test_an_installation_that_fails_gives_the_replaced_module_its_files_back(steps: Steps) -> None:
    assert steps.version["failed"] == f"ii {REPLACED}"
    assert steps.files["failed"] == steps.files["replaced"]


def test_the_replaced_modules_settings_keep_their_keys_and_only_the_till_may_read_them(steps: Steps) -> None:
    before, after = settings_of(steps, "replaced"), settings_of(steps, "installed")

    assert after == before | {"paymentType": "7"}
    assert stat.S_IMODE(steps.files["installed"][CONF].mode) == 0o600
    assert steps.files["installed"][CONF].owner == steps.facts["owner of the journal"] == CASHIER
    assert steps.facts["conffiles"].strip() == ""


def test_after_the_replaced_module_came_back_it_is_replaced_again_and_no_template_is_lost(steps: Steps) -> None:
    assert steps.version["back"] == f"ii {REPLACED}"
    before, after = steps.files["installed"], steps.files["again"]
    kept = [file.content for path, file in after.items() if path.name.startswith("payme.xml.replaced")]

    assert (after[CONF], after[TEMPLATE], after[SWITCH]) == (before[CONF], before[TEMPLATE], before[SWITCH])
    assert sorted(kept) == sorted([OLD_TEMPLATE.encode(), steps.files["replaced"][TEMPLATE].content])


def test_a_bad_answer_is_asked_again_in_russian(steps: Steps) -> None:
    assert "Такие ответы не подходят" in steps.output["installed"]
    assert KEY not in steps.output["installed"]


def test_a_template_for_another_program_is_kept_with_a_notice(steps: Steps) -> None:
    kept = Path(f"{TEMPLATE}.replaced")

    assert steps.files["installed"][kept] == steps.files["replaced"][TEMPLATE]
    assert steps.files["installed"][TEMPLATE].content == (ROOT / "slips/payme.xml").read_bytes()
    assert f"прежний шаблон слипа не подходит и сохранён как {kept}" in steps.output["installed"]


def test_without_questions_an_invalid_answer_does_not_replace_a_valid_one(steps: Steps) -> None:
    assert settings_of(steps, "reconfigured") == settings_of(steps, "installed") | {"paymentType": "8"}
    assert re.search(r"(?m)url.*http://example\.com/api", steps.output["reconfigured"])


def test_a_purge_is_refused_whole_while_money_is_owed(steps: Steps) -> None:
    code, has_python = steps.facts["refused"]

    assert code != 0
    assert has_python
    assert "пакет не удалён: покупателям не возвращены деньги, оплат: 1." in steps.output["refused"]
    assert "payme queue deliver --until-empty" in steps.output["refused"]
    assert steps.version["refused"] == steps.version["installed"]
    assert steps.files["refused"] == steps.files["owing"]


def test_the_refused_purge_succeeds_after_the_delivery_also_where_python_goes_with_the_package(steps: Steps) -> None:
    assert steps.facts["returned"] == 1_500_000
    assert not steps.facts["python"]
    assert steps.version["purged"] == ""


def test_the_purge_names_what_it_deleted_and_keeps_the_templates_of_the_replaced_module(steps: Steps) -> None:
    deleted, kept = (
        {Path(path) for path in re.findall(rf"artix-payme: {word}: (\S+)", steps.output["purged"])}
        for word in ("удалено", "оставлено")
    )
    files = steps.files["refused"]

    assert JOURNAL in files
    assert kept == {path for path in files if path.name.startswith("payme.xml.replaced")} == set(steps.files["purged"])
    assert deleted == {DATA, *(path for path in files if path.parent != DATA)} - kept
