"""The studio while its host pauses, vanishes, comes back, and moves from one device to another."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.lines import Line, Message, as_it_is, nothing
from tests.e2e.windows import Window, Windows, find_browser
from tests.support.servers import DevServer, dev_server


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    """Run a server that misses hosts soon."""
    find_browser()
    with dev_server(STAGEWIRE_HOST_GRACE="1", STAGEWIRE_HOST_WINDOW="60") as running:
        yield running


def second_window(windows: Windows, host: Window) -> Window:
    window = windows.open(host.page.url, width=390, height=844)
    window.sign_in("alice", "Seller")
    window.headline_is("You are live")
    return window


def test_a_viewer_sees_the_host_pause_and_resume(windows: Windows) -> None:
    host, viewer = windows.live_session()
    expect(viewer.page.get_by_role("timer", name="Session clock")).to_have_text(re.compile("0:0[1-9]"))
    host.click("Pause")
    viewer.headline_is("alice will be right back.")
    viewer.badge_is("Paused")
    stands_at = viewer.clock()
    # The time until the end goes on meanwhile, by more than a second.
    for _ in range(2):
        left = host.page.get_by_role("timer", name="It ends by itself in")
        expect(left).not_to_have_text(left.inner_text())
    assert viewer.clock() == stands_at
    host.click("Resume")
    viewer.headline_is("alice is live")
    expect(viewer.page.get_by_role("timer", name="Session clock")).not_to_have_text(stands_at)


def test_a_host_who_vanishes_is_waited_for(windows: Windows) -> None:
    host, viewer = windows.live_session()
    link = host.page.url
    host.page.close()
    viewer.headline_is("alice is away")
    viewer.headline_is("The host's connection was lost. It goes on when alice is back.")
    viewer.badge_is("Interrupted")
    countdown = viewer.page.get_by_role("timer", name="The session ends in")
    expect(countdown).to_have_text(re.compile("0:5[0-9]|1:00"))
    first = countdown.inner_text()
    expect(countdown).not_to_have_text(first)
    assert countdown.inner_text() < first
    viewer.say("Where is she?")
    viewer.sees("Where is she?")
    back = windows.open(link)
    back.sign_in("alice", "Seller")
    back.headline_is("You are live")
    viewer.headline_is("alice is live")
    expect(viewer.page.get_by_text("alice is back")).to_be_visible()
    expect(countdown).to_be_hidden()
    expect(back.button("Pause")).to_be_enabled()


def test_a_second_window_takes_over_when_asked_to(windows: Windows) -> None:
    host, viewer = windows.live_session()
    second = second_window(windows, host)
    expect(second.page.get_by_text("Another device runs this session.")).to_be_visible()
    expect(second.button("Pause")).to_be_hidden()
    second.fits()
    second.click("Take over")
    expect(second.button("Pause")).to_be_focused()
    host.connection_is("Disconnected")
    host.headline_is("Running on another device")
    host.outage_is("Another device has taken over this session.")
    expect(host.button("Pause")).to_be_hidden()
    second.click("Pause")
    viewer.headline_is("Paused")
    # It has not come back by itself, which would go on for ever, and comes back without taking over.
    host.connection_is("Disconnected")
    host.click("Come back")
    host.is_online()
    expect(host.button("Take over")).to_be_visible()
    second.is_online()
    expect(second.button("Resume")).to_be_enabled()


def test_a_step_whose_answer_was_lost_is_made_once(server: DevServer, windows: Windows) -> None:
    host = windows.blank()
    line = Line(host)
    host.page.goto(server.url)
    host.sign_in("alice", "Seller")
    host.create("A show on a bad line")
    host.click("Start session")
    host.headline_is("You are live")
    keys: list[str] = []

    def note(message: Message) -> Message:
        if message["type"] == "session.pause":
            keys.append(message["key"])
        return message

    line.out, line.back = note, nothing
    host.click("Pause")
    viewer = windows.open(host.page.url)
    viewer.sign_in("bob", "Viewer")
    viewer.headline_is("Paused")
    line.back = as_it_is
    line.cut(4003)
    host.headline_is("Paused")
    expect(host.button("Resume")).to_be_enabled()
    assert len(keys) == 2
    assert keys[0] == keys[1]
    expect(host.page.get_by_text("alice paused the session")).to_have_count(1)
    expect(host.page.locator("#controls-fault")).to_be_empty()


def test_a_window_that_is_loaded_again_is_the_same_device(windows: Windows) -> None:
    host, viewer = windows.live_session()
    host.page.reload()
    host.headline_is("You are live")
    expect(host.button("Take over")).to_be_hidden()
    host.click("Pause")
    viewer.headline_is("Paused")


def test_the_host_sets_who_may_write_what(windows: Windows) -> None:
    host, viewer = windows.live_session()
    expect(viewer.button("Settings")).to_be_hidden()
    host.click("Settings")
    host.page.get_by_label("Slow mode").fill("2")
    host.page.get_by_label("Viewers may write links").uncheck()
    host.click("Save")
    expect(viewer.page.get_by_text("Slow mode: a message every 2\u00a0s. No links.")).to_be_visible()
    viewer.say("See https://example.com/")
    expect(viewer.page.get_by_text("Not sent. No links here.")).to_be_visible()
    viewer.click("Discard")
    viewer.say("one")
    expect(viewer.pending).to_have_count(0)
    viewer.say("two")
    expect(viewer.pending).to_have_text("Waiting. Not so fast: slow mode is on. It goes out by itself.")
    host.sees("one", "two")
    viewer.sees("one", "two")
    host.click("Settings")
    host.page.get_by_label("Who may write").select_option("Nobody but hosts and moderators")
    host.click("Save")
    expect(viewer.page.get_by_text("The chat is closed for now.")).to_be_visible()
    expect(viewer.page.get_by_label("Message")).to_be_hidden()
    host.say("Quiet, please")
    viewer.sees("one", "two", "Quiet, please")


def test_the_host_gives_the_session_another_title(windows: Windows) -> None:
    host, viewer = windows.live_session()
    host.click("Settings")
    title = host.page.get_by_role("textbox", name="Title", exact=True)
    expect(title).to_have_value("A live session")
    title.fill("\N{ZERO WIDTH SPACE}")
    host.click("Save")
    expect(host.page.get_by_role("alert").filter(has_text="The text has nothing to see.")).to_be_visible()
    title.fill("Friday drop: autumn jackets")
    host.click("Save")
    for window in (host, viewer):
        expect(window.page.get_by_role("heading", name="Friday drop: autumn jackets")).to_be_visible()
    expect(host.button("Settings")).to_be_focused()


def test_what_is_done_over_http_is_seen_at_once(server: DevServer, windows: Windows) -> None:
    host, viewer = windows.live_session()
    token = httpx.post(f"{server.url}/dev/token", json={"user": "alice", "role": "seller"}).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    session = f"{server.url}/v1/sessions/{host.page.url.partition('=')[2]}"
    httpx.post(f"{session}/pause", json={"reason": "changing the camera"}, headers=headers).raise_for_status()
    for window in (host, viewer):
        window.headline_is("Changing the camera.")
    httpx.put(f"{session}/members/bob", json={"role": "cohost"}, headers=headers).raise_for_status()
    viewer.click("Resume")
    host.headline_is("You are live")
    expect(viewer.button("End session")).to_be_hidden()
    httpx.put(f"{session}/members/bob", json={"role": "viewer"}, headers=headers).raise_for_status()
    expect(viewer.button("Pause")).to_be_hidden()
    httpx.patch(session, json={"title": "Among ourselves", "private": True}, headers=headers).raise_for_status()
    expect(host.page.get_by_role("heading", name="Among ourselves")).to_be_visible()
    viewer.headline_is("This session cannot be joined")
    expect(viewer.messages).to_have_count(0)
