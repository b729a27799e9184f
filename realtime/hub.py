"""Which connections follow which session, and how bytes reach them: encoded once, written many times."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any, Final

from realtime.domain.lanes import Given, Lane, Missed, Parcel
from realtime.group import Group, skipped
from realtime.outgoing import HIGH_WATER
from realtime.protocol.codec import JSON
from realtime.protocol.codes import Close
from realtime.settings import Settings
from realtime.telemetry import metrics
from realtime.transport import Connection

# How often, in seconds, readers are looked at that are behind.
WATCH_SECONDS: Final = 1.0
# For so long, in seconds, a flush keeps the loop from everything else; what is left of it waits for the next turn.
TURN_SECONDS: Final = 0.008
# Writes of a turn, whatever one costs; and so many that they tell what one costs, which is this at first, in seconds.
LEAST_TURN: Final = 50
TELLING: Final = 500
FIRST_COST: Final = 10e-6


class Lag:
    """How a reader is behind: what waited for it when last looked at, and since when that is no less.

    `missed` is what it has not got of each session since it was found to be too slow for everything.
    """

    __slots__ = ("in_kernel", "missed", "since", "waiting")

    def __init__(self, since: float, waiting: int, in_kernel: int) -> None:
        self.since = since
        self.waiting = waiting
        # Likewise of what we are rid of.
        self.in_kernel = in_kernel
        self.missed: dict[str, Missed] = {}


class Hub:
    """All groups of this node, and the flush that empties them.

    An idle hub flushes at once. After a flush the next one waits for as long as that one took, up to
    the tick, so that fan-out takes about half of the event loop at most, and busy sessions gather more
    events into each write. A flush that takes long does it in turns, between which the loop does everything else.

    `current(session)` gives the signals that say how a session is now, for those who have missed some.
    """

    def __init__(self, settings: Settings) -> None:
        self.current: Callable[[str], Iterable[Any]] = _nothing
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._groups: dict[str, Group] = {}
        self._dirty: dict[str, Group] = {}
        # Whose turn it is, in this flush, and how long it has taken so far.
        self._flushing: deque[Group] = deque()
        self._taken = 0.0
        self._written = 0
        # Of one write, in seconds.
        self._cost = FIRST_COST
        self._behind: dict[Connection, Lag] = {}
        self._scheduled = False
        self._not_before = 0.0

    def group(self, session: str) -> Iterable[Connection]:
        """Give the connections that follow a session."""
        return self._groups.get(session, ())

    def size(self, session: str) -> int:
        """Count the connections that follow a session."""
        return len(self._groups.get(session, ()))

    def attach(self, session: str, connection: Connection) -> None:
        """Give the connection whatever is published from now on."""
        group = self._groups.get(session)
        if group is None:
            group = self._groups[session] = Group(session, self._choose)
        group.add(connection)

    def detach(self, session: str, connection: Connection) -> None:
        """Give the connection nothing more of this session."""
        group = self._groups[session]
        group.remove(connection)
        if lag := self._behind.get(connection):
            lag.missed.pop(session, None)
        if not len(group):
            del self._groups[session]
            self._dirty.pop(session, None)

    def publish(self, session: str, parcels: Iterable[Parcel]) -> None:
        """Write JSON documents to all who follow the session, within a tick."""
        group = self._groups.get(session)
        if group is None:
            return
        if not group.waiting:
            group.since = monotonic()
            self._dirty[session] = group
        group.waiting.extend(parcels)
        self._schedule()

    def unsent(self, session: str) -> int | None:
        """Give the `seq` of the first event that has not been written to all who follow the session."""
        group = self._groups.get(session)
        return group.unsent if group else None

    def signal(self, session: str, message: Any) -> None:
        """Write a message that is not kept to all who follow the session."""
        self.publish(session, (Parcel(JSON.encode(message), Lane.SIGNAL),))

    def fall_behind(self, connection: Connection) -> None:
        """Watch a connection whose peer reads too slowly."""
        self._behind[connection] = Lag(monotonic(), connection.outgoing, connection.in_kernel)

    def catch_up(self, connection: Connection) -> None:
        """Stop watching it, and tell it what it has missed."""
        lag = self._behind.pop(connection, None)
        if lag is None or not connection.open:
            return
        for session, missed in lag.missed.items():
            for gap in missed.settle():
                connection.send(skipped(session, gap))
            for signal in self.current(session) if missed.signals else ():
                connection.send(signal)

    async def watch(self) -> None:
        """Close slow readers, also where nothing is written, for ever."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self.look()

    def look(self) -> None:
        """Close slow readers, after a look at what the kernel has for them.

        It takes nothing more of ours before much of that is read: a steady reader would seem to take nothing away.
        """
        now = monotonic()
        for connection, lag in self._behind.items():
            in_kernel = connection.in_kernel
            if in_kernel < lag.in_kernel:
                lag.since = now
            lag.in_kernel = in_kernel
        self.shed()

    def shed(self) -> None:
        """Close those for whom too much waits, and those who take nothing away for too long."""
        now = monotonic()
        for connection, lag in list(self._behind.items()):
            waiting = connection.outgoing
            if waiting < lag.waiting:
                lag.since = now
            lag.waiting = waiting
            late = now - lag.since > self._settings.slow_timeout
            if late or waiting > self._settings.max_outgoing + connection.allowance:
                connection.close(Close.SLOW_CONSUMER, "too slow a reader")

    def _schedule(self) -> None:
        if self._scheduled:
            return
        self._scheduled = True
        delay = self._not_before - monotonic()
        if delay > 0:
            self._loop.call_later(delay, self._flush)
        else:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing.extend(self._dirty.values())
        self._taken = 0.0
        self._turn()

    def _turn(self) -> None:
        """Write to as many as there is time for. The loop hands it on after this, and before what comes next."""
        self._written = 0
        # Asked for first: whatever happens in this turn, there must be a next one.
        self._loop.call_soon(self._turned, monotonic())
        most = max(int(TURN_SECONDS / self._cost), LEAST_TURN)
        while self._flushing and self._written < most:
            group = self._flushing[0]
            if not group.busy and self._dirty.get(group.session) is group:
                del self._dirty[group.session]
                metrics.HUB_WAIT.observe(monotonic() - group.since)
                group.begin(self._behind)
            self._written += 1 + group.write(most - self._written)
            if not group.busy:
                self._flushing.popleft()

    def _turned(self, began: float) -> None:
        took = monotonic() - began
        self._taken += took
        if self._written:
            # Few writes say little of what one costs.
            self._cost += (took / self._written - self._cost) * min(self._written / TELLING, 1) / 2
        if self._flushing:
            self._turn()
            return
        self.shed()
        self._not_before = monotonic() + min(self._taken, self._settings.tick_ms / 1000)
        self._scheduled = False
        if self._dirty:
            self._schedule()

    def _choose(self, session: str, connection: Connection, parcels: Sequence[Parcel]) -> Sequence[Given]:
        """Give what a reader is to get: all, unless it is too slow. One of long replies of its own is not slow yet."""
        lag = self._behind.get(connection)
        if lag is None or not (lag.missed or connection.outgoing > HIGH_WATER + connection.allowance):
            return parcels
        missed = lag.missed.setdefault(session, Missed())
        return missed.select(parcels, monotonic(), self._settings.sample_ms / 1000)


def _nothing(_: str) -> Iterable[Any]:
    return ()
