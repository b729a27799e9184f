"""A bad line between a window and the server."""

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from playwright.sync_api import WebSocketRoute, expect

from tests.e2e.windows import CONNECTED, WITHIN_MS, Window

Message = dict[str, Any]
Change = Callable[[Message], Message | None]


def as_it_is(message: Message) -> Message | None:
    return message


def nothing(_: Message) -> Message | None:
    return None


def without(kind: str) -> Change:
    return lambda message: None if message["type"] == kind else message


class Line:
    """Stands between a window and the server, and changes what is to be changed.

    `out` and `back` take a message to the server or from it, and give what is to be passed on, or None.
    """

    def __init__(self, window: Window) -> None:
        self.out: Change = as_it_is
        self.back: Change = as_it_is
        # What was passed on, by kind.
        self.passed: Counter[str] = Counter()
        self._window = window
        # The route over which the window was welcomed last, unless it was cut since.
        self._welcomed: WebSocketRoute | None = None
        window.page.route_web_socket("**/v1/ws", self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        route.on_message(lambda data: self._pass(data, self.out, server))
        server.on_message(lambda data: self._pass(data, self.back, route))

    def _pass(self, data: str | bytes, change: Change, target: WebSocketRoute) -> None:
        message = change(json.loads(data))
        if message is None:
            return
        self.passed[message["type"]] += 1
        target.send(json.dumps(message))
        if message["type"] == "welcome":
            self._welcomed = target

    def tell(self, message: Message) -> None:
        """Have the window hear something that the server has not said."""
        self._living().send(json.dumps(message))

    def cut(self, code: int) -> None:
        """Have the window see its connection closed."""
        route = self._living()
        # Lines that were cut a moment ago are no reason to wait for longer each time, up to 20 s.
        self._window.page.evaluate("dispatchEvent(new Event('online'))")
        self._welcomed = None
        route.close(code=code)

    def wait_for(self, kind: str, times: int = 1) -> None:
        """Wait until so many messages of a kind have passed in all."""
        self.wait_until(lambda: self.passed[kind] >= times)

    def wait_until(self, met: Callable[[], bool]) -> None:
        """Wait until something has passed."""
        deadline = time.monotonic() + WITHIN_MS / 1000
        while not met():
            assert time.monotonic() < deadline
            self._window.page.wait_for_timeout(20)

    def _living(self) -> WebSocketRoute:
        # A busy machine loses lines by itself, and what is done to one that is lost already is done to nobody.
        self.wait_until(lambda: self._welcomed is not None)
        expect(self._window.page.get_by_role("status", name="Connection")).to_have_text(CONNECTED)
        assert self._welcomed is not None
        return self._welcomed
