"""The console in Chromium: people with a browser each, who notice whatever it complains about."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "there is no Chromium on this machine: apt-get install chromium"
AXE = Path(__file__).parents[1] / "vendored" / "axe.min.js"
PHONE = 360
expect.set_options(timeout=15_000)
Scheme = Literal["light", "dark"]


class Person:
    """Somebody in front of a page of the console; ``complaints`` has what went wrong in the browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = f"{url}/console"
        self.complaints: list[str] = []
        self._host = urlsplit(url).hostname
        page.set_default_timeout(15_000)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        """An error is what a page logs, above all of the Content-Security-Policy; not that a form (401, 422) or a letter was refused."""
        is_refusal = "Failed to load resource" in message.text or "/console/letters/" in message.location["url"]
        if message.type in ("error", "warning") and not is_refusal:
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in (self._host, None):
            self.complaints.append(f"asked another host: {request.url}")

    async def open(self, path: str) -> None:
        """Go to a page below the prefix."""
        await self.page.goto(self.url + path)

    async def enter(self, tenant: str, name: str, password: str) -> None:
        """Sign in, to the overview."""
        await self.open(f"/sign-in?tenant={tenant}")
        await self.page.get_by_label("Name", exact=True).fill(name)
        await self.page.get_by_label("Password").fill(password)
        await self.press("Sign in")
        await self.page.wait_for_url(f"{self.url}/")

    async def press(self, button: str) -> None:
        """A button of the page's content, by its words."""
        await self.page.locator("main").get_by_role("button", name=button, exact=True).click()

    async def told(self) -> str:
        """What the page says was done."""
        return await self.page.get_by_role("status").first.inner_text()

    async def sees(self, words: str) -> None:
        """Wait until the page's content has these words."""
        await expect(self.page.locator("main")).to_contain_text(words)

    async def words(self) -> str:
        """What is to be read."""
        return " ".join((await self.page.locator("main").inner_text()).split())

    async def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        found: int = await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return found

    async def violations(self, *rules: str) -> list[str]:
        """What axe-core finds on the page, by all its rules or some: rule, place and why. It comes past the Content-Security-Policy."""
        options = {"resultTypes": ["violations"], "iframes": False} | ({"runOnly": list(rules)} if rules else {})
        session = await self.page.context.new_cdp_session(self.page)
        try:
            await session.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
            expression = f"axe.run(document, {json.dumps(options)}).then(found => JSON.stringify(found.violations))"
            answer = await session.send("Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True})
        finally:
            await session.detach()
        found: list[dict[str, Any]] = json.loads(answer["result"]["value"])
        return [f"{each['id']} at {node['target']}: {node['failureSummary']}" for each in found for node in each["nodes"]]


class People:
    """Gives each somebody a browser of her own, with her own cookies."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url

    @asynccontextmanager
    async def person(
        self, *, width: int = 1280, scheme: Scheme = "light", language: str = "en", scripts: bool = True
    ) -> AsyncIterator[Person]:
        """One that has not signed in. On the way out it is asked that nothing went wrong."""
        context = await self._browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, locale=language, java_script_enabled=scripts, timezone_id="UTC",
            reduced_motion="reduce",
        )  # fmt: skip
        try:
            person = Person(await context.new_page(), self._url)
            yield person
            assert not person.complaints, person.complaints
        finally:
            await context.close()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The Debian package's, without windows."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=PROGRAM)
        try:
            yield browser
        finally:
            await browser.close()
