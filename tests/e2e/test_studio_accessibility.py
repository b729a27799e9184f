"""Whether everyone can use the studio: what axe finds in each view, and where the focus is."""

from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import expect

from tests.e2e.windows import Window, Windows
from tests.support.node_packages import installed

FOUND: Final = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, any, all, none }) =>
    [id, target.join(" "), ...[...any, ...all, ...none].map(({ message }) => message)]));
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    """Give the source of axe-core; without it, skip what asks for it."""
    return (installed(Path(__file__).parent / "axe") / "node_modules/axe-core/axe.min.js").read_text()


class Examined:
    """A window in which axe finds nothing, whatever is shown."""

    def __init__(self, window: Window, axe: str) -> None:
        self._window = window
        self._axe = axe

    def is_sound(self) -> None:
        """Expect nothing to be in anybody's way."""
        if not self._window.page.evaluate("typeof axe === 'object'"):
            # What a test has evaluated is under no policy of the page.
            self._window.page.evaluate(f"{self._axe}\n;0")
        found: list[Any] = self._window.page.evaluate(FOUND)
        assert found == []


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_in_anybodys_way(windows: Windows, axe: str, dark: bool) -> None:
    host = windows.open(width=1440, height=900, dark=dark)
    console = Examined(host, axe)
    expect(host.button("Sign in")).to_be_visible()
    expect(host.page).to_have_title("Sign in · Stagewire")
    console.is_sound()
    host.sign_in("alice", "Seller")
    host.is_online()
    expect(host.page).to_have_title("Sessions · Stagewire")
    console.is_sound()
    link = host.create("To be used by everyone")
    expect(host.page).to_have_title("To be used by everyone · Stagewire")
    console.is_sound()
    host.click("Start session")
    host.headline_is("You are live")
    viewer = windows.open(link, width=390, height=844, dark=not dark)
    player = Examined(viewer, axe)
    viewer.sign_in("bob", "Viewer")
    viewer.say("Hello")
    host.say("Welcome")
    viewer.sees("Hello", "Welcome")
    viewer.say("\N{ZERO WIDTH SPACE}")
    expect(viewer.button("Discard")).to_be_visible()
    for page in (console, player):
        page.is_sound()
    for opened, closed in [
        ("Settings", "Cancel"),
        ("End session", "Keep going"),
        ("Connection details", "Close the connection panel"),
        ("Inbox", "Close the inbox"),
        ("Share", "Share"),
    ]:
        host.click(opened)
        console.is_sound()
        if opened == "Settings":
            # On a phone a field would bring up the keyboard before anything was read.
            expect(host.page.get_by_role("heading", name="Settings of the session")).to_be_focused()
        host.click(closed)
    host.page.get_by_role("region", name="Who is here").get_by_role("button", name="bob").click()
    console.is_sound()
    host.click("Close")
    viewer.click("Connection details")
    viewer.click("Offline for 30 s")
    viewer.connection_is("Offline")
    viewer.say("Still here")
    expect(viewer.page.get_by_text("Waiting for the connection")).to_be_visible()
    player.is_sound()
    host.click("Pause")
    host.headline_is("Paused")
    console.is_sound()
    host.click("End session")
    host.click("End for everyone")
    expect(host.page.get_by_role("heading", name="The show in numbers")).to_be_visible()
    console.is_sound()
