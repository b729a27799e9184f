"""Who was in a session and for how long each has watched: gathered on this node, and added in Postgres on a beat."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from math import inf
from time import monotonic
from typing import Final

import structlog
from msgspec import Struct

from persistence.errors import Rejected, StorageError
from persistence.seldom import Seldom
from persistence.watch_times import Peak, Watched
from persistence.watch_times import WatchTimes as Storage
from realtime.domain.watch_time import Key, Note, WatchTime
from realtime.settings import Settings
from realtime.telemetry import metrics

# Users of one statement, so that none takes long.
CHUNK: Final = 5000
seldom_log = Seldom(structlog.get_logger("watch_times"))


class _Peak(Struct, frozen=True):
    users: int
    at: float


class WatchTimes:
    """Gathers what users do, and writes it every `watch_beat`. What can't be written is kept, and written later."""

    def __init__(self, storage: Storage, settings: Settings, clock: Callable[[], float] = monotonic) -> None:
        self._storage = storage
        self._beat = settings.watch_beat
        self._clock = clock
        self._limit = settings.watch_notes
        self._time = WatchTime(settings.watch_notes)
        self._peaks: OrderedDict[str, _Peak] = OrderedDict()
        self._lost = 0
        # One write at a time, so that who waits for it knows that nothing else is on its way.
        self._writing = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Count the notes that are to be written."""
        return len(self._time)

    def see(self, session: str, user: str) -> None:
        """Take note that a user is there."""
        self._time.see(session, user, self._clock())

    def start(self, session: str, user: str, until: float = inf) -> None:
        """Take note that a user watches, and is believed to until then, or until that is said again."""
        self._time.start(session, user, self._clock(), until)

    def stop(self, session: str, user: str) -> None:
        """Take note that a user watches no more."""
        self._time.stop(session, user, self._clock())

    def count(self, session: str, users: int) -> None:
        """Take note of how many users there are."""
        self._keep({session: _Peak(users, self._clock())})

    def _keep(self, peaks: dict[str, _Peak]) -> None:
        for session, peak in peaks.items():
            known = self._peaks.get(session)
            if known is None or peak.users > known.users:
                self._peaks[session] = peak
        while len(self._peaks) > self._limit:
            self._peaks.popitem(last=False)

    async def run(self) -> None:
        """Write what was gathered, for ever."""
        while True:
            await asyncio.sleep(self._beat)
            await self.write()

    async def write(self) -> None:
        """Write what was gathered."""
        async with self._writing:
            await self._write_notes(self._time.take(self._clock()))
            peaks, self._peaks = self._peaks, OrderedDict()
            await self._write_peaks(peaks)
            metrics.WATCH_LOST.inc(self._time.lost - self._lost)
            self._lost = self._time.lost

    async def _write_notes(self, notes: dict[Key, Note]) -> None:
        while notes:
            chunk = [_watched(key, note, self._clock()) for key, note in islice(notes.items(), CHUNK)]
            try:
                await self._storage.add(chunk)
            except Rejected as exc:
                # Never taken, however often it is tried, and everything else would wait behind it.
                seldom_log.warning("watch times refused", users=len(chunk), reason=str(exc))
                metrics.WATCH_LOST.inc(len(chunk))
            except StorageError as exc:
                seldom_log.warning("watch times wait", users=len(notes), reason=str(exc))
                self._time.keep(notes)
                return
            else:
                metrics.WATCH_WRITTEN.inc(len(chunk))
            for item in chunk:
                del notes[item.session, item.member]

    async def _write_peaks(self, peaks: dict[str, _Peak]) -> None:
        if not peaks:
            return
        now = self._clock()
        try:
            await self._storage.add_peaks(
                [Peak(session, peak.users, _age(peak.at, now)) for session, peak in peaks.items()]
            )
        except StorageError as exc:
            seldom_log.warning("peaks wait", sessions=len(peaks), reason=str(exc))
            self._keep(peaks)


def _watched(key: Key, note: Note, now: float) -> Watched:
    return Watched(
        *key,
        since=_age(note.since, now),
        until=_age(note.until, now),
        began=_age(note.began, now),
        ended=_age(note.ended, now),
        watched=round(note.watched * 1000),
    )


def _age(at: float, now: float) -> int:
    return round((now - at) * 1000)
