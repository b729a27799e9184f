"""Hints: committed events on their way to the other nodes, over sharded pub/sub of Redis.

A hint may be lost, and is never waited for: whoever misses one finds out from the log's head.
Each session has a channel. So may other things that nodes tell each other: `publish` takes any key, and
`always` follows one for as long as the node runs.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog
from msgspec import Struct

from persistence.errors import StorageError, Unavailable
from persistence.redis import Redis, spread, translated
from persistence.seldom import Seldom
from persistence.subscriptions import Pace, Subscriptions
from persistence.tasks import end

Receive = Callable[[str, bytes], None]
_Hint = tuple[str, bytes]

# The braces put a session's channel into the slot of its keys.
_BEFORE: Final = "sw:{"
_AFTER: Final = "}:hints"
log = structlog.get_logger("hints")
seldom_log = Seldom(log)


class HintSettings(Struct, frozen=True):
    """The bounds of hints; times are in seconds.

    `backlog` hints may wait to be published at each server. A subscription is waited for `confirm`, silence
    is trusted for `silence`, a lost connection is tried again after about `retry`, and a cluster is asked
    every `survey` which of its servers holds what.
    """

    backlog: int = 10_000
    confirm: float = 1.0
    silence: float = 3.0
    retry: float = 0.5
    survey: float = 5.0


class Hints:
    """Publishes this node's hints, and receives those of the sessions that it follows.

    `receive(session, payload)` is called for each, on the event loop.
    """

    def __init__(self, redis: Redis, receive: Receive, settings: HintSettings) -> None:
        self._redis = redis
        self._receive = receive
        self._settings = settings
        pace = Pace(settings.silence, settings.retry, settings.survey)
        self._subscriptions = Subscriptions(redis, self._on_message, pace)
        self._receivers: dict[str, Callable[[bytes], None]] = {}
        self._outgoing: deque[_Hint] = deque()
        self._wake = asyncio.Event()
        # What waits for each server, and who sends it: a silent server holds up no other.
        self._lanes: dict[Redis, deque[_Hint]] = {}
        self._sending: dict[Redis, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.dropped = 0
        self.sent = 0
        self.received = 0

    @property
    def connected(self) -> bool:
        """Tell whether all that is followed can be received now."""
        return self._subscriptions.complete

    def start(self) -> None:
        """Begin to publish and to listen."""
        self._tasks = [asyncio.create_task(self._publish_always()), asyncio.create_task(self._subscriptions.run())]

    async def stop(self) -> None:
        """Stop both; what still waits to be published is dropped."""
        await end(self._tasks)
        await end([*self._sending.values(), *self._subscriptions.tasks])

    def publish(self, key: str, payload: bytes) -> None:
        """Send a hint soon, to all who follow the key: a session's, or one that is followed always.

        The oldest gives way where too many wait.
        """
        self._keep(self._outgoing, (_BEFORE + key + _AFTER, payload))
        self._wake.set()

    def _keep(self, queue: deque[_Hint], hint: _Hint) -> None:
        if len(queue) >= self._settings.backlog:
            queue.popleft()
            self.dropped += 1
        queue.append(hint)

    async def follow(self, session: str) -> None:
        """Receive the session's hints. Returns when they flow, or when that would take too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.confirm):
                await asyncio.shield(self._subscriptions.want(_BEFORE + session + _AFTER))

    async def unfollow(self, session: str) -> None:
        """Receive the session's hints no more."""
        self._subscriptions.leave(_BEFORE + session + _AFTER)

    def always(self, key: str, receive: Callable[[bytes], None]) -> None:
        """Follow a key from now on: `receive(payload)` is called for each of its hints, on the event loop."""
        self._receivers[key] = receive
        self._subscriptions.want(_BEFORE + key + _AFTER)

    def _on_message(self, channel: str, payload: bytes) -> None:
        key = channel.removeprefix(_BEFORE).removesuffix(_AFTER)
        self.received += 1
        if receive := self._receivers.get(key):
            receive(payload)
        else:
            self._receive(key, payload)

    async def _publish_always(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._publish_all()

    async def _publish_all(self) -> None:
        batch, self._outgoing = self._outgoing, deque()
        try:
            places = await spread(self._redis, {channel for channel, _ in batch})
        except StorageError as exc:
            self._drop(len(batch), exc)
        else:
            self._distribute(batch, places)

    def _distribute(self, batch: deque[_Hint], places: dict[Redis, list[str]]) -> None:
        servers = {channel: server for server, channels in places.items() for channel in channels}
        homeless = 0
        for hint in batch:
            if server := servers.get(hint[0]):
                self._keep(self._lanes.setdefault(server, deque()), hint)
            else:
                homeless += 1
        if homeless:
            self._drop(homeless, Unavailable("no server holds their channels"))
        for server in self._lanes.keys() - self._sending.keys():
            self._sending[server] = asyncio.create_task(self._empty_lane(server))

    async def _empty_lane(self, server: Redis) -> None:
        try:
            while batch := self._lanes.pop(server, None):
                try:
                    await self._send(batch)
                except StorageError as exc:
                    self._drop(len(batch), exc)
        finally:
            del self._sending[server]

    async def _send(self, batch: deque[_Hint]) -> None:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for channel, payload in batch:
                    pipe.spublish(channel, payload)
                replies = await pipe.execute(raise_on_error=False)
        failures = [reply for reply in replies if isinstance(reply, Exception)]
        self.sent += len(batch) - len(failures)
        if failures:
            self._drop(len(failures), failures[0])

    def _drop(self, count: int, reason: Exception) -> None:
        self.dropped += count
        seldom_log.warning("hints lost", count=count, reason=str(reason))
