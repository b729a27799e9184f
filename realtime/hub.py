"""Which connections follow which session, and how bytes reach them: encoded once, written many times."""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from time import monotonic
from typing import Any, Final

from realtime.protocol.codec import CODECS, JSON, Format
from realtime.protocol.codes import Close
from realtime.settings import Settings
from realtime.telemetry import metrics
from realtime.transport import Connection, to_frame

# How often, in seconds, readers are looked at that are behind.
WATCH_SECONDS: Final = 1.0


class Lag:
    """How a reader is behind: what waited for it when last looked at, and since when that is no less."""

    __slots__ = ("since", "waiting")

    def __init__(self, since: float, waiting: int) -> None:
        self.since = since
        self.waiting = waiting


class Group:
    """The connections of one session, by format, and the documents that wait for the next flush."""

    __slots__ = ("arriving", "members", "since", "waiting")

    def __init__(self) -> None:
        self.members: dict[Format, set[Connection]] = {name: set() for name in Format}
        # Those who joined while documents were waiting, and how many of these they have been given already.
        self.arriving: dict[Connection, int] = {}
        self.waiting: list[bytes] = []
        self.since = 0.0

    def __iter__(self) -> Iterator[Connection]:
        return chain(self.arriving, *self.members.values())

    def __len__(self) -> int:
        return len(self.arriving) + sum(map(len, self.members.values()))

    def add(self, connection: Connection) -> None:
        """Add a connection, which has been given all that waits."""
        if self.waiting:
            self.arriving[connection] = len(self.waiting)
        else:
            self.members[connection.codec.name].add(connection)

    def remove(self, connection: Connection) -> None:
        """Remove a connection."""
        self.arriving.pop(connection, None)
        self.members[connection.codec.name].discard(connection)

    def write(self) -> tuple[int, int]:
        """Write what waits, one write each; give the number of documents and of bytes written."""
        documents, self.waiting = self.waiting, []
        arriving, self.arriving = self.arriving, {}
        deliveries = size = 0
        for name, members in self.members.items():
            late = {connection: given for connection, given in arriving.items() if connection.codec.name is name}
            if not members and not late:
                continue
            frames = _frames(documents, name)
            size += _write_all(frames, members)
            size += sum(_write_all(frames[given:], (connection,)) for connection, given in late.items())
            deliveries += len(frames) * (len(members) + len(late)) - sum(late.values())
            members.update(late)
        return deliveries, size


def _frames(documents: list[bytes], name: Format) -> list[bytes]:
    codec = CODECS[name]
    return [to_frame(codec.translate(document), binary=codec.binary) for document in documents]


def _write_all(frames: list[bytes], connections: Collection[Connection]) -> int:
    joined = b"".join(frames)
    if joined:
        for connection in connections:
            connection.write(joined)
    return len(joined) * len(connections)


class Hub:
    """All groups of this node, and the flush that empties them.

    An idle hub flushes at once. After a flush the next one waits for as long as that one took, up to
    the tick, so that fan-out takes about half of the event loop at most, and busy sessions gather more
    events into each write.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._groups: dict[str, Group] = {}
        self._dirty: dict[str, Group] = {}
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
        self._groups.setdefault(session, Group()).add(connection)

    def detach(self, session: str, connection: Connection) -> None:
        """Give the connection nothing more of this session."""
        group = self._groups[session]
        group.remove(connection)
        if not len(group):
            del self._groups[session]
            self._dirty.pop(session, None)

    def publish(self, session: str, documents: Iterable[bytes]) -> None:
        """Write JSON documents to all who follow the session, within a tick."""
        group = self._groups.get(session)
        if group is None:
            return
        if not group.waiting:
            group.since = monotonic()
            self._dirty[session] = group
        group.waiting.extend(documents)
        self._schedule()

    def write_now(self, session: str) -> None:
        """Write what waits for a session, without waiting for the tick."""
        if group := self._dirty.pop(session, None):
            self._write(group, monotonic())

    def signal(self, session: str, message: Any) -> None:
        """Write a message that is not kept to all who follow the session."""
        self.publish(session, (JSON.encode(message),))

    def fall_behind(self, connection: Connection) -> None:
        """Watch a connection whose peer reads too slowly."""
        self._behind[connection] = Lag(monotonic(), connection.outgoing)

    def catch_up(self, connection: Connection) -> None:
        """Stop watching it."""
        self._behind.pop(connection, None)

    async def watch(self) -> None:
        """Close slow readers, also where nothing is written, for ever."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
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
        began = monotonic()
        dirty, self._dirty = self._dirty, {}
        # The loop writes to the sockets after this callback and before the next. Asked for first: whatever
        # happens in this flush, there must be a next one.
        self._loop.call_soon(self._flushed, began)
        for group in dirty.values():
            self._write(group, began)

    def _write(self, group: Group, now: float) -> None:
        deliveries, size = group.write()
        metrics.DELIVERIES.inc(deliveries)
        metrics.BYTES_OUT.inc(size)
        metrics.HUB_WAIT.observe(now - group.since)

    def _flushed(self, began: float) -> None:
        now = monotonic()
        self._not_before = now + min(now - began, self._settings.tick_ms / 1000)
        self._scheduled = False
        if self._behind:
            self.shed()
        if self._dirty:
            self._schedule()
