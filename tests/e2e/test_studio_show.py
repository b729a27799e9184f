"""A whole show in the studio: a host and two viewers, through outages of their own making, and strangers who knock."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.windows import Window, Windows
from tests.support.servers import DevServer


def fact_is(window: Window, name: str, value: str | re.Pattern[str]) -> None:
    """Expect the connection panel to say so."""
    fact = window.page.locator("#panel-facts .fact").filter(has=window.page.get_by_text(name, exact=True))
    expect(fact.locator("dd")).to_have_text(value)


@pytest.mark.timeout(150)
def test_a_show_through_an_outage_of_half_a_minute(windows: Windows) -> None:
    host, viewer = windows.live_session()
    other = windows.open(host.page.url, width=390, height=844)
    other.sign_in("carol", "Viewer")
    for window in (host, viewer, other):
        expect(window.page.locator("#stage")).to_have_attribute("data-picture", "shown")
        expect(window.page.get_by_text("Test picture", exact=True)).to_be_visible()
    host.audience_is("2 watching")
    host.say("one")
    viewer.click("Connection details")
    fact_is(viewer, "State", "Online")
    fact_is(viewer, "Complete", "yes, nothing is missing")
    viewer.click("Offline for 30 s")
    viewer.connection_is("Offline")
    written = ["first, written offline", "second, written offline", "third, written offline"]
    for text in written:
        viewer.say(text)
    expect(viewer.pending).to_have_text(["Waiting for the connection"] * 3)
    fact_is(viewer, "Waiting to be sent", "3")
    host.say("two")
    other.say("three")
    host.sees("one", "two", "three")
    viewer.headline_is("Last known state")
    # It comes back by itself, when the network does and not before.
    expect(viewer.page.get_by_role("status", name="Connection")).to_have_text("Online", timeout=60_000)
    fact_is(viewer, "Waiting to be sent", "0")
    fact_is(viewer, "Complete", "yes, nothing is missing")
    for window in (host, viewer, other):
        expect(window.messages).to_have_count(6)
        assert sorted(window.messages.all_inner_texts()) == sorted(["one", "two", "three", *written])
        expect(window.pending).to_have_count(0)
    # Each stands where it was written: in everyone's window at the same place.
    order = host.messages.all_inner_texts()
    assert [text for text in order if text in written] == written
    assert viewer.messages.all_inner_texts() == other.messages.all_inner_texts() == order
    # Created, started, and six messages.
    fact_is(viewer, "Our position", "8")
    fact_is(viewer, "The server's head", "8")
    host.click("End session")
    host.click("End for everyone")
    for window in (viewer, other):
        window.headline_is("The session has ended")
    numbers = host.page.get_by_role("region", name="The show in numbers")
    expect(numbers).to_contain_text(re.compile("Messages\\s*6"))
    expect(numbers).to_contain_text(re.compile("People\\s*3"))


def test_a_connection_that_is_cut_or_stalled_comes_back(windows: Windows) -> None:
    host, viewer = windows.live_session()
    viewer.click("Connection details")
    viewer.click("Cut the connection")
    history = viewer.page.get_by_label("What happened to the connection")
    expect(history).to_contain_text("The connection was lost.")
    viewer.is_online()
    fact_is(viewer, "Reconnects", "1")
    viewer.click("Stall for 10 s")
    viewer.say("through the mud")
    expect(viewer.pending).to_have_text("Sending…")
    expect(viewer.page.get_by_text("Stalled on purpose, for")).to_be_visible()
    host.sees("through the mud")
    viewer.sees("through the mud")
    viewer.page.keyboard.press("Escape")
    viewer.is_online()


def test_a_server_that_drains_is_left_and_found_again(server: DevServer, windows: Windows) -> None:
    host, viewer = windows.live_session()
    viewer.say("before")
    host.sees("before")
    news = viewer.page.get_by_role("status", name="News")
    server.stop()
    try:
        expect(news).to_have_text("The server is about to restart. This page moves on by itself.")
        viewer.say("meanwhile")
    finally:
        server.start()
    for window in (host, viewer):
        window.is_online()
        window.sees("before", "meanwhile")
    host.headline_is("You are live")


def test_two_tabs_of_one_user(windows: Windows) -> None:
    host, viewer = windows.live_session()
    with viewer.page.context.expect_page() as opened:
        viewer.page.evaluate("window.open(location.href)")
    tab = windows.adopt(opened.value)
    # A tab that was opened from another one starts with what that one knows.
    tab.headline_is("alice is live")
    host.audience_is("3 connections")
    host.audience_is("2 people")
    tab.click("Connection details")
    tab.click("Offline for 10 s")
    tab.say("from the second tab, offline")
    viewer.say("from the first tab")
    for window in (host, viewer, tab):
        expect(window.messages).to_have_count(2)
        expect(window.pending).to_have_count(0)
    tab.page.close()
    host.audience_is("2 connections")
    host.audience_is("2 people")


def test_what_waits_to_be_sent_outlives_the_page(windows: Windows) -> None:
    host, viewer = windows.live_session()
    viewer.click("Connection details")
    viewer.click("Offline for 30 s")
    viewer.say("kept")
    expect(viewer.pending).to_have_text("Waiting for the connection")
    viewer.page.reload()
    host.sees("kept")
    viewer.sees("kept")


def test_strangers_knock_and_are_let_in(windows: Windows) -> None:
    host, stranger = windows.private_session()
    knocking = host.page.get_by_role("region", name="Waiting to be let in")
    expect(knocking).to_contain_text("bob")
    expect(host.page.get_by_role("status", name="News")).to_have_text("bob asks to be let in.")
    knocking.get_by_role("button", name="Let in").click()
    stranger.headline_is("Not started yet")
    expect(knocking).to_be_hidden()
    host.page.get_by_role("button", name="bob").click()
    host.click("Take off the guest list")
    stranger.headline_is("This session cannot be joined")


def test_people_are_named_written_to_and_frozen(server: DevServer, windows: Windows) -> None:
    host, viewer = windows.live_session()
    host.page.get_by_role("button", name="bob").click()
    host.page.get_by_label("Role in this session").select_option("moderator")
    host.click("Save role")
    expect(host.page.get_by_text("Saved.")).to_be_visible()
    host.page.get_by_label("Write directly").fill("Welcome to the team")
    host.click("Send directly")
    expect(host.page.get_by_text("Sent.")).to_be_visible()
    host.click("Close")
    viewer.page.get_by_role("button", name="Inbox, 1 new").click()
    inbox = viewer.page.get_by_role("complementary", name="Inbox")
    expect(inbox).to_contain_text("alice writes to you")
    expect(inbox).to_contain_text("Welcome to the team")
    viewer.page.keyboard.press("Escape")
    # A moderator deletes what others have written, and has the console to do it in.
    host.say("Oops")
    viewer.messages.first.hover()
    viewer.click("Delete")
    viewer.click("Delete for good?")
    expect(host.messages).to_have_text(["This message was deleted."])
    viewer.click("Watch as viewers do")
    expect(viewer.page.get_by_role("region", name="Audience over time")).to_be_hidden()
    admin = windows.open(host.page.url)
    admin.sign_in("root", "Admin")
    admin.page.get_by_role("button", name="bob").click()
    admin.page.get_by_label("Write directly").fill("Last warning")
    admin.click("Send as a notice")
    expect(viewer.page.get_by_role("status", name="News")).to_have_text("Notice from the moderators.")
    admin.click("Freeze everywhere")
    admin.click("Freeze for sure?")
    viewer.outage_is("You have been kept out.")
    viewer.connection_is("Disconnected")
    admin.click("Close")
    token = httpx.post(f"{server.url}/dev/token", json={"user": "root", "role": "admin"}).json()["token"]
    thawed = httpx.post(
        f"{server.url}/v1/users/bob/unfreeze", json={"reason": "the end"}, headers={"Authorization": f"Bearer {token}"}
    )
    thawed.raise_for_status()


def test_the_audience_over_time_is_told_in_words_too(windows: Windows) -> None:
    host, viewer = windows.live_session()
    plot = host.page.get_by_role("region", name="Audience over time")
    expect(plot).to_contain_text("Now 1 watching, of 2 people here. Most so far: 2 people")
    expect(viewer.page.get_by_role("region", name="Audience over time")).to_be_hidden()
    viewer.page.close()
    expect(plot).to_contain_text("Now 0 watching, of 1 person here. Most so far: 2 people")
    box = plot.locator("svg").bounding_box()
    assert box is not None
    host.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 20)
    expect(host.page.locator("#plot-readout")).to_contain_text(re.compile("[01] watching, "))


def test_colours_are_as_the_system_until_somebody_chooses(windows: Windows) -> None:
    window = windows.open()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = window.page.evaluate(ground)
    window.click("Colours: as the system")
    window.click("Colours: light")
    assert window.page.evaluate(ground) != light
    window.page.reload()
    assert window.page.evaluate(ground) != light
    window.click("Colours: dark")
    assert window.page.evaluate(ground) == light
