"""What is left of a session that has ended: taken away, so that nothing remains of it but what Postgres keeps.

The audience and the hosts go with their connections, memory with the feed. What users had got to in the session,
and when they had their turns in slow mode, is forgotten here: once when it ends, and once more by every node that
followed it, when nobody is there any more; for a node may not have heard of the end when it last wrote a position.
"""

import structlog

from persistence.errors import StorageError
from persistence.seldom import Seldom
from realtime.feed import Feed
from realtime.places import Places
from realtime.slow_mode import SlowMode
from realtime.tasks import Tasks

seldom_log = Seldom(structlog.get_logger("remains"))


class Remains:
    """Takes away what is left of sessions."""

    def __init__(self, places: Places, slow_mode: SlowMode, tasks: Tasks) -> None:
        self._places = places
        self._slow_mode = slow_mode
        self._tasks = tasks

    def ended(self, session: str) -> None:
        """Take away what is left of a session that has just ended."""
        self._tasks.start(self._forget(session))

    def closed(self, feed: Feed) -> None:
        """Take away what is left of a session that this node follows no more, if it has ended."""
        if feed.over:
            self.ended(feed.id)

    async def _forget(self, session: str) -> None:
        try:
            await self._places.forget(session)
            await self._slow_mode.forget(session)
        except StorageError as exc:
            # It expires, later.
            seldom_log.warning("positions not forgotten", session=session, reason=str(exc))
