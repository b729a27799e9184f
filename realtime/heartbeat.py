"""One wheel for all connections: it pings them, finds the silent, and sends away who never says hello.

A connection sits on one of `SPOKES` spokes and is pinged when its spoke comes up, once per heartbeat. The first time
is soon after its hello, so that it learns early how good it is.
Those of a spoke who follow the same sessions share one encoded ping.
"""

import asyncio
from collections.abc import Callable, Sequence
from math import ceil
from time import time_ns
from typing import Final

from realtime import quality
from realtime.frames import to_frame
from realtime.peer import Pinged
from realtime.protocol.codec import Codec, Format
from realtime.protocol.codes import Close
from realtime.protocol.events import Ping
from realtime.protocol.types import Position
from realtime.settings import Settings
from realtime.transport import Connection

SPOKES: Final = 20
# Pings in one go, before everything else has its turn: some 4 ms.
MOST: Final = 500
# By so many seconds a turn is late before which the node stood still.
STALL: Final = 3.0

# Gives the head of a session.
HeadOf = Callable[[str], Position]
# The pings of one go, encoded, by format and sessions.
Pings = dict[tuple[Format, frozenset[str]], tuple[bytes, Pinged]]


class Heartbeat:
    """The wheel. Its clock is the event loop's, as the connections' is."""

    def __init__(self, head_of: HeadOf, settings: Settings) -> None:
        self._head_of = head_of
        self._settings = settings
        self._spokes: list[set[Connection]] = [set() for _ in range(SPOKES)]
        self._spoke_of: dict[Connection, set[Connection]] = {}
        # In the order of their arrival, so the first is always the one whose time is up first.
        self._strangers: dict[Connection, float] = {}
        self._turn = 0
        self._turned: float | None = None
        # When this node stood still last, and could listen to nobody.
        self._deaf: float | None = None
        # An answer is missed so many steps after its ping; at the latest before the next one goes out.
        self._patience = min(ceil(settings.pong_timeout * SPOKES / settings.heartbeat), SPOKES - 1)

    def expect_hello(self, connection: Connection) -> None:
        """Give a new connection its time to say hello."""
        self._strangers[connection] = connection.opened_at + self._settings.hello_timeout

    def add(self, connection: Connection) -> None:
        """Keep an identified connection alive. It is pinged with the next step but one, and then each heartbeat."""
        self._strangers.pop(connection, None)
        spoke = self._spokes[(self._turn + 1) % SPOKES]
        spoke.add(connection)
        self._spoke_of[connection] = spoke

    def remove(self, connection: Connection) -> None:
        """Let go of a connection."""
        self._strangers.pop(connection, None)
        if spoke := self._spoke_of.pop(connection, None):
            spoke.discard(connection)

    async def run(self) -> None:
        """Turn for ever."""
        while True:
            await asyncio.sleep(self._settings.heartbeat / SPOKES)
            self.turn(asyncio.get_running_loop().time())

    def turn(self, now: float) -> None:
        """Do what is due at `now`, and step on by one spoke."""
        self._notice_stall(now)
        self._send_strangers_away(now)
        if self._deaf is None or now - self._deaf > self._settings.silence:
            self._send_silent_away(now)
        self._miss(self._spokes[(self._turn - self._patience) % SPOKES])
        self._ping(list(self._spokes[self._turn]))
        self._turn = (self._turn + 1) % SPOKES

    def _notice_stall(self, now: float) -> None:
        """Blame nobody for a time in which this node stood still: what was said then waits to be read."""
        if self._turned is not None and now - self._turned > self._settings.heartbeat / SPOKES + STALL:
            self._deaf = now
        self._turned = now

    def _send_silent_away(self, now: float) -> None:
        for connection in [c for c in self._spoke_of if now - c.last_heard > self._settings.silence]:
            # Who is behind is not listened to, and watched by the hub.
            if not connection.behind:
                connection.close(Close.HEARTBEAT_LOST, "no sign of life")

    def _miss(self, spoke: set[Connection]) -> None:
        for connection in spoke:
            if connection.peer.silent:
                quality.missed(connection, connection.peer)

    def _send_strangers_away(self, now: float) -> None:
        late = []
        for connection, deadline in self._strangers.items():
            if deadline > now:
                break
            late.append(connection)
        for connection in late:
            self._strangers.pop(connection, None)
            connection.close(Close.NO_HELLO, "no hello in time")

    def _ping(self, spoke: Sequence[Connection]) -> None:
        loop = asyncio.get_running_loop()
        pings: Pings = {}
        now = int(loop.time() * 1000)
        for connection in spoke[:MOST]:
            if connection in self._spoke_of:
                frame, pinged = self._ping_for(connection, pings, now)
                connection.peer.ping(pinged)
                connection.write(frame)
        if rest := spoke[MOST:]:
            loop.call_soon(self._ping, rest)

    def _ping_for(self, connection: Connection, pings: Pings, now: int) -> tuple[bytes, Pinged]:
        # Who is behind may have to do without some of what is there, and would believe to have lost it.
        known = () if connection.behind else connection.peer.joined
        key = (connection.codec.name, frozenset(known))
        ping = pings.get(key)
        if ping is None:
            heads = {session: self._head_of(session) for session in key[1]}
            ping = pings[key] = (_encode(connection.codec, heads), Pinged(now, heads))
        return ping


def _encode(codec: Codec, heads: dict[str, Position]) -> bytes:
    return to_frame(codec.encode(Ping(now=time_ns() // 1_000_000, heads=heads)), binary=codec.binary)
