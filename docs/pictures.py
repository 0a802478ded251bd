#!/usr/bin/env python3
"""Draw the pictures of the sandbox's pages: docs/images/sandbox-dashboard.png and docs/images/sandbox-phone.png.

``python docs/pictures.py`` needs the extra ``browser`` and Debian's chromium.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
from PIL import Image
from playwright.sync_api import sync_playwright

from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).resolve().parent / "images"
BEGIN_MS = 1_769_850_000_000
COLOURS = 256


@dataclass
class Time:
    """The sandbox's clock: each request takes a while."""

    now_ms: int = BEGIN_MS


def _send(pool: urllib3.HTTPConnectionPool, sandbox: Sandbox, time: Time, method: str, **params: object) -> Any:  # noqa: ANN401 - any JSON
    time.now_ms += 2_700
    body = json.dumps({"id": 118, "method": f"receipts.{method}", "params": params})
    x_auth = f"{sandbox.pos_id}:{sandbox.pos_key}"
    answer = pool.urlopen("POST", "/api", body=body, headers={"X-Auth": x_auth}, retries=False, timeout=5)
    return json.loads(answer.data).get("result")


def _take(pool: urllib3.HTTPConnectionPool, sandbox: Sandbox, time: Time, order: str, amount: int, code: str) -> str:
    """Let a till take a payment with a code; return its receipt."""
    created = _send(pool, sandbox, time, "create", amount=amount, account={"order_id": order})
    receipt_id: str = created["receipt"]["_id"]
    _send(pool, sandbox, time, "pay", id=receipt_id, token=code)
    _send(pool, sandbox, time, "check", id=receipt_id)
    return receipt_id


def _sell(pool: urllib3.HTTPConnectionPool, sandbox: Sandbox, time: Time) -> None:
    """Let a till take payments of all kinds."""
    buyers = (
        Behaviour(),
        Behaviour(BuyerAction.DECLINES, after_s=1),
        Behaviour(),
        Behaviour(BuyerAction.LACKS_FUNDS),
        Behaviour(cancel=CancelPlan(settle_s=600)),
        Behaviour(),
        Behaviour(BuyerAction.NEVER_ANSWERS),
    )
    amounts = (1_500_000, 4_590_050, 12_990_000, 780_000, 1_500_000, 4_590_050, 12_990_000)
    for order, (buyer, amount) in enumerate(zip(buyers, amounts, strict=True), 118):
        receipt_id = _take(pool, sandbox, time, f"3-{order}", amount, sandbox.issue_code(buyer))
        if buyer.cancel:
            _send(pool, sandbox, time, "cancel", id=receipt_id)


def _open(browser: Browser, url: str, width: int, height: int) -> Page:
    size: Any = {"width": width, "height": height}
    page = browser.new_context(
        viewport=size, locale="en-GB", reduced_motion="reduce", timezone_id="Asia/Tashkent"
    ).new_page()
    page.goto(url)
    return page


def _save(page: Page, name: str) -> None:
    path = IMAGES / name
    page.screenshot(path=path)
    # A palette makes the file a third as large.
    Image.open(path).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Draw both pictures."""
    time = Time()
    rng = random.Random(3)  # noqa: S311 - the same picture each time
    with Sandbox(8765, clock=lambda: time.now_ms, rng=rng) as sandbox, sync_playwright() as playwright:
        sandbox.add_account("65bb00112233445566778801", name="Chorsu Market")
        pool = urllib3.HTTPConnectionPool("127.0.0.1", sandbox.port, maxsize=1)
        _sell(pool, sandbox, time)
        sandbox.inject(InjectedFault(FaultKind.ANSWER_LOST, "receipts.pay"))
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        dashboard = _open(browser, sandbox.dashboard_url, 1280, 900)
        dashboard.locator("#receipts .pick").nth(2).click()
        dashboard.locator("#details .timeline").wait_for()
        _save(dashboard, "sandbox-dashboard.png")
        sandbox.clear_faults()
        phone = _open(browser, sandbox.phone_url, 390, 844)
        phone.clock.install()
        phone.locator("#digits span").first.wait_for()
        code = (phone.locator("#digits").text_content() or "").replace(" ", "")
        _take(pool, sandbox, time, "3-125", 2_350_000, code)
        phone.locator("#again").click()
        phone.locator("#code-view").wait_for()
        phone.clock.fast_forward(8_000)
        phone.get_by_text("Valid for 22 s").wait_for()
        _save(phone, "sandbox-phone.png")
        browser.close()
        pool.close()


if __name__ == "__main__":
    main()
