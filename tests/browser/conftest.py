"""A headless Chromium of Debian, the sandbox's pages in it, and a real till that pays with what it reads from them."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pytest

from fakes.fixtures import new_till
from payme_plugin.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Locator, Page

__all__ = ["new_till"]

CHROMIUM = "/usr/bin/chromium"
PHONE_SCREEN = (390, 844)
DASHBOARD_SCREEN = (1280, 900)
WAIT_MS = 30_000


@dataclass
class VirtualTime:
    """The sandbox's clock, which only the test moves."""

    now_ms: int = 1_790_000_000_000

    def advance(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)


@dataclass
class Screen:
    """A page, and what went wrong in it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.set_default_timeout(WAIT_MS)

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def shows(self, selector: str, text: str) -> None:
        """Wait until one element that matches has the text."""
        self.page.locator(selector).filter(has_text=re.compile(text)).first.wait_for()

    def lacks(self, selector: str) -> None:
        """Wait until nothing that matches is visible."""
        self.page.locator(selector).first.wait_for(state="hidden")

    def focused(self) -> str:
        """Return the text of the focused element; empty if nothing has the focus."""
        found: str = self.page.evaluate("document.querySelector(':focus')?.textContent.trim() ?? ''")
        return found


class Phone(Screen):
    """The phone page."""

    def choose(self, behaviour: str) -> None:
        with self.new_code():
            self.at("#behaviours label").filter(has_text=re.compile(f"^{behaviour}$")).click()

    @contextmanager
    def new_code(self) -> Iterator[None]:
        """Wait at the end until the page shows another code."""
        before = self.digits()
        yield
        self.page.wait_for_function("before => document.querySelector('#digits').textContent !== before", arg=before)

    def digits(self) -> str:
        return (self.at("#digits").text_content() or "").replace(" ", "")

    def scan(self) -> str:
        """Read the QR code from a screenshot of the whole page, as a scanner does."""
        return scanned(self.page.screenshot())


def scanned(screenshot: bytes) -> str:
    """Return the text of the only QR code in a PNG image."""
    import zxingcpp  # noqa: PLC0415 - of the extra ``browser``
    from PIL import Image  # noqa: PLC0415

    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(screenshot)))
    text: str = found.text
    return text


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the extra ``browser``

    with sync_playwright() as playwright:
        # The container's root may not use Chromium's own sandbox. A process for each page would take most of the time.
        args = ["--no-sandbox", "--process-per-site"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[Callable[[str], BrowserContext]]:
    """Return a function that gives the profile of a locale; each sandbox is an origin with a storage of its own."""
    opened: dict[str, BrowserContext] = {}
    with Sandbox() as kept:

        def find(locale: str) -> BrowserContext:
            if locale not in opened:
                opened[locale] = browser.new_context(locale=locale, reduced_motion="reduce")
                # A page that stays open keeps the process of its site for the next pages.
                opened[locale].new_page().goto(f"{kept.origin}/static/icon.svg")
            return opened[locale]

        yield find
        for context in opened.values():
            context.close()


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def sandbox(time: VirtualTime) -> Iterator[Sandbox]:
    with Sandbox(clock=lambda: time.now_ms) as sandbox:
        yield sandbox


@pytest.fixture
def new_page(profile: Callable[[str], BrowserContext]) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a tab."""
    opened: list[Page] = []

    def make(size: tuple[int, int], locale: str = "en-GB", scheme: Literal["light", "dark"] = "light") -> Page:
        page = profile(locale).new_page()
        opened.append(page)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=scheme)
        return page

    yield make
    for page in opened:
        page.close()


@pytest.fixture
def open_phone(sandbox: Sandbox, new_page: Callable[..., Page]) -> Callable[..., Phone]:
    """Return a function that opens the phone page and waits for its first code."""

    def make(size: tuple[int, int] = PHONE_SCREEN, **given: str) -> Phone:
        phone = Phone(new_page(size, **given))
        phone.page.goto(sandbox.phone_url)
        phone.at("#digits span").first.wait_for()
        return phone

    return make


@pytest.fixture
def phone(open_phone: Callable[..., Phone]) -> Phone:
    return open_phone()


@pytest.fixture
def open_dashboard(sandbox: Sandbox, new_page: Callable[..., Page]) -> Callable[..., Screen]:
    """Return a function that opens the dashboard and waits until it is live."""

    def make(size: tuple[int, int] = DASHBOARD_SCREEN, **given: str) -> Screen:
        dashboard = Screen(new_page(size, **given))
        dashboard.page.goto(f"{sandbox.origin}/")
        dashboard.at("#live[data-state=live]").wait_for()
        dashboard.at("#accounts li").first.wait_for()
        return dashboard

    return make


@pytest.fixture
def dashboard(open_dashboard: Callable[..., Screen]) -> Screen:
    return open_dashboard()


@pytest.fixture
def cashier() -> Iterator[ThreadPoolExecutor]:
    """Run a payment beside the test, which plays the buyer meanwhile."""
    with ThreadPoolExecutor(1) as cashier:
        yield cashier
