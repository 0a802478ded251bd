"""The life of a till on a clean Debian 12 in Russian, from the module that the package replaces to the last purge."""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from payme_plugin.sandbox import Behaviour, BuyerAction
from tests.package.debian.conftest import (
    CONF,
    DATA,
    HOST_SCRIPT,
    JOURNAL,
    KEY,
    ROOT,
    SWITCH,
    TEMPLATE,
    done,
    repacked,
    run,
)
from tests.package.debian.terminal import at_terminal

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.package.debian.conftest import Ended, Repository

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(900)]

REPLACED = "4.6.246"
CASHIER = 1000
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "ru_RU.UTF-8"}
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}
OLD_TEMPLATE = '<report><text align="center">PAYME</text></report>\n'
OLD_SETTINGS = """[Main]
; Настройки процессинга PaymeGo
url = "{url}"
posId = "{pos_id}"
posKey = "{pos_key}"
;frequency = 10000
"""
# It shares the kernel's processes, terminals and loopback address with this machine, and nothing else.
IN_ROOT = (
    'root=$1; shift; for folder in proc dev dev/pts; do mount --bind "/$folder" "$root/$folder"; done; '
    'exec chroot "$root" "$@"'
)


class File(NamedTuple):
    """What a test compares of a file."""

    mode: int
    owner: int
    content: bytes


@dataclass(frozen=True)
class CleanRoot:
    """A Debian 12 in a folder, with a repository on its disk."""

    folder: Path

    def command(self, *words: str) -> list[str]:
        return [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-c",
            IN_ROOT,
            "root",
            str(self.folder),
            *words,
        ]

    def run(self, *words: str, stdin: str = "") -> Ended:
        return run(*self.command(*words), stdin=stdin, environment=ENVIRONMENT | QUIET)

    def done(self, *words: str, stdin: str = "") -> str:
        """Run a command that must succeed; return all that it says."""
        ended = self.run(*words, stdin=stdin)
        assert ended.code == 0, f"{words}\n{ended.out}\n{ended.err}"
        return ended.out + ended.err

    def path(self, path: Path) -> Path:
        return self.folder / path.relative_to("/")

    def files(self) -> dict[Path, File]:
        """The files below ``/linuxcash``."""
        found = {}
        for path in self.path(Path("/linuxcash")).rglob("*"):
            if path.is_file():
                facts = path.stat()
                inside = Path("/") / path.relative_to(self.folder)
                found[inside] = File(stat.S_IMODE(facts.st_mode), facts.st_uid, path.read_bytes())
        return found

    def version(self) -> str:
        """What dpkg says of the package: its state and version; empty if it knows nothing of it."""
        ended = self.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "artix-payme")
        return ended.out if ended.code == 0 else ""

    def has_python(self) -> bool:
        return self.path(Path("/usr/bin/python3")).exists()

    def sell(self, code: str, *words: str) -> Any:  # noqa: ANN401 - JSON
        ended = self.run("/usr/bin/python3", "-I", "/till_host.py", code, *words)
        assert ended.code == 0, ended.err
        return ended.document


@dataclass
class Life:
    """What was seen after each step."""

    files: dict[str, dict[Path, File]] = field(default_factory=dict)
    version: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def see(self, step: str, root: CleanRoot, said: str) -> None:
        self.files[step], self.version[step], self.said[step] = root.files(), root.version(), said


# ---------------------------------------------------------------------------------------------------------------------
# What happens
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clean_root(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> CleanRoot:
    """Return a clean Debian 12 that sees the package, a later version of it, and the module that it replaces."""
    folder = tmp_path_factory.mktemp("root")
    prepared = Path(os.environ.get("PAYME_CLEAN_ROOT", folder / "prepared"))
    done("bash", str(ROOT / ".ci/root"), str(prepared))
    done("cp", "-a", str(prepared), str(folder / "till"))
    root = CleanRoot(folder / "till")
    shutil.copy2(HOST_SCRIPT, root.folder / "till_host.py")
    packages = root.folder / "packages"
    # The packages of Debian that it needs are served too: aptitude takes seconds to read the lists of all Debian.
    shutil.move(root.folder / "var/cache/apt/archives", packages)
    (root.folder / "etc/apt/sources.list").unlink()
    shutil.rmtree(root.folder / "var/lib/apt/lists")
    built = repository.package(repository.version)
    shutil.copy2(built, packages)
    later = repacked(
        built, packages, f"{repository.version}+1", {"usr/share/artix-payme/payme.xml": "<!-- later -->\n"}
    )
    # A version whose unpacking fails, because another package has its file.
    repacked(later, packages, f"{repository.version}~broken", {"usr/bin/aptitude-curses": "\n"})
    build_replaced(packages)
    (packages / "Packages").write_text(done("apt-ftparchive", "packages", ".", cwd=packages), encoding="utf-8")
    # The source that the page for technicians shows, with a folder instead of a server.
    page = (ROOT / "docs/ru/install.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"(?ms)^```text\n(Types: .*?)^```$", page)
    source = re.sub(r"(?m)^URIs: .*$", "URIs: file:/packages", source)
    source = re.sub(r"(?m)^Signed-By: .*$", "Trusted: yes", source)
    (root.folder / "etc/apt/sources.list.d/payme.sources").write_text(source, encoding="utf-8")
    root.done("apt-get", "update")
    return root


def build_replaced(packages: Path) -> None:
    """Build a stand-in for the module that the package replaces: its settings and its template are conffiles."""
    tree = packages.parent / "replaced"
    contents = {
        "DEBIAN/control": (
            f"Package: artix-payme\nVersion: {REPLACED}\nArchitecture: all\n"
            "Maintainer: somebody <somebody@example.org>\nDescription: stand-in\n"
        ),
        "DEBIAN/conffiles": f"{CONF}\n{TEMPLATE}\n",
        str(CONF)[1:]: OLD_SETTINGS.format(url="http://localhost", pos_id="id", pos_key="key"),
        str(TEMPLATE)[1:]: OLD_TEMPLATE,
        "usr/lib/artix/libpayme.so": "code\n",
    }
    for name, text in contents.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    done("dpkg-deb", "--root-owner-group", "-b", str(tree), str(packages / f"artix-payme_{REPLACED}_all.deb"))


@pytest.fixture(scope="module")
def life(clean_root: CleanRoot, sandbox: Sandbox, repository: Repository) -> Life:
    life, root = Life(), clean_root
    use_the_replaced_module(root, sandbox)
    life.see("replaced", root, "")
    broken = root.run("aptitude", "-y", "install", f"artix-payme=1:{repository.version}~broken")
    life.see("failed", root, broken.out + broken.err)

    replies = [
        ("Номер типа оплаты Payme:", "семь"),
        ("Адрес сервера PaymeGO:", ""),
        ("Код кассы Payme (posId):", ""),
        ("Ключ кассы Payme (posKey):", ""),
        ("Номер типа оплаты Payme:", "7"),
    ]
    terminal = ENVIRONMENT | {"DEBIAN_FRONTEND": "readline"}
    install = root.command("aptitude", "-y", "install", f"artix-payme=1:{repository.version}")
    life.see("installed", root, at_terminal(install, replies, terminal, within_s=300))
    life.facts["conffiles"] = root.done("dpkg-query", "-W", "-f", "${Conffiles}", "artix-payme")

    replaced = f"/packages/artix-payme_{REPLACED}_all.deb"
    root.done("dpkg", "--force-confnew", "-i", replaced)
    root.path(CONF).write_bytes(life.files["installed"][CONF].content)
    life.see("back", root, "")
    life.see("again", root, root.done("dpkg", "-i", f"/packages/artix-payme_{repository.version}_all.deb"))

    answers = "paymentType string 8\nartix-payme artix-payme/url string http://example.com/api\n"
    root.done("debconf-set-selections", stdin=f"artix-payme artix-payme/{answers}")
    life.see("reconfigured", root, root.done("dpkg-reconfigure", "artix-payme"))
    life.facts["sale"] = root.sell(sandbox.issue_code(), "close")

    root.path(SWITCH).write_text("[plugins]\npayme = on\n; mine\n", encoding="utf-8")
    life.see("sold", root, "")
    life.see("upgraded", root, root.done("aptitude", "-y", "install", "artix-payme"))

    template = root.path(TEMPLATE)
    template.write_text(template.read_text(encoding="utf-8") + "<!-- mine -->\n", encoding="utf-8")
    owe(root, sandbox)
    life.see("owing", root, "")
    refused = root.run("apt-get", "-y", "purge", "artix-payme", "python3")
    life.facts["refused"] = refused.code, root.has_python()
    life.see("refused", root, refused.out + refused.err)
    life.facts["held"] = sandbox.held()
    root.done("payme", "queue", "deliver", "--until-empty")
    life.facts["returned"] = life.facts["held"] - sandbox.held()

    life.see("purged", root, root.done("apt-get", "-y", "purge", "artix-payme", "python3", "python3-minimal"))
    life.facts["python"] = root.has_python()
    return life


def use_the_replaced_module(root: CleanRoot, sandbox: Sandbox) -> None:
    root.done("aptitude", "-y", "install", f"artix-payme={REPLACED}")
    settings = OLD_SETTINGS.format(url=sandbox.url, pos_id=sandbox.pos_id, pos_key=KEY)
    root.path(CONF).write_text(settings, encoding="utf-8")
    root.path(TEMPLATE).write_text(OLD_TEMPLATE.replace("PAYME", "МАГАЗИН"), encoding="utf-8")
    os.chown(root.path(CONF).parent, CASHIER, CASHIER)


def owe(root: CleanRoot, sandbox: Sandbox) -> None:
    """Charge a buyer after the payment ended without a result; no worker carries out its cancellation."""
    root.done("payme", "settings", "set", "runWorker=0", "payDuration=1000", "frequency=100", "timeout=1")
    code = sandbox.issue_code(Behaviour(BuyerAction.NEVER_ANSWERS))
    assert root.sell(code)["status"] == "UNKNOWN"
    assert sandbox.buyer_answers(code, confirms=True)


# ---------------------------------------------------------------------------------------------------------------------
# What must hold
# ---------------------------------------------------------------------------------------------------------------------


def settings_of(life: Life, step: str) -> dict[str, str]:
    text = life.files[step][CONF].content.decode()
    return dict(re.findall(r'(?m)^(\w+) = "?(.*?)"?$', text))


def test_the_package_replaces_a_module_of_a_higher_version(life: Life, repository: Repository) -> None:
    assert life.version["replaced"] == f"ii {REPLACED}"
    assert life.version["installed"] == f"ii 1:{repository.version}"
    assert Path("/usr/lib/artix/libpayme.so") not in life.files["installed"]


def test_an_installation_that_fails_gives_the_replaced_module_its_files_back(life: Life) -> None:
    assert life.version["failed"] == f"ii {REPLACED}"
    assert life.files["failed"] == life.files["replaced"]


def test_the_replaced_modules_settings_keep_their_keys_and_belong_to_the_till_alone(life: Life) -> None:
    before, after = settings_of(life, "replaced"), settings_of(life, "installed")

    assert after == before | {"paymentType": "7"}
    assert life.files["installed"][CONF].mode == 0o600
    assert life.files["installed"][CONF].owner == CASHIER
    assert life.facts["conffiles"].strip() == ""


def test_after_the_replaced_module_came_back_it_is_replaced_again_and_no_template_is_lost(life: Life) -> None:
    assert life.version["back"] == f"ii {REPLACED}"
    before, after = life.files["installed"], life.files["again"]
    kept = [file.content for path, file in after.items() if path.name.startswith("payme.xml.replaced")]

    assert (after[CONF], after[TEMPLATE], after[SWITCH]) == (before[CONF], before[TEMPLATE], before[SWITCH])
    assert sorted(kept) == sorted([OLD_TEMPLATE.encode(), life.files["replaced"][TEMPLATE].content])


def test_a_bad_answer_is_asked_again_in_russian(life: Life) -> None:
    assert "Такие ответы не подходят" in life.said["installed"]
    assert KEY not in life.said["installed"]


def test_a_template_for_another_program_is_kept_beside_ours_with_a_notice(life: Life) -> None:
    kept = Path(f"{TEMPLATE}.replaced")

    assert life.files["installed"][kept] == life.files["replaced"][TEMPLATE]
    assert life.files["installed"][TEMPLATE].content == (ROOT / "slips/payme.xml").read_bytes()
    assert f"прежний шаблон слипа не подходит и сохранён как {kept}" in life.said["installed"]


def test_where_nobody_is_asked_a_bad_answer_costs_no_good_one(life: Life) -> None:
    assert settings_of(life, "reconfigured") == settings_of(life, "installed") | {"paymentType": "8"}
    assert re.search(r"(?m)url.*http://example\.com/api", life.said["reconfigured"])


def test_the_till_sells(life: Life) -> None:
    assert life.facts["sale"]["status"] == "PAID"
    assert life.facts["sale"]["tender"] == 8


def test_an_upgrade_replaces_what_was_not_edited_and_keeps_the_rest(life: Life) -> None:
    before, after = life.files["sold"], life.files["upgraded"]

    assert b"<!-- later -->" in after.pop(TEMPLATE).content
    del before[TEMPLATE]
    assert after == before


def test_a_purge_is_refused_whole_while_money_is_owed(life: Life) -> None:
    code, has_python = life.facts["refused"]

    assert code != 0
    assert has_python
    assert "пакет не удалён: покупателям не возвращены деньги, оплат: 1." in life.said["refused"]
    assert "payme queue deliver --until-empty" in life.said["refused"]
    assert life.version["refused"] == life.version["upgraded"]
    assert life.files["refused"] == life.files["owing"]


def test_the_refused_purge_succeeds_after_the_delivery_also_where_python_goes_with_the_package(life: Life) -> None:
    assert life.facts["returned"] == 1_500_000
    assert not life.facts["python"]
    assert life.version["purged"] == ""


def test_the_purge_names_what_it_deleted_and_keeps_the_templates_of_the_replaced_module(life: Life) -> None:
    deleted, kept = (
        {Path(path) for path in re.findall(rf"artix-payme: {word}: (\S+)", life.said["purged"])}
        for word in ("удалено", "оставлено")
    )
    files = life.files["refused"]

    assert JOURNAL in files
    assert kept == {path for path in files if path.name.startswith("payme.xml.replaced")} == set(life.files["purged"])
    assert deleted == {DATA, *(path for path in files if path.parent != DATA)} - kept
