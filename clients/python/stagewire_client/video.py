"""The video beside a session: what the user's player does, as the server is told, and the tokens for its channel."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

from stagewire_client.errors import Refused
from stagewire_client.messages import AgoraToken
from stagewire_client.settings import Settings
from stagewire_client.stream import Streams
from stagewire_client.wire import Wire

Playback = Literal["playing", "buffering", "paused"]
Say = Callable[[dict[str, Any]], bool]


class Player:
    """`say` sends a command, if it can; `poor` tells whether less is to be said."""

    def __init__(self, settings: Settings, say: Say, poor: Callable[[], bool]) -> None:
        self._settings = settings
        self._say = say
        self._poor = poor
        self._state: Playback | None = None
        self._news = asyncio.Event()

    def become(self, state: Playback) -> None:
        """Take note of what it does now."""
        if state != self._state:
            self._state = state
            self._news.set()

    async def report_on(self) -> None:
        """Say it, as often as it takes for the server to believe it, until this is cancelled."""
        while True:
            self._news.clear()
            if self._state is not None:
                self._say({"type": "playback", "state": self._state})
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval()):
                    await self._news.wait()

    def _interval(self) -> float | None:
        """Give the seconds until it is said again; nothing where once is enough."""
        if self._state != "playing":
            return None
        return self._settings.playback * (2 if self._poor() else 1)


class Tokens:
    """Those that follow the one for which was asked."""

    def __init__(self, session: str, settings: Settings) -> None:
        self._session = session
        self.streams: Streams[AgoraToken] = Streams(settings.stream)
        self.wanted = False

    async def renew_on(self, wire: Wire) -> None:
        """Ask for one again: the server renews those alone for which this connection has asked."""
        if self.wanted:
            # Whoever is refused sees that none follows.
            with suppress(Refused):
                command = {"type": "agora.token", "session": self._session}
                self.streams.put(await wire.request(command, AgoraToken))
