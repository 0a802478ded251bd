"""The pages about doctor: its five outputs, made here, and every check and text in both languages.

With ``PAYME_WRITE_PAGES=1`` in the environment the outputs are written into the page instead of compared.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import socket
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.pofile import read_po

from faults.full_disk import full_disk
from payme_plugin.doctor import Check, Level
from payme_plugin.locale import message
from payme_plugin.sandbox import Sandbox
from tests.command.conftest import KEY, environment
from tests.command.conftest import payme as run

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme

    from tests.command.conftest import Ended
    from tests.doctor.conftest import Till

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "doctor.md"
RUSSIAN_PAGE = ROOT / "docs" / "ru" / "doctor.md"
CONF = "/linuxcash/cash/conf/payme.go.conf"
FOLDER = "/linuxcash/cash/data/payme"
PACKAGES = "/usr/lib/python3/dist-packages"


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of any length leave the lines as they are on the page."""
    monkeypatch.setenv("COLUMNS", "1000")


def options(till: Till) -> tuple[str, ...]:
    return ("--conf", str(till.conf), "--data-dir", str(till.folder))


def doctor(till: Till) -> Ended:
    till.folder.mkdir(mode=0o700)
    return run(*options(till), "doctor")


def at_the_sandbox(till: Till) -> Ended:
    with Sandbox(pos_key=KEY) as sandbox:
        till.configure(sandbox.url, posId=sandbox.pos_id)
        return doctor(till)


def with_a_wrong_key(till: Till) -> Ended:
    with Sandbox(pos_key="another") as sandbox:
        till.configure(sandbox.url, posId=sandbox.pos_id)
        return doctor(till)


def with_a_full_disk(till: Till) -> Ended:
    with Sandbox(pos_key=KEY) as sandbox:
        till.configure(sandbox.url, posId=sandbox.pos_id)
        till.folder.mkdir(mode=0o700)
        with full_disk():
            return run(*options(till), "doctor")


@pytest.fixture
def with_an_expired_certificate(authority: trustme.CA, ca_file: Path, tmp_path: Path) -> Callable[[Till], Ended]:
    now, day = dt.datetime.now(dt.timezone.utc), dt.timedelta(days=1)
    certificate = authority.issue_cert("127.0.0.1", not_before=now - 2 * day, not_after=now - day)
    pem = tmp_path / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(pem))

    def doctored(till: Till) -> Ended:
        with Sandbox(pos_key=KEY, certfile=pem) as sandbox:
            till.configure(sandbox.url, posId=sandbox.pos_id, caFile=ca_file)
            return doctor(till)

    return doctored


@pytest.fixture
def without_a_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[Till], Ended]:
    """What the system says of a name without a network; the test below has it said by a system without one."""

    def look_up(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def doctored(till: Till) -> Ended:
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        till.configure("https://checkout.paycom.uz/api")
        return doctor(till)

    return doctored


def made_alike(output: str, till: Till) -> str:
    """Return an output as any machine would have it."""
    for found, shown in (
        (str(till.conf), CONF),
        (str(till.folder), FOLDER),
        ("/linuxcash/cash/reports/payme.xml", "the shipped template"),
        (str(next(each.locate_file("") for each in distributions(name="payme-plugin"))), PACKAGES),
        (str(ROOT), PACKAGES),
    ):
        output = output.replace(found, shown)
    for pattern, shown in (
        (r"port \d+", "port 8765"),
        (r"\d+ MiB free", "41300 MiB free"),
    ):
        output = re.sub(pattern, shown, output)
    return output


def shown_on_the_page(title: str) -> str:
    return PAGE.read_text(encoding="utf-8").partition(f"<!-- output: {title} -->\n")[2].partition("<!-- end -->")[0]


def compare_or_write(title: str, output: str) -> None:
    block = f"\n```text\n{output}```\n\n"
    if os.environ.get("PAYME_WRITE_PAGES"):
        begin = f"<!-- output: {title} -->\n"
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(text.replace(begin + shown_on_the_page(title), begin + block), encoding="utf-8")
    assert shown_on_the_page(title) == block


@pytest.mark.parametrize(
    ("title", "doctored", "code", "said"),
    [
        ("sandbox", at_the_sandbox, 0, "ok       key        "),
        ("wrong key", with_a_wrong_key, 1, "fault    key        "),
        ("full disk", with_a_full_disk, 1, "fault    disk       "),
    ],
    ids=["sandbox", "wrong-key", "full-disk"],
)
def test_the_output_on_the_page_is_the_commands_own(
    till: Till, title: str, doctored: Callable[[Till], Ended], code: int, said: str
) -> None:
    ended = doctored(till)

    assert (ended.code, ended.err) == (code, "")
    assert f"\n{said}" in ended.out
    compare_or_write(title, made_alike(ended.out, till))


@pytest.mark.parametrize(
    ("title", "fixture", "said"),
    [
        ("expired certificate", "with_an_expired_certificate", "fault    tls        "),
        ("no network", "without_a_network", "fault    name       "),
    ],
    ids=["expired-certificate", "no-network"],
)
def test_the_output_of_a_broken_way_on_the_page_is_the_commands_own(
    till: Till, request: pytest.FixtureRequest, title: str, fixture: str, said: str
) -> None:
    ended = request.getfixturevalue(fixture)(till)

    assert (ended.code, ended.err) == (1, "")
    assert f"\n{said}" in ended.out
    compare_or_write(title, made_alike(ended.out, till))


_ALONE = ("unshare", "--user", "--map-root-user")
_COMMAND = (sys.executable, "-c", "from payme_plugin.cli import main; main(prog_name='payme')")


def doctor_alone(till: Till, kind: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run the doctor with a network or a tree of mounts of its own, after a line of shell in there."""
    try:
        able = subprocess.run([*_ALONE, kind, "true"], check=False, capture_output=True).returncode == 0  # noqa: S603
    except FileNotFoundError:
        able = False
    if not able:
        pytest.skip("this machine lets nobody have a network or mounts of his own")
    return subprocess.run(  # noqa: S603 - our own command
        [*_ALONE, kind, "sh", "-ec", f'{before}\nexec "$@"', "sh", *_COMMAND, *options(till), "doctor"],
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        check=False,
        timeout=60,
    )


def test_a_machine_without_a_network_says_what_the_page_shows(till: Till) -> None:
    till.configure("https://checkout.paycom.uz/api")
    ended = doctor_alone(till, "--net")

    assert (ended.returncode, ended.stderr) == (1, "")
    assert "fault    name       checkout.paycom.uz can't be looked up: " in ended.stdout
    assert "connection not reached; the last step was name" in ended.stdout


def test_a_disk_that_is_full_to_the_last_byte_says_what_the_page_shows(till: Till) -> None:
    till.folder.mkdir(mode=0o700)
    till.configure("http://127.0.0.1:1/api")
    disk = (
        f'mount -t tmpfs -o size=128k,mode=700 none "{till.folder}"; cat /dev/zero > "{till.folder}/fill" 2>&- || true'
    )
    ended = doctor_alone(till, "--mount", disk)

    assert (ended.returncode, ended.stderr) == (1, "")
    assert f"\nfault    disk       The disk of {till.folder} is full: no payment can" in ended.stdout


# ---------------------------------------------------------------------------------------------------------------------
# Both pages
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "language"), [(PAGE, "en"), (RUSSIAN_PAGE, "ru")], ids=["en", "ru"])
def test_every_check_and_every_level_is_in_its_table(page: Path, language: str) -> None:
    text = page.read_text(encoding="utf-8")
    levels = [message(f"doctor.level.{each.value}").text(language) for each in Level]

    assert [each for each in (*(check.value for check in Check), *levels) if f"\n| `{each}` | " not in text] == []


def test_the_catalogue_has_the_texts_that_doctor_names_and_no_others() -> None:
    files = [*(ROOT / "payme_plugin/doctor").glob("*.py"), ROOT / "payme_plugin/cli/doctor.py"]
    sources = "".join(file.read_text(encoding="utf-8") for file in files)
    named = {key for key in re.findall(r'"(doctor\.[a-z_.-]+)"', sources) if not key.endswith(".remedy")}
    named |= {f"doctor.level.{each.value}" for each in Level}
    needs_remedy = set(re.findall(r'Finding\.(?:fault|warning)\(\s*"(doctor\.[a-z_.-]+)"', sources))
    with (ROOT / "payme_plugin/locale/en/LC_MESSAGES/doctor.po").open("rb") as file:
        known = {str(each.id) for each in read_po(file) if each.id}
    remedies = {key for key in known if key.endswith(".remedy")}

    assert known - remedies == named
    assert {f"{key}.remedy" for key in needs_remedy} <= remedies
    assert {key.removesuffix(".remedy") for key in remedies} <= named
