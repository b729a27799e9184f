"""A bad line between a window and the server."""

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from playwright.sync_api import WebSocketRoute

from tests.e2e.windows import WITHIN_MS, Window

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
        self._route: WebSocketRoute | None = None
        window.page.route_web_socket("**/v1/ws", self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        self._route = route
        server = route.connect_to_server()
        route.on_message(lambda data: self._pass(data, self.out, server))
        server.on_message(lambda data: self._pass(data, self.back, route))

    def _pass(self, data: str | bytes, change: Change, target: WebSocketRoute) -> None:
        message = change(json.loads(data))
        if message is not None:
            self.passed[message["type"]] += 1
            target.send(json.dumps(message))

    def tell(self, message: Message) -> None:
        """Have the window hear something that the server has not said."""
        assert self._route is not None
        self._route.send(json.dumps(message))

    def cut(self, code: int) -> None:
        """Have the window see its connection closed."""
        assert self._route is not None
        self._route.close(code=code)

    def wait_for(self, kind: str, times: int = 1) -> None:
        """Wait until so many messages of a kind have passed in all."""
        deadline = time.monotonic() + WITHIN_MS / 1000
        while self.passed[kind] < times:
            assert time.monotonic() < deadline
            self._window.page.wait_for_timeout(20)
