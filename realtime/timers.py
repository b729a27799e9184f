"""Timers of sessions: what is due is taken from Postgres on a beat, and done; each by one node at a time.

A node that takes a timer and dies has it for `timer_hold_ms`; then another one does it.
"""

import asyncio
from collections.abc import Sequence

import structlog

from persistence.errors import Rejected, StorageError
from persistence.seldom import Seldom
from persistence.sessions import Sessions, Timer
from realtime.attendance import Attendance
from realtime.feeds import Feeds
from realtime.lifecycle import Lifecycle
from realtime.settings import Settings
from realtime.telemetry import metrics

log = structlog.get_logger("timers")
seldom_log = Seldom(log)


class Timers:
    """Takes what is due, and does it."""

    def __init__(
        self, sessions: Sessions, lifecycle: Lifecycle, feeds: Feeds, attendance: Attendance, settings: Settings
    ) -> None:
        self._sessions = sessions
        self._lifecycle = lifecycle
        self._feeds = feeds
        self._attendance = attendance
        self._settings = settings

    async def run(self) -> None:
        """Look for what is due, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(self._settings.timer_ms / 1000)

    async def look(self) -> None:
        """Do all that is due now."""
        settings = self._settings
        try:
            while due := await self._sessions.due(settings.timer_batch, settings.timer_hold_ms):
                await self._settle_all(due)
                if len(due) < settings.timer_batch:
                    break
        except StorageError as exc:
            seldom_log.warning("timers unknown", reason=str(exc))

    async def _settle_all(self, due: Sequence[Timer]) -> None:
        try:
            done = await self._lifecycle.settle_all(due)
        except Rejected:
            # One that Postgres will not have must not keep the others from their turn.
            done = [timer for timer in due if await self._settle(timer)]
        for timer in done:
            metrics.TIMERS.labels(timer.kind).observe(timer.late_ms / 1000)
            log.info("timer", session=timer.session, kind=timer.kind, late_ms=timer.late_ms)

    async def _settle(self, timer: Timer) -> bool:
        try:
            return await self._lifecycle.settle(timer)
        except StorageError as exc:
            seldom_log.warning("timer not settled", session=timer.session, kind=timer.kind, reason=str(exc))
            return False

    async def watch_empty(self) -> None:
        """Tell Postgres in which sessions somebody is, for ever: where nobody is, a timer runs."""
        beat = self._settings.lease_beat_ms
        while True:
            await asyncio.sleep(beat / 1000)
            occupied = [feed.id for feed in self._feeds if self._attendance.others(feed.id, feed.view.host)]
            try:
                if occupied:
                    await self._sessions.occupied(occupied, beat)
            except StorageError as exc:
                seldom_log.warning("audience unknown to timers", reason=str(exc))
