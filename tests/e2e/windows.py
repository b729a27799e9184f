"""Browser windows, and what people do in them: by the labels and texts that they see."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--headless",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
]
WITHIN_MS = 15_000
# What a browser does that is told to let no page keep anything.
NOTHING_KEPT = """
for (const name of ["localStorage", "sessionStorage", "indexedDB"])
  Object.defineProperty(window, name, {get() { throw new DOMException("Access is denied.", "SecurityError"); }});
"""
# How the browser tells of a server that is gone; no page can keep it from doing so.
OUTAGE = re.compile(r"WebSocket connection to '.*' failed|Failed to load resource: net::ERR_CONNECTION_(REFUSED|RESET)")
# What a window says that the server has welcomed.
CONNECTED = re.compile("Online|Poor connection")
expect.set_options(timeout=WITHIN_MS)


def find_browser() -> str:
    """Give the browser's path; without one, skip what asks for it."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"there is no browser: looked for {', '.join(NAMES)}")
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """Run a browser.

    Its driver occupies the thread's event loop for as long as it runs, so no asynchronous test may run meanwhile.
    """
    path = find_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Window:
    """One window with the studio, and its user."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.outages: list[str] = []
        page.set_default_timeout(WITHIN_MS)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            (self.outages if OUTAGE.search(message.text) else self.errors).append(message.text)

    def sign_in(self, name: str, role: str) -> None:
        """Sign in by name, as "Seller" or "Viewer"."""
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_role("radio", name=role).check()
        self.click("Sign in")

    def click(self, name: str) -> None:
        """Click a button."""
        self.button(name).click()

    def button(self, name: str) -> Locator:
        """Give a button that can be seen."""
        return self.page.get_by_role("button", name=name, exact=True)

    def create(self, title: str) -> str:
        """Create a session, and give the link to it."""
        self.page.get_by_label("Title of a new session").fill(title)
        self.click("Create session")
        expect(self.page.get_by_role("heading", name=title)).to_be_visible()
        self.is_online()
        return self.page.url

    def say(self, text: str) -> None:
        """Write a message, and send it with Enter."""
        field = self.page.get_by_label("Message")
        field.fill(text)
        field.press("Enter")
        expect(field).to_have_value("")

    @property
    def messages(self) -> Locator:
        """The texts of all messages, in the order in which they are shown."""
        return self.page.get_by_role("log").locator(".message .text")

    @property
    def pending(self) -> Locator:
        """What stands below messages that are still on their way."""
        return self.page.get_by_role("log").locator(".message .status:not(:empty)")

    def sees(self, *texts: str) -> None:
        """Expect exactly these messages, in this order, none of them still on its way."""
        expect(self.messages).to_have_text(list(texts))
        expect(self.pending).to_have_count(0)

    def headline_is(self, text: str) -> None:
        """Expect this on the stage."""
        expect(self.page.get_by_role("status", name="Session")).to_contain_text(text)

    def connection_is(self, text: str | re.Pattern[str]) -> None:
        """Expect this to be the connection's state."""
        expect(self.page.get_by_role("status", name="Connection")).to_have_text(text)

    def outage_is(self, text: str) -> None:
        """Expect this to be the reason for which there is no connection."""
        expect(self.page.locator("#outage-reason")).to_have_text(text)

    def is_online(self) -> None:
        """Expect to be connected: on a busy machine, any connection may be a poor one."""
        self.connection_is(CONNECTED)

    def audience_is(self, text: str) -> None:
        """Expect this audience."""
        expect(self.page.get_by_role("group", name="Audience")).to_contain_text(text)

    def badge_is(self, text: str) -> None:
        """Expect this to be the session's state."""
        expect(self.page.locator("#stage-badge")).to_have_text(text)

    def clock(self) -> str:
        """Give what the session's clock shows."""
        return self.page.get_by_role("timer", name="Session clock").inner_text()

    def reaction(self, name: str) -> Locator:
        """Give a reaction's button, whose name has the count, too."""
        return self.page.get_by_role("group", name="Reactions").get_by_role("button", name=name)

    def fits(self) -> None:
        """Expect nothing to be wider than the screen."""
        root = self.page.locator("html")
        assert root.evaluate("node => node.scrollWidth <= node.clientWidth")


class Windows:
    """All windows of one test; at its end none of them may have complained."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._contexts: list[BrowserContext] = []
        self._open: list[Window] = []

    @property
    def url(self) -> str:
        """Give the address of the studio."""
        return self._url

    def open(
        self, url: str = "", *, width: int = 1280, height: int = 800, dark: bool = False, moving: bool = False
    ) -> Window:
        """Open the studio on another device: nothing is shared with the other windows."""
        window = self.blank(width=width, height=height, dark=dark, moving=moving)
        window.page.goto(url or self._url)
        return window

    def live_session(self) -> tuple[Window, Window]:
        """Give the windows of a host, alice, who is live, and of a viewer, bob."""
        host = self.open()
        host.sign_in("alice", "Seller")
        link = host.create("A live session")
        host.click("Start session")
        host.headline_is("You are live")
        viewer = self.open(link)
        viewer.sign_in("bob", "Viewer")
        viewer.headline_is("alice is live")
        return host, viewer

    def private_session(self) -> tuple[Window, Window]:
        """Give the windows of alice, whose session is private, and of a stranger, bob, who asks to be let in."""
        host = self.open()
        host.sign_in("alice", "Seller")
        host.page.get_by_label("Private").first.check()
        link = host.create("Among friends")
        stranger = self.open(link)
        stranger.sign_in("bob", "Viewer")
        stranger.headline_is("This session cannot be joined")
        stranger.click("Ask to be let in")
        return host, stranger

    def blank(self, *, width: int = 1280, height: int = 800, dark: bool = False, moving: bool = False) -> Window:
        """Open an empty window, where things move only if they are to."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale="en-GB",
            # Without a graphics card, what moves on one page takes the time of all the others.
            reduced_motion="no-preference" if moving else "reduce",
        )
        self._contexts.append(context)
        return self.adopt(context.new_page())

    def adopt(self, page: Page) -> Window:
        """Watch a page that was opened by another."""
        window = Window(page)
        self._open.append(window)
        return window

    def close(self) -> None:
        """Close all, and see whether a browser had something to complain about."""
        for context in self._contexts:
            context.close()
        assert [error for window in self._open for error in window.errors] == []
