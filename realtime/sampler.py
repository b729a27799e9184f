"""Reads once a second what is not worth counting on the way: sizes, and how late the loop is."""

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import Final

from realtime.node import Node
from realtime.protocol.codec import Format
from realtime.telemetry import metrics
from realtime.telemetry.tally import settle
from realtime.transport import Connection

PERIOD: Final = 1.0


class Sampler:
    """Fills the gauges, and the counters of what others count for themselves."""

    def __init__(self, node: Node, connections: Collection[Connection]) -> None:
        self._node = node
        self._connections = connections
        self._hints: Counter[str] = Counter()

    async def run(self) -> None:
        """Sample for ever."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                due = loop.time() + PERIOD
                await asyncio.sleep(PERIOD)
                metrics.LOOP_LAG.observe(max(0.0, loop.time() - due))
                self.sample()
        finally:
            # What a worker has counted stays when it ends.
            settle()

    def sample(self) -> None:
        """Read everything once."""
        settle()
        formats = Counter(connection.codec.name for connection in self._connections)
        for name in Format:
            metrics.CONNECTIONS.labels(name).set(formats[name])
        metrics.SESSIONS.set(len(self._node.feeds))
        metrics.MEMBERS.set(self._node.attendance.connections)
        metrics.HOSTS.set(len(self._node.hosting))
        metrics.TOKENS_HELD.set(len(self._node.video.renewals))
        metrics.WATCHING.set(self._node.attendance.watching)
        metrics.WATCH_WAITING.set(self._node.watch_times.waiting)
        metrics.LIMIT_BUCKETS.set(len(self._node.limits))
        metrics.QUEUED.set(self._node.writer.queued)
        metrics.WORDS_BEHIND.set(self._node.words.behind)
        self._count_hints()

    def _count_hints(self) -> None:
        hints = self._node.feeds.hints
        now = Counter(sent=hints.sent, received=hints.received, dropped=hints.dropped)
        for direction, count in (now - self._hints).items():
            metrics.HINTS.labels(direction).inc(count)
        self._hints = now
