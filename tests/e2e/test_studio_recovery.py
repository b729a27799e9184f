"""The studio when something fails: the server, the network, a frame on its way."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.lines import Line, Message, as_it_is, nothing, without
from tests.e2e.windows import Window, Windows
from tests.support.servers import DevServer


class Show:
    """A live session, with a viewer whose line can be tampered with."""

    def __init__(self, seller: Window, viewer: Window, line: Line) -> None:
        self.seller = seller
        self.viewer = viewer
        self.line = line

    def begin(self) -> None:
        """Start a new session, in which one message is seen by both."""
        self.line.out = self.line.back = as_it_is
        self.seller.page.get_by_role("link", name="Stagewire").click()
        link = self.seller.create("A show on a bad line")
        self.seller.click("Start session")
        self.viewer.page.goto(link)
        self.viewer.headline_is("alice is live")
        self.seller.say("one")
        self.both_see("one")

    def both_see(self, *texts: str) -> None:
        """Expect exactly these messages in both windows."""
        self.seller.sees(*texts)
        self.viewer.sees(*texts)


@pytest.fixture(scope="module")
def people(server: DevServer, browser: Browser) -> Iterator[Show]:
    windows = Windows(browser, server.url)
    seller, viewer = windows.open(), windows.blank()
    line = Line(viewer)
    viewer.page.goto(server.url)
    seller.sign_in("alice", "Seller")
    viewer.sign_in("bob", "Viewer")
    yield Show(seller, viewer, line)
    windows.close()


@pytest.fixture
def show(people: Show) -> Show:
    people.begin()
    return people


def test_it_comes_back_after_the_server_is_killed(server: DevServer, show: Show) -> None:
    seller, viewer = show.seller, show.viewer
    viewer.say("two")
    show.both_see("one", "two")
    server.kill()
    viewer.connection_is("Offline")
    # It was lost, and the first try to get it back may have failed already.
    reason = re.compile("The connection was lost|The server cannot be reached")
    expect(viewer.page.get_by_role("status").filter(has_text=reason)).to_be_visible()
    expect(viewer.page.get_by_text("Trying again in")).to_be_visible()
    expect(viewer.button("Try now")).to_be_visible()
    expect(seller.button("Pause")).to_be_disabled()
    viewer.headline_is("Last known state")
    viewer.say("three, written meanwhile")
    viewer.say("four, as well")
    expect(viewer.pending).to_have_text(["Waiting for the connection"] * 2)
    server.start()
    for window in (seller, viewer):
        window.is_online()
        expect(window.button("Try now")).to_be_hidden()
    seller.headline_is("You are live")
    show.both_see("one", "two", "three, written meanwhile", "four, as well")
    seller.say("five")
    show.both_see("one", "two", "three, written meanwhile", "four, as well", "five")
    viewer.audience_is("2 people")


def test_a_message_whose_answer_was_lost_is_sent_once(show: Show) -> None:
    lost: list[Message] = []

    def swallow(message: Message) -> Message | None:
        # An answer to a heartbeat is an ack as well, but has no key.
        if "key" in message:
            lost.append(message)
            return None
        # A heartbeat's heads would have the page ask for what it lacks.
        return None if message["type"] == "ping" else message

    show.line.back = swallow
    show.viewer.say("two")
    show.seller.sees("one", "two")
    expect(show.viewer.pending).to_have_text("Sending…")
    assert [message["type"] for message in lost] == ["ack", "event"]
    show.line.back = as_it_is
    show.line.cut(4003)
    show.both_see("one", "two")


def test_a_message_that_was_lost_is_sent_again(show: Show) -> None:
    show.line.out = without("chat.send")
    show.viewer.say("two")
    expect(show.viewer.pending).to_have_text("Sending…")
    show.line.out = as_it_is
    show.line.cut(4001)
    show.both_see("one", "two")


def test_a_passing_refusal_is_tried_again_with_the_same_key(show: Show) -> None:
    keys: list[str] = []

    def note(message: Message) -> Message:
        if message["type"] == "chat.send":
            keys.append(message["key"])
        return message

    def refuse_once(message: Message) -> Message | None:
        # What is about a message has its key. A heartbeat's heads would have the page ask for what it lacks.
        if len(keys) > 1 or ("key" not in message and message["type"] != "ping"):
            return message
        if message["type"] != "ack":
            return None
        return {"re": message["re"], "type": "error", "code": "unavailable", "message": "try again"}

    show.line.out, show.line.back = note, refuse_once
    show.viewer.say("two")
    show.both_see("one", "two")
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_hole_is_filled_by_what_comes_next(show: Show) -> None:
    show.line.back = lambda message: None if "two" in str(message) or message["type"] == "ping" else message
    show.seller.say("two")
    show.seller.sees("one", "two")
    asked: list[str] = []

    def note(message: Message) -> Message:
        # Whether the picture plays by now is told on the side, and what comes late is measured (by "leave").
        if message["type"] not in ("playback", "leave"):
            asked.append(message["type"])
        return message

    show.line.back = without("ping")
    show.line.out = note
    show.seller.say("three")
    show.both_see("one", "two", "three")
    assert asked == ["history"]


def test_a_hole_at_the_end_is_filled_by_a_heartbeat(show: Show) -> None:
    show.line.back = without("event")
    show.seller.say("two")
    show.both_see("one", "two")


def test_silence_is_noticed(show: Show) -> None:
    def come_back(message: Message) -> Message:
        if message["type"] == "hello":
            show.line.back = as_it_is
        return message

    joined = show.line.passed["joined"]
    show.line.out, show.line.back = come_back, nothing
    show.line.wait_for("joined", joined + 1)
    show.viewer.say("two")
    show.both_see("one", "two")


def test_what_cannot_be_resumed_is_begun_anew(show: Show) -> None:
    complete: list[bool] = []
    pages: list[Message] = []

    def doubt(message: Message) -> Message:
        if message["type"] == "history":
            pages.append(message)
        since = message.get("since")
        return {**message, "since": {**since, "epoch": "another"}} if since else message

    def note(message: Message) -> Message:
        if message["type"] == "joined":
            complete.append(message["complete"])
        return message

    show.line.out, show.line.back = doubt, note
    show.line.cut(4001)
    show.seller.say("two")
    show.both_see("one", "two")
    assert complete == [False]
    # What it held is dropped: it asks for what lies before the new position, not for what came after the old one.
    assert "before" in pages[0]


def test_a_line_that_is_not_back_yet_is_cut_when_it_is(show: Show) -> None:
    with show.viewer.page.expect_request("**/dev/token"):
        show.line.cut(4001)
        # What says that the token has expired; the line before says only that it is gone.
        show.line.cut(4300)
    show.viewer.is_online()


def test_an_expired_token_is_exchanged(show: Show) -> None:
    with show.viewer.page.expect_request("**/dev/token"):
        show.line.cut(4300)
    show.viewer.is_online()
    show.viewer.say("two")
    show.both_see("one", "two")


def test_a_fresh_token_is_sent_before_the_old_one_ends(show: Show) -> None:
    show.line.tell({"type": "token.expiring", "expires_in_ms": 4000})
    # The server has taken it.
    show.line.wait_for("token")
    show.viewer.say("two")
    show.both_see("one", "two")


def test_a_final_no_is_final_until_asked_again(show: Show) -> None:
    show.line.cut(4403)
    show.viewer.connection_is("Disconnected")
    show.viewer.outage_is("You have been kept out.")
    expect(show.viewer.page.get_by_text("Trying again")).to_be_hidden()
    show.viewer.say("two")
    expect(show.viewer.pending).to_have_text("Waiting for the connection")
    show.viewer.click("Connect again")
    show.both_see("one", "two")
