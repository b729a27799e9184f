"""Reactions: counted here, summed up over the nodes, told in bursts, and their totals kept in Postgres."""

import asyncio
from time import monotonic

import structlog

from persistence.errors import StorageError
from persistence.reactions import ReactionTotals
from persistence.seldom import Seldom
from realtime.domain.reactions import Tally, Unsaved
from realtime.feeds import Feeds
from realtime.hub import Hub
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.events import ReactionsSignal
from realtime.settings import Settings
from realtime.telemetry import metrics

seldom_log = Seldom(structlog.get_logger("reactions"))


class Reactions:
    """Counts the reactions of every session."""

    def __init__(self, totals: ReactionTotals, feeds: Feeds, hub: Hub, settings: Settings) -> None:
        self._totals = totals
        self._feeds = feeds
        self._hub = hub
        self._settings = settings
        self._tallies: dict[str, Tally] = {}
        self._unsaved = Unsaved(settings.reaction_backlog)
        self._saving = asyncio.Lock()
        feeds.on_reactions = self.hear

    def react(self, session: str, kind: str) -> None:
        """Count a reaction.

        Raises:
            Refusal: `conflict`, the session has too many kinds.
        """
        if not self._at(session).add(kind, _now()):
            raise Refusal(Code.CONFLICT, f"at most {self._settings.reaction_kinds} kinds of reaction at a time")
        metrics.REACTIONS.inc()
        if not self._unsaved.add(session, kind):
            metrics.REACTIONS_LOST.inc()
        self._tell(session)

    def hear(self, session: str, counts: dict[str, int]) -> None:
        """Add what another node has counted."""
        if self._hub.size(session) and not self._feeds.over(session):
            self._at(session).hear(counts, _now())
            self._tell(session)

    def __len__(self) -> int:
        return len(self._tallies)

    async def run(self) -> None:
        """Tell what is due, for ever."""
        while True:
            await asyncio.sleep(self._settings.reactions_ms / 5000)
            self._look()

    def _look(self) -> None:
        for session in list(self._tallies):
            self._tell(session)

    async def save_always(self) -> None:
        """Add to the totals what was counted, for ever."""
        while True:
            await asyncio.sleep(self._settings.reactions_save_ms / 1000)
            await self.save()

    async def save(self) -> bool:
        """Add to the totals what was counted, in one statement; tell whether that went well, and something is left."""
        async with self._saving:
            batch = self._unsaved.batch()
            if batch is None:
                return False
            try:
                await self._totals.add(batch.number, batch.counts)
            except StorageError as exc:
                # Whatever it is: a batch may be sent again as often as need be.
                seldom_log.warning("reactions wait", reason=str(exc))
                return False
            self._unsaved.settle()
            return len(self._unsaved) > 0

    async def drain(self) -> None:
        """Add everything to the totals, if Postgres takes it."""
        while await self.save():
            pass

    def _at(self, session: str) -> Tally:
        tally = self._tallies.get(session)
        if tally is None:
            tally = self._tallies[session] = Tally(self._settings.reactions_ms, self._settings.reaction_kinds)
        return tally

    def _tell(self, session: str) -> None:
        tally, now = self._tallies[session], _now()
        if burst := tally.burst(now):
            self._hub.signal(session, ReactionsSignal(session=session, counts=burst.counts))
            if burst.own:
                self._feeds.announce_reactions(session, burst.own)
        elif self._feeds.over(session) or tally.idle(now):
            del self._tallies[session]


def _now() -> int:
    return int(monotonic() * 1000)
