"""The pages about the doctor: its five outputs, made here, and every check in both languages.

With ``PAYME_WRITE_PAGES=1`` in the environment the outputs are written into the page instead of compared.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from full_disk import full_disk
from payme_plugin.doctor import Check, Level
from payme_plugin.sandbox import Sandbox
from tests.cli.conftest import KEY, environment
from tests.cli.conftest import payme as run

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme

    from tests.cli.conftest import Ended
    from tests.doctor.conftest import Till

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "doctor.md"
RUSSIAN_PAGE = ROOT / "docs" / "ru" / "doctor.md"
CONF = "/linuxcash/cash/conf/payme.go.conf"
FOLDER = "/linuxcash/cash/data/payme"


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
        (str(ROOT), "/usr/lib/python3/dist-packages"),
    ):
        output = output.replace(found, shown)
    for pattern, shown in (
        (r"port \d+", "port 8765"),
        (r"answers \(\d+ ms\)", "answers (1 ms)"),
        (r"takes \d+ ms, with a new connection \d+ ms", "takes 2 ms, with a new connection 5 ms"),
        (r"[\d.]+ [GM]iB free", "41.3 GiB free"),
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
        ("sandbox", at_the_sandbox, 0, "ok       key "),
        ("wrong key", with_a_wrong_key, 1, "fault    key "),
        ("full disk", with_a_full_disk, 1, "fault    disk "),
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
        ("expired certificate", "with_an_expired_certificate", "fault    tls "),
        ("no network", "without_a_network", "fault    name "),
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
    assert "fault    name            The server is not found: can't look up checkout.paycom.uz: " in ended.stdout
    assert "connection      the way to the server ends at: name" in ended.stdout


def test_a_disk_that_is_full_to_the_last_byte_says_what_the_page_shows(till: Till) -> None:
    till.folder.mkdir(mode=0o700)
    till.configure("http://127.0.0.1:1/api")
    disk = (
        f'mount -t tmpfs -o size=128k,mode=700 none "{till.folder}"; cat /dev/zero > "{till.folder}/fill" 2>&- || true'
    )
    ended = doctor_alone(till, "--mount", disk)

    assert (ended.returncode, ended.stderr) == (1, "")
    assert f"\nfault    disk            The disk of {till.folder} is full, 0 MiB free: no payment can" in ended.stdout


# ---------------------------------------------------------------------------------------------------------------------
# Both pages
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [PAGE, RUSSIAN_PAGE], ids=["en", "ru"])
@pytest.mark.parametrize("names", [Check, Level], ids=["checks", "levels"])
def test_every_check_and_every_level_is_in_its_table(page: Path, names: type[Check | Level]) -> None:
    text = page.read_text(encoding="utf-8")

    assert all(f"\n| `{each.value}` | " in text for each in names)


def test_what_the_technicians_page_explains_is_what_the_command_says() -> None:
    page = RUSSIAN_PAGE.read_text(encoding="utf-8").partition("## Что написано и что это значит")[2]
    explained = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    sources = "".join(
        file.read_text(encoding="utf-8")
        for folder in ("doctor", "paymego")
        for file in (ROOT / "payme_plugin" / folder).glob("*.py")
    )

    assert len(explained) > 10
    assert [words for words in explained if words not in sources] == []
