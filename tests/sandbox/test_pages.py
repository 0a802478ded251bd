"""The pages and their files: what is served, and under which rules of the browser."""

from __future__ import annotations

import sys
from contextlib import closing
from http.client import HTTPConnection
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client

FILES = sorted(file.name for file in (files("payme_plugin.sandbox") / "pages").iterdir() if file.is_file())


@pytest.mark.parametrize(
    ("path", "name"), [("/", "index.html"), ("/phone", "phone.html"), ("/phone?phone=x", "phone.html")]
)
def test_the_dashboard_and_the_phone_are_pages_that_load_nothing_from_elsewhere(
    client: Client, path: str, name: str
) -> None:
    answer = client.pool.urlopen("GET", path, retries=False)

    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.data == (files("payme_plugin.sandbox") / "pages" / name).read_bytes()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; ")
    assert "unsafe" not in policy
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")


def test_the_phones_address_is_an_image_for_the_dashboard(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = client.pool.urlopen("GET", "/phone.svg", retries=False)
    monkeypatch.setitem(sys.modules, "segno", None)
    without_segno = client.pool.urlopen("GET", "/phone.svg", retries=False)

    assert (shown.status, shown.headers["content-type"]) == (200, "image/svg+xml")
    assert shown.data.startswith(b'<svg xmlns="http://www.w3.org/2000/svg" ')
    assert without_segno.status == 404


@pytest.mark.parametrize("name", FILES)
def test_each_file_of_the_pages_is_served_with_its_type(client: Client, name: str) -> None:
    answer = client.pool.urlopen("GET", f"/static/{name}", retries=False)

    types = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(types[name.rpartition(".")[2]])
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/static/", "/static/..", "/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/app.py",
        "/static/index.html/x", "/index.html",
    ],
)  # fmt: skip
def test_no_other_file_is_served(client: Client, path: str) -> None:
    with closing(HTTPConnection("127.0.0.1", client.pool.port)) as connection:  # which sends a path as it is
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()

    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
