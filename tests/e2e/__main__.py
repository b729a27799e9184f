"""Takes the documentation's pictures of the studio anew: `python -m tests.e2e docs/images`."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import ViewportSize, expect
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.e2e.windows import Window, Windows, launched
from tests.support.servers import DevServer, dev_server

TITLE = "Friday drop: autumn jackets"
DESKTOP = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)
CROWD = ["dana", "eli", "finn", "gia", "hugo", "ines", "jun", "kofi", "lena", "milo", "nora", "otto", "pia", "quinn"]
# Who is there, every other second of a minute.
COURSE = [0, 1, 1, 2, 3, 3, 4, 6, 6, 7, 7, 8, 9, 9, 8, 9, 10, 11, 11, 12, 12, 11, 12, 13, 13, 14, 14, 13, 14, 14]
TALK = [
    ("alice", "Welcome to the autumn drop! We start with the waxed jackets."),
    ("dana", "Is the green one back?"),
    ("alice", "It is, in M and L. Two of each left."),
    ("bob", "I take the M!"),
    ("eli", "What is the lining made of?"),
    ("alice", "Recycled wool. It is warm, and it does not itch."),
    ("carol", "L for me, please"),
]


def admitted(server: DevServer, session: str, user: str, stack: ExitStack) -> "Guest":
    """Give a guest, who leaves with the stack at the latest."""
    token = httpx.post(f"{server.url}/dev/token", json={"user": user, "role": "viewer"}).json()["token"]
    protocols = [Subprotocol("stagewire.v1.json")]
    # Nobody reads what comes, so what is owed for it must not be waited for.
    socket = connect(server.websocket, subprotocols=protocols, ping_interval=None, max_queue=None)
    return Guest(stack.enter_context(socket), session, token)


class Guest:
    """Somebody in the crowd, who watches and talks."""

    def __init__(self, socket: ClientConnection, session: str, token: str) -> None:
        self._socket = socket
        self._session = session
        self.send(type="hello", token=token)
        self.send(type="join", session=session)
        self.watch()

    def watch(self) -> None:
        """Go on watching."""
        self.send(type="playback", session=self._session)

    def send(self, **command: Any) -> None:
        """Send a command."""
        self._socket.send(json.dumps(command))

    def say(self, text: str, key: str) -> None:
        """Write a message."""
        self.send(type="chat.send", session=self._session, key=key, text=text)

    def close(self) -> None:
        """Leave."""
        self._socket.close()


@contextmanager
def a_show(server: DevServer, windows: Windows) -> Iterator[tuple[Window, Window, Window]]:
    """Give the windows of a host, of a viewer at a desk, and of one with a phone, after a minute of a show."""
    host = windows.open(width=DESKTOP["width"], height=DESKTOP["height"], moving=True)
    host.sign_in("alice", "Seller")
    link = host.create(TITLE)
    host.click("Start session")
    viewer = windows.open(link, width=DESKTOP["width"], height=DESKTOP["height"], dark=True, moving=True)
    viewer.sign_in("bob", "Viewer")
    phone = windows.open(link, width=PHONE["width"], height=PHONE["height"], moving=True)
    phone.sign_in("carol", "Viewer")
    session = link.partition("=")[2]
    with ExitStack() as stack:
        crowd: dict[str, Guest] = {}
        writers = {"alice": host, "bob": viewer, "carol": phone}
        talk = list(enumerate(TALK))
        for turn, size in enumerate(COURSE):
            for user in CROWD[len(crowd) : size]:
                crowd[user] = admitted(server, session, user, stack)
            for user in CROWD[size : len(crowd)]:
                crowd.pop(user).close()
            while talk and talk[0][0] * len(COURSE) <= turn * len(TALK) and (talk[0][1][0] in {**writers, **crowd}):
                number, (user, text) = talk.pop(0)
                if user in writers:
                    writers[user].say(text)
                else:
                    crowd[user].say(text, f"00000000-0000-4000-8000-{number:012}")
            for guest in crowd.values():
                guest.watch()
            time.sleep(2)
        expect(host.messages).to_have_count(len(TALK))
        for kind in ["Heart", "Fire", "Heart", "Clap", "Heart", "Laugh", "Heart", "Wow"]:
            viewer.reaction(kind).click()
        viewer.page.get_by_label("Message").press_sequentially("And")
        # By then the reactions have risen, and none has gone.
        host.page.wait_for_timeout(800)
        yield host, viewer, phone


def take(folder: Path) -> None:
    """Take all pictures."""
    with launched() as browser, dev_server(STAGEWIRE_HEARTBEAT="1") as server:
        windows = Windows(browser, server.url)
        with a_show(server, windows) as (host, viewer, phone):
            host.page.screenshot(path=folder / "console.png")
            viewer.page.screenshot(path=folder / "player.png")
            phone.page.screenshot(path=folder / "player-phone.png")
            host.page.emulate_media(color_scheme="dark")
            host.page.set_viewport_size(PHONE)
            host.page.screenshot(path=folder / "console-phone.png")
            viewer.page.emulate_media(color_scheme="light")
            viewer.click("Connection details")
            viewer.click("Offline for 10 s")
            viewer.page.get_by_label("Message").fill("")
            for text in ["One more question:", "does it come in blue?"]:
                viewer.say(text)
            viewer.page.wait_for_timeout(1500)
            viewer.page.screenshot(path=folder / "recovery.png")
        windows.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
