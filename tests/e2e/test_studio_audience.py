"""The studio's audience: who is counted, who is named, who reacts."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.windows import Window, Windows, find_browser
from tests.support.servers import DevServer, dev_server

HIDE = "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})"


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    """Run a server that soon tells who has left."""
    find_browser()
    with dev_server(STAGEWIRE_LEAVE_GRACE="0.5", STAGEWIRE_AUDIENCE_MS="200") as running:
        yield running


def names(window: Window) -> Locator:
    """Give who is there, by name."""
    return window.page.get_by_role("list", name="Who is here").get_by_role("listitem").locator("[data-part=name]")


def test_four_numbers_change_with_what_people_do(windows: Windows) -> None:
    host, viewer = windows.live_session()
    for window in (host, viewer):
        for number in ("1 watching", "2 people", "2 connections", "0 chatters"):
            window.audience_is(number)
    viewer.say("Hello!")
    host.audience_is("1 chatter")
    viewer.click("Stop watching")
    host.audience_is("0 watching")
    viewer.click("Watch")
    host.audience_is("1 watching")
    viewer.page.evaluate(HIDE)
    host.audience_is("0 watching")
    viewer.page.reload()
    host.audience_is("1 watching")
    host.click("Pause")
    host.audience_is("0 watching")
    host.click("Resume")
    host.audience_is("1 watching")
    second = windows.open(host.page.url)
    second.sign_in("bob", "Viewer")
    host.audience_is("3 connections")
    host.audience_is("2 people")


def test_who_is_there_is_named(windows: Windows) -> None:
    host, viewer = windows.live_session()
    expect(names(host)).to_have_text(["alice", "bob"])
    expect(names(viewer)).to_have_text(["bob", "alice"])
    third = windows.open(host.page.url, width=390, height=844)
    third.sign_in("carol", "Viewer")
    expect(names(viewer)).to_have_text(["bob", "alice", "carol"])
    expect(names(third)).to_have_count(0)
    third.click("Who is here")
    expect(names(third)).to_have_text(["carol", "alice", "bob"])
    third.fits()
    third.page.close()
    expect(names(viewer)).to_have_text(["bob", "alice"])
    viewer.click("Who is here")
    expect(names(viewer)).to_have_count(0)


def test_reactions_rise_and_are_counted(windows: Windows) -> None:
    host, viewer = windows.live_session()
    watcher = windows.open(host.page.url, moving=True)
    watcher.sign_in("carol", "Viewer")
    watcher.headline_is("alice is live")
    for _ in range(3):
        viewer.reaction("Heart").click()
    viewer.reaction("Clap").click()
    expect(watcher.page.locator(".mark[data-kind=heart]").first).to_be_attached()
    for window in (host, viewer, watcher):
        expect(window.reaction("Heart")).to_have_accessible_name("Heart 3")
        expect(window.reaction("Clap")).to_have_accessible_name("Clap 1")
    # They go again, and do not come at all to those who want nothing to move.
    expect(watcher.page.locator(".mark")).to_have_count(0)
    expect(viewer.page.locator(".mark")).to_have_count(0)
    host.click("End session")
    host.click("End for everyone")
    expect(viewer.reaction("Heart")).to_be_hidden()


def test_the_quality_of_the_connection_is_shown(windows: Windows) -> None:
    host, _ = windows.live_session()
    expect(host.page.get_by_role("img", name=re.compile(r"Quality: good, \d+ ms"))).to_be_visible()
