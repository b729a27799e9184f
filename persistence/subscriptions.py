"""Sharded pub/sub: this node's subscriptions, each at the server that holds its channel.

A server that is alone holds them all, one of a cluster those of its slots. There is one connection to each
server that holds a channel of ours. It comes back by itself, and its channels follow their slots: a server
says `sunsubscribe` when it gives a slot away, answers `MOVED` where it does not hold one, or is gone; and every
`survey` seconds the cluster is asked who holds what, since a server that was cut off from the others may still
answer us. See SSUBSCRIBE in https://valkey.io/topics/pubsub/.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog
from msgspec import Struct
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError

from persistence.errors import StorageError, Unavailable
from persistence.redis import DRIVER_ERRORS, Redis, spread, translated
from persistence.seldom import Seldom
from persistence.slots import slot_of
from persistence.tasks import end

# So many times within the silence that is trusted, a connection is asked for a sign of life.
_PINGS: Final = 3
# A push has its kind, its channel, and what it says of that.
_PUSH_PARTS: Final = 3
log = structlog.get_logger("hints")
seldom_log = Seldom(log)


class Pace(Struct, frozen=True):
    """Seconds: the silence that is trusted, until what is lost is tried again, and between searches for servers."""

    silence: float
    retry: float
    survey: float

    def pause(self) -> float:
        """Give the time until the next try, with jitter, so that nodes don't come back in step."""
        return self.retry * random.uniform(0.5, 1.5)  # noqa: S311 - not a secret


class Link:
    """The connection to one server: keeps it subscribed to the channels that are wanted there.

    `receive(channel, payload)`, `granted(channel)` and `lost(channels)` are called on the event loop.
    """

    def __init__(
        self,
        server: Redis,
        pace: Pace,
        receive: Callable[[str, bytes], None],
        granted: Callable[[str], None],
        lost: Callable[[set[str]], None],
    ) -> None:
        self.server = server
        self._pace = pace
        self._receive = receive
        self._on_granted = granted
        self._on_lost = lost
        self.wanted: set[str] = set()
        # Of these, those whose messages flow.
        self.granted: set[str] = set()
        # What this connection has asked for, which channels may differ from that, and unanswered leaves.
        self._asked: set[str] = set()
        self._due: set[str] = set()
        self._leaving: Counter[str] = Counter()
        self._changed = asyncio.Event()
        # Whether the last connection was lost, and the next one is not yet there.
        self.broken = False

    def add(self, channel: str) -> None:
        """Subscribe soon."""
        self.wanted.add(channel)
        self._note(channel)

    def remove(self, channel: str) -> None:
        """Unsubscribe soon."""
        self.wanted.discard(channel)
        self.granted.discard(channel)
        self._note(channel)

    def _note(self, channel: str) -> None:
        self._due.add(channel)
        self._changed.set()

    async def run(self) -> None:
        """Connect, and connect again, for ever."""
        while True:
            try:
                await self._serve()
            except StorageError as exc:
                seldom_log.warning("hints stopped", reason=str(exc))
            except Exception:
                # Whatever one hint has done to its receiver, the next ones must come.
                log.exception("hints stopped")
            self.broken = True
            self._on_lost(set(self.wanted))
            await asyncio.sleep(self._pace.pause())

    async def _serve(self) -> None:
        pool = self.server.connection_pool
        with translated():
            connection = await pool.get_connection()  # type: ignore[no-untyped-call] # redis-py's
            try:
                self.broken = False
                await self._converse(connection)
            finally:
                self.granted.clear()
                await pool.release(connection)

    async def _converse(self, connection: AbstractConnection) -> None:
        self._asked, self._due, self._leaving = set(), set(self.wanted), Counter()
        self._changed.set()
        asking = asyncio.create_task(self._ask_always(connection))
        try:
            await self._read(connection)
        finally:
            try:
                await end([asking])
            finally:
                await connection.disconnect(nowait=True)

    async def _ask_always(self, connection: AbstractConnection) -> None:
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._ask(connection)
        except (*DRIVER_ERRORS, AttributeError):
            # The last is how redis-py meets a connection that has just been closed. Whoever reads says why it was.
            await connection.disconnect(nowait=True)

    async def _ask(self, connection: AbstractConnection) -> None:
        if changes := self._changes():
            await connection.send_packed_command(connection.pack_commands(changes))

    def _changes(self) -> list[tuple[str, str]]:
        """Take what is due, as commands. One channel each: those of one command must lie in one slot."""
        new = (self._due & self.wanted) - self._asked
        gone = (self._due & self._asked) - self.wanted
        self._due = set()
        self._asked = (self._asked | new) - gone
        self._leaving.update(gone)
        return [("SSUBSCRIBE", channel) for channel in new] + [("SUNSUBSCRIBE", channel) for channel in gone]

    async def _read(self, connection: AbstractConnection) -> None:
        patience = self._pace.silence / _PINGS
        silent = 0
        while silent < _PINGS:
            try:
                reply = await connection.read_response(timeout=patience, disconnect_on_error=False, push_request=True)
            except MovedError as exc:
                self._lose({channel for channel in self._asked if slot_of(channel) == exc.slot_id})
                continue
            if reply is None:
                silent += 1
                await connection.send_command("PING")
            else:
                silent = 0
                self._take(reply)
        raise Unavailable("the subscription has gone silent")

    def _take(self, reply: Any) -> None:
        # Anything else answers a ping.
        if not isinstance(reply, list) or len(reply) != _PUSH_PARTS:
            return
        kind, channel = reply[0], reply[1].decode()
        if kind == b"smessage":
            self._receive(channel, reply[2])
        elif kind == b"ssubscribe" and channel in self.wanted and not self._leaving[channel]:
            self.granted.add(channel)
            self._on_granted(channel)
        elif kind == b"sunsubscribe" and not self._left(channel):
            self._lose({channel} & self._asked)

    def _left(self, channel: str) -> bool:
        """Tell whether a leave was asked for; each answer counts for one."""
        if not self._leaving[channel]:
            return False
        self._leaving[channel] -= 1
        if not self._leaving[channel]:
            del self._leaving[channel]
        return True

    def _lose(self, channels: set[str]) -> None:
        """Take note that this server does not hold these any more."""
        self._asked -= channels
        self.granted -= channels
        for channel in channels:
            del self._leaving[channel]
        self._on_lost(channels & self.wanted)


class Subscriptions:
    """All channels that this node wants; `receive(channel, payload)` is called for each message."""

    def __init__(self, redis: Redis, receive: Callable[[str, bytes], None], pace: Pace) -> None:
        self._redis = redis
        self._receive = receive
        self._pace = pace
        # Each wanted channel, and who waits for it: True when it flows, False when that will take longer.
        self._wanted: dict[str, asyncio.Future[bool]] = {}
        self._unplaced: set[str] = set()
        self._placed: dict[str, Link] = {}
        self._links: dict[Redis, tuple[Link, asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._later: asyncio.TimerHandle | None = None
        # Whether a server has given cause to ask anew who holds what, and whether nobody could tell last time.
        self._doubtful = False
        self._blind = False
        self._running = False

    @property
    def complete(self) -> bool:
        """Tell whether all that is wanted flows now."""
        links = [link for link, _ in self._links.values()]
        return self._running and not self._unplaced and all(len(link.granted) == len(link.wanted) for link in links)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Give what runs for the links."""
        return {task for _, task in self._links.values()} | self._ending

    def want(self, channel: str) -> asyncio.Future[bool]:
        """Subscribe to a channel. The future says whether it flows, or will do so only later."""
        answer = self._wanted.get(channel)
        if answer is None or (answer.done() and not self._flows(channel)):
            answer = self._wanted[channel] = asyncio.get_running_loop().create_future()
        if channel not in self._placed:
            self._unplaced.add(channel)
            self._changed.set()
        self._settle(channel)
        return answer

    def leave(self, channel: str) -> None:
        """Unsubscribe from a channel."""
        self._give_up([channel])
        self._wanted.pop(channel, None)
        self._unplaced.discard(channel)
        self._displace(channel)

    async def run(self) -> None:
        """Bring every wanted channel to the server that holds it, for ever."""
        self._running = True
        try:
            while True:
                try:
                    async with asyncio.timeout(self._pace.survey):
                        await self._changed.wait()
                except TimeoutError:
                    self._doubtful = True
                self._changed.clear()
                for task in self._ending:
                    # Once is not always enough, see persistence.tasks.
                    task.cancel()
                await self._arrange()
        finally:
            self._running = False
            for server in list(self._links):
                self._close(server)
            if self._later is not None:
                self._later.cancel()

    async def _arrange(self) -> None:
        anew, self._doubtful = self._doubtful, False
        sought = list(self._wanted) if anew else list(self._unplaced)
        if not sought:
            return
        try:
            places = await spread(self._redis, sought, anew=anew)
            self._blind = False
        except StorageError as exc:
            seldom_log.warning("hints stopped", reason=str(exc))
            places = {}
            self._blind = True
            self._lost(set(sought))
        for server, channels in places.items():
            for channel in channels:
                self._place(channel, server)
        if self._unplaced:
            self._lost(set(self._unplaced))

    def _place(self, channel: str, server: Redis) -> None:
        if channel not in self._wanted:
            return
        link = self._link(server)
        if self._placed.get(channel) is not link:
            self._displace(channel)
            self._placed[channel] = link
            self._unplaced.discard(channel)
        link.add(channel)
        self._settle(channel)

    def _displace(self, channel: str) -> None:
        link = self._placed.pop(channel, None)
        if link is not None:
            link.remove(channel)
            if not link.wanted:
                self._close(link.server)

    def _link(self, server: Redis) -> Link:
        if server not in self._links:
            link = Link(server, self._pace, self._receive, self._settle, self._lost)
            self._links[server] = link, asyncio.create_task(link.run())
        return self._links[server][0]

    def _close(self, server: Redis) -> None:
        _, task = self._links.pop(server)
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _flows(self, channel: str) -> bool:
        link = self._placed.get(channel)
        return link is not None and channel in link.granted

    def _settle(self, channel: str) -> None:
        """Answer who waits for a channel, if anything can be said."""
        link = self._placed.get(channel)
        answer = self._wanted.get(channel)
        if answer is None or answer.done():
            return
        if self._flows(channel):
            answer.set_result(True)
        elif self._blind or (link is not None and link.broken):
            answer.set_result(False)

    def _lost(self, channels: set[str]) -> None:
        """Look for these soon again, where they are then."""
        self._give_up(channels)
        self._doubtful = True
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(self._pace.pause(), self._look_again)

    def _give_up(self, channels: Iterable[str]) -> None:
        for channel in channels:
            answer = self._wanted.get(channel)
            if answer is not None and not answer.done():
                answer.set_result(False)

    def _look_again(self) -> None:
        self._later = None
        self._changed.set()
