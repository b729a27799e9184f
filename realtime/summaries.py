"""What a session comes to after its end.

Nothing of it depends on the log being there: what the log comes to is counted when the session ends, or at the latest
when its events are dropped. All else has tables of its own.
"""

import asyncio
from typing import Final

import structlog
from msgspec import Struct

from persistence.errors import StorageError
from persistence.log_totals import LogsTotalled
from persistence.reactions import ReactionTotals
from persistence.seldom import Seldom
from persistence.sessions import Session
from persistence.watch_times import WatchTimes
from realtime.domain.course import Spent
from realtime.feed import course_of
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.types import Millis, SessionId
from realtime.tasks import Tasks

# Logs that are counted at the same time.
AT_A_TIME: Final = 1
seldom_log = Seldom(structlog.get_logger("summaries"))


class Summary(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a session comes to. Durations are milliseconds: from its start to its end, and those in which it was live.

    Both are 0 where it never started. `messages` counts all that were posted, also those that were deleted later, and
    `chatters` the users who posted them; `reactions` counts by kind.

    `users` counts who was ever there, `peak` how many were at the same time, at most, first at `peak_at`. `watched_ms`
    is for how long they have watched, all together. `spans` are the times that it has spent in each state.
    """

    session: SessionId
    ended_at: Millis
    duration_ms: int
    media_ms: int
    spans: list[Spent]
    messages: int
    chatters: int
    reactions: dict[str, int]
    users: int
    watched_ms: int
    peak: int
    peak_at: Millis | None = None


class Summaries:
    """Gives the summaries of sessions."""

    def __init__(self, logs: LogsTotalled, audiences: WatchTimes, reactions: ReactionTotals, tasks: Tasks) -> None:
        self._logs = logs
        self._audiences = audiences
        self._reactions = reactions
        self._tasks = tasks
        # Thousands may end at the same time, and nobody waits for this.
        self._turn = asyncio.Semaphore(AT_A_TIME)

    async def of(self, session: Session) -> Summary:
        """Give a session's summary.

        Raises:
            Refusal: `conflict` with the state, before the end.
            Unavailable
        """
        totals = await self._logs.of(session.id)
        if totals is None or session.ended_at is None:
            raise Refusal(Code.CONFLICT, f"the session is {session.state}", state=session.state)
        audience, course = await self._audiences.of(session.id), course_of(session)
        return Summary(
            session=session.id,
            ended_at=session.ended_at,
            duration_ms=session.ended_at - (session.started_at or session.ended_at),
            media_ms=course.last.media_ms,
            spans=course.spent(),
            messages=totals.messages,
            chatters=totals.chatters,
            reactions=await self._reactions.of(session.id),
            users=audience.users,
            watched_ms=audience.watched_ms,
            peak=audience.peak,
            peak_at=audience.peak_at,
        )

    def ended(self, session: str) -> None:
        """Have the log of a session counted that has just ended, while it is in everybody's memory."""
        self._tasks.start(self._count(session))

    async def _count(self, session: str) -> None:
        try:
            async with self._turn:
                await self._logs.of(session)
        except StorageError as exc:
            # It is counted when somebody asks for it.
            seldom_log.warning("log not counted", session=session, reason=str(exc))
