"""In a zip or frozen host, the plugin finds every packaged file, and the host sells."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.sandbox import Sandbox
from payme_plugin.texts import NO_TEXTS, Text, Texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOST = Path(__file__).with_name("host.py")
LIBRARIES = Path(pytest.__file__).parents[1]
LONGEST_PLAIN_SLIP = 10
BARE_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {
    "PYTHONUTF8": "1"
}


@pytest.fixture
def zipped(built: Path) -> Path:
    """The three packages in a zip: a wheel is one."""
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def sell(host: Sequence[str], sandbox: Sandbox, folder: Path) -> tuple[dict[str, Any], str]:
    """Let a host sell once; return what it says of its sale, and its log."""
    settings = {"url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": "7"}
    ran = subprocess.run(  # noqa: S603 - a host of these tests
        [*host, json.dumps(settings), str(folder), sandbox.issue_code()],
        capture_output=True,
        check=False,
        cwd=folder,
        encoding="utf-8",
        env=BARE_ENVIRONMENT,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout), ran.stderr


def assert_sold_with_all_its_data(sold: dict[str, Any], log: str, sandbox: Sandbox) -> None:
    assert (sold["status"], sold["faults"]) == ("PAID", [])
    assert sold["message"] == Texts("ru")(Text.PAYMENT_PAID)
    assert "15 000.00" in "\n".join(sold["slip"])
    assert len(sold["slip"]) > LONGEST_PLAIN_SLIP, "the shipped template was rendered"
    assert "ERROR" not in log
    assert sandbox.held() == 1_500_000


def from_zip(wheel: Path) -> str:
    """Return the beginning of a program that has the packages from a zip, the libraries from their folder."""
    return f"import sys; sys.path[:0] = [{str(wheel)!r}, {str(LIBRARIES)!r}]; "


def host_from_zip(wheel: Path) -> list[str]:
    run_host = f"{from_zip(wheel)}import runpy; runpy.run_path({str(HOST)!r}, run_name='__main__')"
    return [sys.executable, "-S", "-c", run_host]


def test_a_host_that_has_the_plugin_in_a_zip_sells(zipped: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    sold, log = sell(host_from_zip(zipped), sandbox, tmp_path)

    assert sold["home"].startswith(str(zipped))
    assert_sold_with_all_its_data(sold, log, sandbox)


def test_every_packaged_file_is_read_from_a_zip(zipped: Path) -> None:
    read_all = """
from threading import Event
from payme_plugin.doctor.installation import check_imports, look_at_data
from payme_plugin.sandbox import Sandbox
from payme_plugin.sandbox.app import App
from payme_plugin.sandbox.http_server import Request
from slips import LANGUAGES, SlipRenderer, sample_data
from slips.image import draw
assert look_at_data() == (), look_at_data()
assert all(each.level.value == "ok" for each in check_imports()), check_imports()
renderer = SlipRenderer()
renderer.warm_up()
assert all(".whl/slips/" in renderer.load(None, language).source for language in LANGUAGES)
assert draw(renderer.fill(renderer.load(None), sample_data("pay")), 32)[1:4] == b"PNG"
app = App(Sandbox(), Event())
pages = [app.answer(Request("GET", path, {}, b"", 0)) for path in ("/", "/phone", "/static/dashboard.js")]
assert all(page.status == 200 and page.body for page in pages), pages
"""
    subprocess.run([sys.executable, "-S", "-c", from_zip(zipped) + read_all], check=True, timeout=60)  # noqa: S603


@pytest.mark.parametrize(
    ("lost", "message"),
    [(".mo", NO_TEXTS), (".xml", Texts("ru")(Text.PAYMENT_PAID)), (".xsd", Texts("ru")(Text.PAYMENT_PAID))],
    ids=["texts", "templates", "schemas"],
)
def test_lost_data_is_named_in_the_log_and_no_cashier_reads_a_key(
    zipped: Path, sandbox: Sandbox, tmp_path: Path, lost: str, message: str
) -> None:
    less = tmp_path / "less.whl"
    with zipfile.ZipFile(zipped) as whole, zipfile.ZipFile(less, "w") as part:
        for name in whole.namelist():
            if not name.endswith(lost):
                part.writestr(name, whole.read(name))

    sold, log = sell(host_from_zip(less), sandbox, tmp_path)

    assert (sold["status"], sold["message"]) == ("PAID", message)
    assert "15 000.00" in "\n".join(sold["slip"])
    assert re.search(rf"^ERROR:payme:.*less\.whl/\S+{re.escape(lost)}", log, re.MULTILINE)


@pytest.mark.pyinstaller
@pytest.mark.parametrize("kind", ["onedir", "onefile"])
def test_a_host_frozen_by_pyinstaller_sells(zipped: Path, sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    with zipfile.ZipFile(zipped) as wheel:
        wheel.extractall(tmp_path / "installed")
    build = [sys.executable, "-m", "PyInstaller", f"--{kind}", "--distpath", "dist", "--name", "host", str(HOST)]
    made = subprocess.run(  # noqa: S603 - our own interpreter
        build,
        capture_output=True,
        check=False,
        cwd=tmp_path,
        encoding="utf-8",
        env=BARE_ENVIRONMENT | {"PYTHONPATH": str(tmp_path / "installed"), "PYINSTALLER_CONFIG_DIR": str(tmp_path)},
        timeout=250,
    )
    assert made.returncode == 0, made.stderr
    host = tmp_path / ("dist/host/host" if kind == "onedir" else "dist/host")

    sold, log = sell([str(host)], sandbox, tmp_path)

    assert not Path(sold["home"]).is_relative_to(tmp_path / "installed")
    assert_sold_with_all_its_data(sold, log, sandbox)
