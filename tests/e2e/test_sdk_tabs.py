"""The JavaScript client in real tabs of one user, which have one storage: IndexedDB, kept by the browser."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.servers import DevServer

WITHIN_MS = 15_000
# The page can be away, so that neither its connection nor another one works.
OPEN = """async ({url, session, token, away}) => {
    const {Stagewire} = await import("/sdk/index.js");
    globalThis.away = away;
    class Socket extends WebSocket {
        constructor(...where) {
            if (globalThis.away) throw new Error("away");
            super(...where);
        }
    }
    globalThis.notices = [];
    globalThis.live = new Stagewire(url, {token: () => token, user: "bob", WebSocket: Socket});
    live.on("notice", (notice) => notice?.about === "storage" && notices.push(notice.message));
    globalThis.show = live.session(session);
    live.connect().catch(() => {});
}"""
WRITE = """async (texts) => {
    for (const text of texts) show.send(text);
    await live.flushed();
}"""
TAKE_BACK = """async (text) => {
    live.pending.find((delivery) => delivery.text === text).drop();
    await live.flushed();
}"""
LEAVE = """() => {
    globalThis.away = true;
    live.drop();
}"""
RETURN = """() => {
    globalThis.away = false;
    live.retry();
}"""
LATER = """() => new Promise((resolve) => {
    const request = indexedDB.open("stagewire", 2);
    request.onsuccess = () => resolve(request.result.close());
})"""
DELETE = """() => new Promise((resolve) => {
    indexedDB.deleteDatabase("stagewire").onsuccess = () => resolve();
})"""


class Tab:
    """A tab that follows a session."""

    def __init__(self, page: Page, server: DevServer, session: str) -> None:
        self.page = page
        self.page.set_default_timeout(WITHIN_MS)
        self._server = server
        self._session = session

    def load(self, *, away: bool = False) -> None:
        """Load the page, anew where it was loaded."""
        self.page.goto(self._server.url)
        known = {
            "url": self._server.websocket,
            "session": self._session,
            "token": sign_in(self._server, "bob", "viewer"),
        }
        self.page.evaluate(OPEN, {**known, "away": away})
        self.wait("show.joined" if not away else "live.state.name === 'offline'")

    def write(self, *texts: str) -> None:
        """Write messages, and wait until the browser keeps them."""
        self.page.evaluate(WRITE, texts)

    def take_back(self, text: str) -> None:
        """Take a message back."""
        self.page.evaluate(TAKE_BACK, text)

    def leave(self) -> None:
        """Lose the network."""
        self.page.evaluate(LEAVE)

    def come_back(self) -> None:
        """Have the network again."""
        self.page.evaluate(RETURN)

    def has_pending(self, *texts: str) -> None:
        """Expect just these to be on their way, in this order."""
        self.wait("JSON.stringify(live.pending.map(({text}) => text)) === JSON.stringify(expected)", list(texts))

    def is_done(self, *texts: str) -> None:
        """Expect just these messages to be shown, in any order, and none to be on its way."""
        shown = "show.messages.map(({text}) => text).sort()"
        self.wait(f"show.complete && JSON.stringify({shown}) === JSON.stringify(expected)", sorted(texts))
        self.has_pending()

    def wait(self, condition: str, expected: Any = None) -> None:
        """Wait until something is so."""
        self.page.wait_for_function(f"(expected) => {condition}", arg=expected)


def sign_in(server: DevServer, user: str, role: str) -> str:
    reply = requests.post(f"{server.url}/dev/token", json={"user": user, "role": role}, timeout=10)
    return str(reply.json()["token"])


@pytest.fixture
def session(server: DevServer) -> str:
    headers = {"Authorization": f"Bearer {sign_in(server, 'alice', 'seller')}"}
    created = requests.post(f"{server.url}/v1/sessions", json={"title": "A show"}, headers=headers, timeout=10).json()
    requests.post(f"{server.url}/v1/sessions/{created['id']}/start", headers=headers, timeout=10).raise_for_status()
    return str(created["id"])


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as opened:
        yield opened


def logged(server: DevServer, session: str) -> list[str]:
    headers = {"Authorization": f"Bearer {sign_in(server, 'alice', 'seller')}"}
    url = f"{server.url}/v1/sessions/{session}/events"
    events = requests.get(url, headers=headers, timeout=10).json()["events"]
    return [event["body"]["text"] for event in events if event["kind"] == "chat.posted"]


def test_what_two_tabs_write_offline_is_sent_once_and_in_order(
    server: DevServer, context: BrowserContext, session: str
) -> None:
    one, other = (Tab(context.new_page(), server, session) for _ in range(2))
    for tab in (one, other):
        tab.load()
        tab.leave()
    one.write("a0", "a1", "a2")
    other.write("b0", "b1")
    one.load(away=True)
    one.has_pending("a0", "a1", "a2", "b0", "b1")
    one.write("a3")
    one.take_back("a1")
    other.take_back("b0")
    other.write("b2")
    # A tab that was opened and closed meanwhile has had it all, too.
    third = Tab(context.new_page(), server, session)
    third.load(away=True)
    third.has_pending("a0", "a2", "b1", "a3", "b2")
    third.come_back()
    third.page.close()
    one.come_back()
    one.has_pending()
    other.page.close()
    # What was left behind beside an open tab is sent by whatever page comes next.
    again = Tab(context.new_page(), server, session)
    again.load()
    for tab in (one, again):
        tab.is_done("a0", "a2", "a3", "b1", "b2")
    texts = logged(server, session)
    assert [text for text in texts if text.startswith("a")] == ["a0", "a2", "a3"]
    assert [text for text in texts if text.startswith("b")] == ["b1", "b2"]


def test_two_tabs_that_both_come_back_send_nothing_twice(
    server: DevServer, context: BrowserContext, session: str
) -> None:
    one = Tab(context.new_page(), server, session)
    one.load(away=True)
    texts = [f"a{number}" for number in range(12)]
    one.write(*texts)
    other = Tab(context.new_page(), server, session)
    other.load(away=True)
    other.has_pending(*texts)
    for tab in (one, other):
        tab.come_back()
    for tab in (one, other):
        tab.is_done(*texts)
    assert logged(server, session) == texts


def test_a_database_of_a_later_version_is_told_of_once(
    server: DevServer, context: BrowserContext, session: str
) -> None:
    tab = Tab(context.new_page(), server, session)
    tab.load()
    tab.page.evaluate(LATER)
    tab.leave()
    tab.write("one", "two", "three")
    assert tab.page.evaluate("notices.length") == 1
    tab.come_back()
    tab.is_done("one", "two", "three")
    tab.page.evaluate(DELETE)
    tab.leave()
    tab.write("four")
    tab.load()
    tab.is_done("one", "two", "three", "four")
    assert logged(server, session) == ["one", "two", "three", "four"]
