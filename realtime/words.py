"""The index over the words of chats, kept up in the background: no append waits for it, and no search misses anything.

A search looks at events that are not indexed one by one, so all that matters is that there are few. Each node knows
what it has appended itself, and what searches told it of; what a node that died has left behind, a search finds.
A session with many events to be indexed is next at once, all others on a beat. What two nodes want to index at the
same time, one of them does.

One call at a time, and between two calls a rest of four times as long as the last one took: so this has a connection,
and what Postgres can do with it, for a fifth of the time, and a burst of messages is indexed after it. Only where so
much is left that searches would suffer, it is half of the time.
"""

import asyncio
from collections import OrderedDict
from itertools import islice
from time import monotonic
from typing import Final

import structlog

from persistence.errors import Rejected, StorageError
from persistence.seldom import Seldom
from persistence.words import Indexed, WordIndex
from realtime.settings import Settings
from realtime.telemetry import metrics

# Events, and sessions, of one call: it takes about 40 ms.
EVENTS: Final = 2000
SESSIONS: Final = 1000
# Seconds between two calls at least: few large ones take less than many small ones.
REST: Final = 0.05
# How long a rest is, in times of the call before it; and the same when more events than this are not indexed.
LONG_REST: Final = 4
SHORT_REST: Final = 1
PRESSING: Final = 50_000
# Seconds until what Postgres could not do is tried again.
PAUSE: Final = 1.0
seldom_log = Seldom(structlog.get_logger("words"))


class Words:
    """Knows what is to be indexed, and has it done."""

    def __init__(self, index: WordIndex, settings: Settings) -> None:
        self._index = index
        self._tail = settings.words_tail
        self._beat = settings.words_beat
        self._limit = settings.words_sessions
        # How many events of each session are not indexed, as far as is known here, the first noted first.
        self._behind: OrderedDict[str, int] = OrderedDict()
        # Those of them that are next, in their order.
        self._due: dict[str, None] = {}
        self._wake = asyncio.Event()

    @property
    def behind(self) -> int:
        """Count the events that are not indexed."""
        return sum(self._behind.values())

    def appended(self, session: str, events: int) -> None:
        """Take note of events that were appended here."""
        self._note(session, self._behind.get(session, 0) + events)

    def searched(self, session: str, behind: int) -> None:
        """Take note of how many events a search has found not to be indexed."""
        if behind > self._behind.get(session, 0):
            self._note(session, behind)

    def _note(self, session: str, behind: int) -> None:
        self._behind[session] = behind
        if behind >= self._tail:
            self._hurry(session)
        if len(self._behind) > self._limit:
            # Searches go over its events, and tell of it.
            self._forget(next(iter(self._behind)))

    def _hurry(self, session: str) -> None:
        self._due[session] = None
        self._wake.set()

    def _forget(self, session: str) -> None:
        del self._behind[session]
        self._due.pop(session, None)

    async def run(self) -> None:
        """Index what is due, for ever."""
        while True:
            await self._wake.wait()
            began = monotonic()
            well = await self.index()
            await asyncio.sleep(self._rest(monotonic() - began) if well else PAUSE)

    def _rest(self, took: float) -> float:
        return max(REST, took * (SHORT_REST if self.behind > PRESSING else LONG_REST))

    async def beat(self) -> None:
        """Have everything indexed on a beat, for ever."""
        while True:
            await asyncio.sleep(self._beat)
            for session in self._behind:
                self._hurry(session)

    async def index(self) -> bool:
        """Index the next of what is due, with one call; tell whether Postgres could be asked."""
        known = {session: self._behind[session] for session in islice(self._due, SESSIONS)}
        try:
            done = await self._index.index(list(known), EVENTS)
        except Rejected as exc:
            # It would be so the next time, too, and everything else would wait behind it.
            seldom_log.warning("words not indexed", sessions=len(known), reason=str(exc))
            done = {}
        except StorageError as exc:
            seldom_log.warning("words wait", events=self.behind, reason=str(exc))
            return False
        self._settle(known, done)
        return True

    def _settle(self, known: dict[str, int], done: dict[str, Indexed]) -> None:
        for session, before in known.items():
            found = done.get(session, Indexed(0, 0))
            metrics.WORDS_INDEXED.inc(found.events)
            # It may have been forgotten meanwhile.
            if session not in self._behind:
                continue
            # Appended meanwhile, and perhaps indexed with the others: then the next call finds that out.
            since = self._behind[session] - before
            self._due.pop(session, None)
            if found.behind + since:
                self._note(session, found.behind + since)
            else:
                self._forget(session)
            if found.behind:
                # There was too much, or another node is at it: the others first.
                self._hurry(session)
        if not self._due:
            self._wake.clear()
