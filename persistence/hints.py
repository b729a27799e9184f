"""Hints: committed events on their way to the other nodes, over Redis pub/sub.

A hint may be lost, and is never waited for: whoever misses one finds out from the log's head.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from msgspec import Struct
from redis.asyncio.client import PubSub

from persistence.errors import StorageError, Unavailable
from persistence.redis import Redis, translated
from persistence.seldom import Seldom

Receive = Callable[[str, bytes], None]

# Seconds that a cancelled task has to end before it is cancelled again.
AGAIN: Final = 0.1
_PREFIX: Final = "sw:hints:"
# Everyone listens here, so that a connection always has something to stay subscribed to.
_ALL: Final = _PREFIX + "all"
log = structlog.get_logger("hints")
seldom_log = Seldom(log)


class HintSettings(Struct, frozen=True):
    """The bounds of hints; times are in seconds.

    `backlog` hints may wait to be published. A subscription is waited for `confirm`, silence is trusted
    for `silence`, and a lost connection is tried again after about `retry`.
    """

    backlog: int = 10_000
    confirm: float = 1.0
    silence: float = 3.0
    retry: float = 0.5


class Hints:
    """Publishes this node's hints, and receives those of the sessions that it follows.

    `receive(session, payload)` is called for each, on the event loop.
    """

    def __init__(self, redis: Redis, receive: Receive, settings: HintSettings) -> None:
        self._redis = redis
        self._receive = receive
        self._settings = settings
        self._outgoing: deque[tuple[str, bytes]] = deque()
        self._wake = asyncio.Event()
        self._syncing = asyncio.Lock()
        self._followed: dict[str, asyncio.Future[None]] = {}
        self._pubsub: PubSub | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.dropped = 0
        self.sent = 0
        self.received = 0

    @property
    def connected(self) -> bool:
        """Tell whether hints can be received now."""
        return self._pubsub is not None

    def start(self) -> None:
        """Begin to publish and to listen."""
        self._tasks = [asyncio.create_task(self._publish_all()), asyncio.create_task(self._listen_always())]

    async def stop(self) -> None:
        """Stop both; what still waits to be published is dropped."""
        running = set(self._tasks)
        while running:
            # Again and again: before Python 3.12 `wait_for`, which redis-py uses, may swallow a
            # cancellation (python/cpython#86296).
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=AGAIN)

    def publish(self, session: str, payload: bytes) -> None:
        """Send a hint soon. The oldest gives way where too many wait."""
        if len(self._outgoing) >= self._settings.backlog:
            self._outgoing.popleft()
            self.dropped += 1
        self._outgoing.append((session, payload))
        self._wake.set()

    async def follow(self, session: str) -> None:
        """Receive the session's hints. Returns when they flow, or when that took too long."""
        confirmed = asyncio.get_running_loop().create_future()
        self._followed[session] = confirmed
        if await self._sync(session):
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(confirmed), self._settings.confirm)

    async def unfollow(self, session: str) -> None:
        """Receive the session's hints no more."""
        self._followed.pop(session, None)
        await self._sync(session)

    async def _sync(self, session: str) -> bool:
        """Have the subscription follow the wish; tell whether it was asked for.

        One at a time: a session that is let go and wanted again at once must not end unsubscribed.
        """
        async with self._syncing:
            wanted = session in self._followed
            if self._pubsub is None:
                return False
            command = self._pubsub.subscribe if wanted else self._pubsub.unsubscribe
            with suppress(StorageError), translated():
                await command(_PREFIX + session)
                return wanted
        return False

    async def _publish_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._outgoing = self._outgoing, deque()
            try:
                await self._publish(batch)
                self.sent += len(batch)
            except StorageError as exc:
                self.dropped += len(batch)
                seldom_log.warning("hints lost", count=len(batch), reason=str(exc))

    async def _publish(self, batch: deque[tuple[str, bytes]]) -> None:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for session, payload in batch:
                    pipe.publish(_PREFIX + session, payload)
                await pipe.execute()

    async def _listen_always(self) -> None:
        while True:
            try:
                await self._listen()
            except StorageError as exc:
                seldom_log.warning("hints stopped", reason=str(exc))
            except Exception:
                # Whatever one hint has done to its receiver, the next ones must come.
                log.exception("hints stopped")
            # Jitter, so that nodes don't come back in step.
            await asyncio.sleep(self._settings.retry * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret

    async def _listen(self) -> None:
        pubsub = self._redis.pubsub()
        try:
            with translated():
                await pubsub.subscribe(_ALL)
                # From here on `follow` subscribes by itself, so no session falls between the two.
                self._pubsub = pubsub
                if self._followed:
                    await pubsub.subscribe(*(_PREFIX + session for session in self._followed))
                await self._read(pubsub)
        finally:
            self._pubsub = None
            with suppress(StorageError), translated():
                await pubsub.aclose()  # type: ignore[no-untyped-call] # redis-py leaves it untyped

    async def _read(self, pubsub: PubSub) -> None:
        patience = self._settings.silence / 3
        silent = 0
        while silent < 3:  # noqa: PLR2004 - thirds of the silence that is trusted
            message = await pubsub.get_message(timeout=patience)
            if message is None:
                silent += 1
                await pubsub.ping()
            else:
                silent = 0
                self._on_message(message)
        raise Unavailable("the subscription has gone silent")

    def _on_message(self, message: dict[str, Any]) -> None:
        if message["type"] == "pong":
            return
        session = message["channel"].decode().removeprefix(_PREFIX)
        if message["type"] == "message":
            self.received += 1
            self._receive(session, message["data"])
        elif message["type"] == "subscribe":
            confirmed = self._followed.get(session)
            if confirmed is not None and not confirmed.done():
                confirmed.set_result(None)
