"""The audience: this node's part of it, written to Redis under a lease, and the whole, told to everyone."""

import asyncio
from time import monotonic

import structlog

from persistence.errors import StorageError
from persistence.presence import Part, Presence, Whole
from persistence.seldom import Seldom
from realtime.domain.audience import Roster
from realtime.feeds import Feeds
from realtime.hub import Hub
from realtime.protocol.events import Audience, AudienceSignal
from realtime.settings import Settings

seldom_log = Seldom(structlog.get_logger("attendance"))


class _Watch:
    """One session's audience as this node knows it."""

    __slots__ = ("anew", "changed", "due", "roster", "told", "whole", "written")

    def __init__(self) -> None:
        self.roster = Roster()
        # The whole as last read, this node's part of it then, and what clients were last told.
        self.whole = Audience()
        self.written = Audience()
        self.told = Audience()
        self.due = 0.0
        # Whether the other nodes are to hear of a change, and Redis is to be told everything.
        self.changed = False
        self.anew = True

    @property
    def part(self) -> Audience:
        return Audience(self.roster.connections, self.roster.users)

    @property
    def estimate(self) -> Audience:
        """The whole as last read, moved by what has changed here since."""
        return Audience(
            max(0, self.whole.connections - self.written.connections) + self.roster.connections,
            max(0, self.whole.users - self.written.users) + self.roster.users,
        )


class Attendance:
    """Counts who watches which session.

    Changes are written and told at most once per `audience_ms` and session, but at once where a
    session's first connection comes or its last one goes. Every part is written again on each beat.
    """

    def __init__(self, presence: Presence, feeds: Feeds, hub: Hub, settings: Settings) -> None:
        self._presence = presence
        self._feeds = feeds
        self._hub = hub
        self._settings = settings
        self._watches: dict[str, _Watch] = {}
        self._dirty: set[str] = set()
        feeds.on_audience = self.refresh

    def enter(self, session: str, user: str) -> None:
        """Count one more connection of a user."""
        watch = self._watches.setdefault(session, _Watch())
        if not watch.roster.connections:
            watch.due = 0.0
        watch.roster.enter(user)
        self._dirty.add(session)

    def leave(self, session: str, user: str) -> None:
        """Count one connection of a user less."""
        watch = self._watches[session]
        watch.roster.leave(user)
        if not watch.roster.connections:
            watch.due = 0.0
        self._dirty.add(session)

    def refresh(self, session: str) -> None:
        """Read the whole again soon: another node has changed it."""
        if session in self._watches:
            self._dirty.add(session)

    def audience(self, session: str) -> Audience:
        """Give the best that is known now."""
        watch = self._watches.get(session)
        return watch.estimate if watch else Audience()

    def others(self, session: str, user: str) -> bool:
        """Tell whether anybody but this user is there on this node."""
        watch = self._watches.get(session)
        return watch is not None and watch.roster.users > (user in watch.roster)

    def has(self, session: str, user: str) -> bool:
        """Tell whether the user is there on this node."""
        watch = self._watches.get(session)
        return watch is not None and user in watch.roster

    @property
    def connections(self) -> int:
        """Count this node's connections to sessions."""
        return sum(watch.roster.connections for watch in self._watches.values())

    async def run(self) -> None:
        """Write what changed, and everything on each beat, for ever."""
        next_beat = 0.0
        while True:
            await asyncio.sleep(self._settings.audience_ms / 10_000)
            now = monotonic()
            if now >= next_beat:
                next_beat = now + self._settings.lease_beat_ms / 1000
                await self.write_all()
            elif due := [session for session in self._dirty if self._watches[session].due <= now]:
                await self.write(due)

    async def write_all(self) -> None:
        """Write everything now."""
        await self.write(list(self._watches))

    async def write(self, sessions: list[str]) -> None:
        """Write this node's part of these sessions, and tell what the whole has become."""
        if not sessions:
            return
        self._dirty.difference_update(sessions)
        parts = [self._part(session, self._watches[session]) for session in sessions]
        wholes = await self._presence.write(parts)
        if errors := [whole for whole in wholes if isinstance(whole, StorageError)]:
            seldom_log.warning("audience not written", sessions=len(errors), reason=str(errors[0]))
        for part, whole in zip(parts, wholes, strict=True):
            watch = self._watches.get(part.session)
            if watch is None:
                continue
            if isinstance(whole, StorageError):
                self._stand_alone(part.session, watch)
            else:
                self._settle(part, whole, watch)

    def _part(self, session: str, watch: _Watch) -> Part:
        if watch.anew:
            watch.roster.forget()
        change = watch.roster.take()
        part = Part(
            session=session,
            connections=change.connections,
            entered=change.entered,
            left=change.left,
            anew=watch.anew,
        )
        watch.changed = watch.changed or watch.written != watch.part
        watch.written = watch.part
        watch.anew = False
        watch.due = monotonic() + self._settings.audience_ms / 1000
        return part

    def _settle(self, part: Part, whole: Whole, watch: _Watch) -> None:
        if watch.changed:
            watch.changed = False
            self._feeds.announce_audience(part.session)
        if whole.written != watch.roster.written:
            # Redis has lost what it was told. Tell it everything first: a count of what is left misleads.
            watch.anew = True
            watch.due = 0.0
            self._dirty.add(part.session)
            return
        watch.whole = Audience(whole.connections, whole.users)
        self._tell(part.session, watch)
        if not watch.roster.connections and part.session not in self._dirty:
            del self._watches[part.session]

    def _stand_alone(self, session: str, watch: _Watch) -> None:
        """Without Redis, what this node sees is all there is to tell."""
        watch.whole = watch.written
        watch.anew = True
        self._tell(session, watch)

    def _tell(self, session: str, watch: _Watch) -> None:
        audience = watch.estimate
        if audience != watch.told:
            watch.told = audience
            self._hub.signal(session, AudienceSignal(session=session, audience=audience))
