"""The pages about doctor have its five outputs, and every check and text in both languages.

With ``PAYME_WRITE_PAGES=1`` in the environment the outputs are written into the page instead of compared.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from contextlib import nullcontext
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.pofile import read_po

from faults.full_disk import full_disk
from payme_plugin.doctor import Check, Level
from payme_plugin.locale import message
from payme_plugin.sandbox import Sandbox
from tests.command.conftest import KEY, command_line, environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.doctor.conftest import DoctorTill

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "doctor.md"
RUSSIAN_PAGE = ROOT / "docs" / "ru" / "doctor.md"
CONF = "/linuxcash/cash/conf/payme.go.conf"
FOLDER = "/linuxcash/cash/data/payme"
PACKAGES = "/usr/lib/python3/dist-packages"


def made_alike(output: str, till: DoctorTill) -> str:
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
    ("title", "code", "line"),
    [
        ("sandbox", 0, "ok       key        "),
        ("wrong key", 1, "fault    key        "),
        ("full disk", 1, "fault    disk       "),
        ("expired certificate", 1, "fault    tls        "),
        ("no network", 1, "fault    name       "),
    ],
)
def test_the_output_on_the_page_is_the_commands_own(
    till: DoctorTill,
    certificate: Callable[..., Path],
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    title: str,
    code: int,
    line: str,
) -> None:
    till.folder.mkdir(mode=0o700)
    is_expired = title == "expired certificate"
    key, certfile = "another" if title == "wrong key" else KEY, certificate("127.0.0.1", days=-1)
    with Sandbox(pos_key=key, certfile=certfile if is_expired else None) as sandbox:
        till.configure(url=sandbox.url, **({"caFile": ca_file} if is_expired else {}))
        if title == "no network":
            monkeypatch.setattr(socket, "getaddrinfo", fail_to_look_up)
            till.configure(url="https://checkout.paycom.uz/api")
        with full_disk() if title == "full disk" else nullcontext():
            ended = till.run("doctor")

    assert (ended.code, ended.err) == (code, "")
    assert f"\n{line}" in ended.out
    compare_or_write(title, made_alike(ended.out, till))


def fail_to_look_up(*_: object, **__: object) -> list[object]:
    """Fail as the system does without a network; the test below has a system without one."""
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def test_a_machine_without_a_network_and_with_a_full_disk_says_what_the_page_shows(till: DoctorTill) -> None:
    till.folder.mkdir(mode=0o700)
    till.configure(url="https://checkout.paycom.uz/api")
    isolated = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*isolated, "true"], check=False).returncode != 0:  # noqa: S603
        pytest.skip("this machine lets nobody have a network or mounts of his own")
    fill = 'mount -t tmpfs -o size=128k,mode=700 none "$1"; cat /dev/zero >"$1/fill" 2>&- || true; shift; exec "$@"'
    ended = subprocess.run(  # noqa: S603 - our own command
        [*isolated, "sh", "-ec", fill, "sh", str(till.folder), *command_line(*till.options, "doctor")],
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        check=False,
        timeout=60,
    )

    assert (ended.returncode, ended.stderr) == (1, "")
    assert f"\nfault    disk       The disk of {till.folder} is full: no payment can" in ended.stdout
    assert "fault    name       checkout.paycom.uz can't be looked up: " in ended.stdout
    assert "connection not reached; the last step was name" in ended.stdout


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
    # The package brings no pages: a text names none.
    assert not [key for key in known if re.search(r"\bdocs/|\.md\b", message(key).text("en"))]
    assert {f"{key}.remedy" for key in needs_remedy} <= remedies
    assert {key.removesuffix(".remedy") for key in remedies} <= named
