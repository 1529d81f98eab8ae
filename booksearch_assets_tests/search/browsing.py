"""A reader's browser before the page, and what is read off it.

Belongs here: visits, and reading the grid. Does not: what the page should show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Locator, Page, expect

# Machines that test several things at a time are slow at times.
expect.set_options(timeout=20_000)


@dataclass
class Visit:
    """A reader's browser, which notes what should never happen. `said` are the lines on its console."""

    context: BrowserContext
    address: str
    said: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def open(self, address: str = "", **viewport: int) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(20_000)
        if viewport:
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self._note(request.url))
        page.goto(self.address + address)
        return page

    def _note(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.address).netloc:
            self.elsewhere.append(url)


def cards(page: Page) -> Locator:
    return page.locator(".card:not(.waiting)")


def keys(page: Page) -> list[str]:
    """The edition keys shown, once the results are there."""
    expect(page.locator("#grid")).to_have_attribute("aria-busy", "false")
    return cards(page).locator(".item").evaluate_all("links => links.map(link => link.dataset.key)")


def grave_findings(page: Page, scheme: str) -> list[str]:
    """What axe finds that keeps people from using the page, with the place. Only colours depend on the scheme."""
    rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    found = Axe().run(page, options={"resultTypes": ["violations"], **rules}).response["violations"]
    return [
        f"{finding['id']} at {node['target']}: {node['failureSummary']}"
        for finding in found
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]
