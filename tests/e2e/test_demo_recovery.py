"""The demo when something fails: the server, the network, a frame on its way."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import WebSocketRoute, expect

from tests.e2e.windows import Window, Windows
from tests.support.servers import DevServer

Message = dict[str, Any]


class Line:
    """Stands between a window and the server, and changes what is to be changed.

    `out` and `back` take a message to the server or from it, and give what is to be passed on, or None.
    """

    def __init__(self, window: Window) -> None:
        self.out: Callable[[Message], Message | None] = lambda message: message
        self.back: Callable[[Message], Message | None] = lambda message: message
        self._route: WebSocketRoute | None = None
        window.page.route_web_socket("**/v1/ws", self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        self._route = route
        server = route.connect_to_server()
        route.on_message(lambda data: self._pass(data, self.out, server))
        server.on_message(lambda data: self._pass(data, self.back, route))

    @staticmethod
    def _pass(data: str | bytes, change: Callable[[Message], Message | None], target: WebSocketRoute) -> None:
        message = change(json.loads(data))
        if message is not None:
            target.send(json.dumps(message))

    def cut(self, code: int) -> None:
        """Have the window see its connection closed."""
        assert self._route is not None
        self._route.close(code=code)


class Show:
    """A live session, with a viewer whose line can be tampered with."""

    def __init__(self, windows: Windows) -> None:
        self.seller = windows.open()
        self.seller.sign_in("alice", "Seller")
        link = self.seller.create("A show on a bad line")
        self.seller.click("Start session")
        self.viewer = windows.open()
        self.line = Line(self.viewer)
        self.viewer.page.goto(link)
        self.viewer.page.reload()
        self.viewer.sign_in("bob", "Viewer")
        self.viewer.headline_is("alice is live")
        self.seller.say("one")
        self.viewer.sees("one")

    def both_see(self, *texts: str) -> None:
        self.seller.sees(*texts)
        self.viewer.sees(*texts)


@pytest.fixture
def show(windows: Windows) -> Show:
    return Show(windows)


def test_it_comes_back_after_the_server_is_killed(server: DevServer, show: Show) -> None:
    seller, viewer = show.seller, show.viewer
    viewer.say("two")
    show.both_see("one", "two")
    server.kill()
    viewer.connection_is("Offline")
    expect(viewer.page.get_by_text("The connection was lost.")).to_be_visible()
    expect(viewer.page.get_by_text("Trying again in")).to_be_visible()
    expect(viewer.button("Try now")).to_be_visible()
    expect(seller.button("Pause")).to_be_disabled()
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
        if message["type"] not in ("ack", "event"):
            return message
        lost.append(message)
        return None

    show.line.back = swallow
    show.viewer.say("two")
    show.seller.sees("one", "two")
    expect(show.viewer.pending).to_have_text("Sending…")
    assert [message["type"] for message in lost] == ["ack", "event"]
    show.line.back = lambda message: message
    show.line.cut(4003)
    show.both_see("one", "two")


def test_a_hole_is_filled_by_what_comes_next(show: Show) -> None:
    show.line.back = lambda message: None if "two" in str(message) or message["type"] == "ping" else message
    show.seller.say("two")
    show.seller.sees("one", "two")
    asked: list[Message] = []
    show.line.back = lambda message: None if message["type"] == "ping" else message
    show.line.out = lambda message: asked.append(message) or message
    show.seller.say("three")
    show.both_see("one", "two", "three")
    assert [message["after"] for message in asked if message["type"] == "history"]


def test_a_hole_at_the_end_is_filled_by_a_heartbeat(show: Show) -> None:
    show.line.back = lambda message: None if message["type"] == "event" else message
    show.seller.say("two")
    show.both_see("one", "two")


def test_silence_is_noticed(show: Show) -> None:
    show.line.back = lambda message: None if message["type"] == "ping" else message
    expect(show.viewer.page.get_by_text("The server has not been heard of for too long.")).to_be_visible()
    show.line.back = lambda message: message
    show.viewer.is_online()
    show.viewer.say("two")
    show.both_see("one", "two")


def test_what_cannot_be_resumed_is_begun_anew(show: Show) -> None:
    complete: list[bool] = []

    def doubt(message: Message) -> Message:
        since = message.get("since")
        return {**message, "since": {**since, "epoch": "another"}} if since else message

    def watch(message: Message) -> Message:
        if message["type"] == "joined":
            complete.append(message["complete"])
        return message

    show.line.out, show.line.back = doubt, watch
    show.line.cut(4001)
    show.seller.say("two")
    show.both_see("one", "two")
    assert complete == [False]


def test_an_expired_token_is_exchanged(show: Show) -> None:
    with show.viewer.page.expect_request("**/dev/token"):
        show.line.cut(4300)
    show.viewer.is_online()
    show.viewer.say("two")
    show.both_see("one", "two")


def test_a_final_no_is_final_until_asked_again(show: Show) -> None:
    show.line.cut(4403)
    show.viewer.connection_is("Disconnected")
    expect(show.viewer.page.get_by_text("You have been banned.")).to_be_visible()
    expect(show.viewer.page.get_by_text("Trying again")).to_be_hidden()
    show.viewer.say("two")
    expect(show.viewer.pending).to_have_text("Waiting for the connection")
    show.viewer.click("Connect again")
    show.both_see("one", "two")
