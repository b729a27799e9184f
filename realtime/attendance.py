"""The audience: this node's part of it, written to Redis under a lease, and the whole, told to everyone."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import structlog
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from persistence.errors import StorageError
from persistence.log import Record
from persistence.presence import Attendee, Part, Presence, Whole
from persistence.seldom import Seldom
from realtime.domain.audience import Roster
from realtime.domain.present import Present
from realtime.feeds import Feeds
from realtime.hub import Hub
from realtime.protocol.events import Audience, AudienceSignal, Kind
from realtime.settings import Settings
from realtime.telemetry import metrics
from realtime.watch_times import WatchTimes

seldom_log = Seldom(structlog.get_logger("attendance"))


class _Watch:
    """One session's audience as this node knows it."""

    __slots__ = (
        "anew", "due", "mark", "names", "peak", "present", "quiet_until", "roster", "told", "unsaid", "version",
        "whole", "written",
    )  # fmt: skip

    def __init__(self, present: Present) -> None:
        self.roster = Roster()
        # The whole as last read, this node's part of it then, and what clients were last told.
        self.whole = Audience()
        self.written = Audience()
        self.told = Audience()
        # Who is there by name, as last read, under which mark, and as it was told.
        self.names: list[str] | None = None
        self.mark = ""
        self.present = present
        self.peak = 0
        # When the part may be written next, and something told that is not new.
        self.due = 0.0
        self.quiet_until = 0.0
        # The version of the part as Redis has it, unless Redis is to be told everything.
        self.version = 0
        self.anew = True
        # Whether something was written of which nobody knows whether the other nodes have to hear.
        self.unsaid = False

    @property
    def part(self) -> Audience:
        roster = self.roster
        return Audience(roster.connections, roster.users, roster.watching, roster.chatters)

    @property
    def estimate(self) -> Audience:
        """The whole as last read, moved by what has changed here since."""
        whole, written, part = self.whole, self.written, self.part
        return Audience(
            max(0, whole.connections - written.connections) + part.connections,
            max(0, whole.users - written.users) + part.users,
            max(0, whole.watching - written.watching) + part.watching,
            max(0, whole.chatters - written.chatters) + part.chatters,
        )


class Attendance:
    """Counts who is in which session, who watches, and who has posted.

    Changes are written and told at most once per `audience_ms` and session, but at once where a
    session's first connection comes or its last one goes. Every part is written again on each beat.
    """

    def __init__(self, presence: Presence, feeds: Feeds, hub: Hub, times: WatchTimes, settings: Settings) -> None:
        self._presence = presence
        self._feeds = feeds
        self._hub = hub
        self._times = times
        self._settings = settings
        self._pace = settings.audience_ms / 1000
        self._watches: dict[str, _Watch] = {}
        self._dirty: set[str] = set()
        # Sessions of which somebody may watch no more, and in which somebody has left who is not told as gone yet.
        self._playing: set[str] = set()
        self._leaving: set[str] = set()
        # A part goes on from the one before it, so one write at a time.
        self._writing = asyncio.Lock()
        feeds.on_audience = self.refresh
        feeds.on_records = self.hear

    def enter(self, session: str, user: str) -> None:
        """Count one more connection of a user."""
        watch = self._watches.get(session)
        if watch is None:
            settings = self._settings
            watch = self._watches[session] = _Watch(Present(settings.audience_list, settings.leave_grace))
        if not watch.roster.connections:
            watch.due = 0.0
        watch.roster.enter(user)
        self._times.see(session, user)
        self._count(session, watch, watch.roster.users)
        self._dirty.add(session)

    def leave(self, session: str, user: str, connection: str) -> None:
        """Count one connection of a user less."""
        watch = self._watches[session]
        watch.roster.leave(user, connection)
        if not watch.roster.watches(user):
            self._times.stop(session, user)
        if user not in watch.roster:
            self._times.see(session, user)
        if not watch.roster.connections:
            watch.due = 0.0
        self._dirty.add(session)

    def play(self, session: str, user: str, connection: str) -> None:
        """Count a user as watching, for as long as one report of a connection is good."""
        watch = self._watches[session]
        self._playing.add(session)
        until = monotonic() + self._settings.playback_timeout
        self._times.start(session, user, until)
        if watch.roster.play(user, connection, until):
            self._dirty.add(session)

    def stop(self, session: str, connection: str) -> None:
        """Count a connection as one that does not play."""
        user = self._watches[session].roster.stop(connection)
        if user is not None:
            self._times.stop(session, user)
            self._dirty.add(session)

    def channel(self, session: str, user: str, there: bool) -> None:
        """Take note that a user has come to the video channel of a session, or left it: Agora says so."""
        watch = self._watches.get(session)
        if watch is None:
            return
        if there and user in watch.roster:
            self._times.start(session, user)
            if watch.roster.join_channel(user):
                self._playing.add(session)
                self._dirty.add(session)
        elif not there and watch.roster.leave_channel(user):
            self._times.stop(session, user)
            self._dirty.add(session)

    def hear(self, session: str, records: Sequence[Record]) -> None:
        """Take note of who has posted, on whichever node."""
        watch = self._watches.get(session)
        if watch is None:
            return
        for record in records:
            if record.kind == Kind.CHAT_POSTED and watch.roster.post(record.sender):
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

    def present(self, session: str) -> list[str] | None:
        """Give who is there by name as the session's connections here were last told, if they have a list."""
        watch = self._watches.get(session)
        return watch.present.told if watch else None

    def current(self, session: str) -> AudienceSignal:
        """Give a signal that needs none before it: what was told last, the list included where there is one."""
        return AudienceSignal(session=session, audience=self.audience(session), present=_given(self.present(session)))

    def has(self, session: str, user: str) -> bool:
        """Tell whether the user is there on this node."""
        watch = self._watches.get(session)
        return watch is not None and user in watch.roster

    async def page(self, session: str, after: str, limit: int) -> tuple[Audience, list[Attendee]]:
        """Give the audience over all nodes, and by name the first users after one.

        Raises:
            Unavailable: Redis cannot be asked.
        """
        whole, attendees = await self._presence.page(session, after, limit)
        return _audience_of(whole), attendees

    @property
    def connections(self) -> int:
        """Count this node's connections to sessions."""
        return sum(watch.roster.connections for watch in self._watches.values())

    @property
    def watching(self) -> int:
        """Count those who watch on this node, in all sessions."""
        return sum(self._watches[session].roster.watching for session in self._playing if session in self._watches)

    async def run(self) -> None:
        """Write what changed, and everything on each beat, for ever."""
        next_beat = next_look = 0.0
        while True:
            await asyncio.sleep(self._pace / 10)
            now = monotonic()
            if now >= next_look:
                next_look = now + self._pace
                self._expire(now)
            if now >= next_beat:
                next_beat = now + self._settings.lease_beat_ms / 1000
                await self.write_all()
            elif due := [session for session in self._dirty if self._watches[session].due <= now]:
                await self.write(due)
            self._tell_leaves(now)

    def _expire(self, now: float) -> None:
        for session in list(self._playing):
            watch = self._watches.get(session)
            if watch is None or not watch.roster.watching:
                self._playing.discard(session)
                continue
            for user in watch.roster.expire(now):
                self._times.stop(session, user)
                self._dirty.add(session)

    def _tell_leaves(self, now: float) -> None:
        for session in list(self._leaving):
            watch = self._watches.get(session)
            if watch is None or not watch.present.waiting:
                self._leaving.discard(session)
            elif now >= watch.quiet_until:
                self._tell(session, watch)

    async def write_all(self) -> None:
        """Write everything now."""
        await self.write(list(self._watches))

    async def write(self, sessions: list[str]) -> None:
        """Write this node's part of these sessions, and tell what the whole has become."""
        async with self._writing:
            there = [(session, watch) for session in sessions if (watch := self._watches.get(session))]
            if there:
                await self._write(there)

    async def _write(self, there: list[tuple[str, _Watch]]) -> None:
        self._dirty.difference_update(session for session, _ in there)
        parts = [self._part(session, watch) for session, watch in there]
        with metrics.AUDIENCE_WRITE.time():
            wholes = await self._presence.write(parts)
        if errors := [whole for whole in wholes if isinstance(whole, StorageError)]:
            seldom_log.warning("audience not written", sessions=len(errors), reason=str(errors[0]))
        for (session, watch), whole in zip(there, wholes, strict=True):
            if isinstance(whole, StorageError):
                self._stand_alone(session, watch)
            else:
                self._settle(session, watch, whole)

    def _part(self, session: str, watch: _Watch) -> Part:
        if watch.anew:
            watch.roster.forget()
        change = watch.roster.take()
        base = 0 if watch.anew else watch.version
        watch.version += 1
        watch.written = watch.part
        # Of whoever has nobody there, nothing is kept.
        watch.anew = not change.connections
        watch.due = monotonic() + self._pace
        return Part(
            session=session,
            connections=change.connections,
            version=watch.version,
            base=base,
            entered=change.entered,
            left=change.left,
            began=change.began,
            stopped=change.stopped,
            posted=change.posted,
            mark=watch.mark,
        )

    def _settle(self, session: str, watch: _Watch, whole: Whole) -> None:
        if whole.changed or watch.unsaid:
            watch.unsaid = False
            self._feeds.announce_audience(session)
        if not whole.taken:
            # Redis has lost what it was told. Tell it everything first: a count of what is left misleads.
            watch.anew = True
            watch.due = 0.0
            self._dirty.add(session)
            metrics.AUDIENCE_REBUILT.inc()
            return
        watch.whole = _audience_of(whole)
        # That they have posted, this node did not know when it wrote.
        known = sum(watch.roster.post(user) for user in whole.chatted)
        watch.written = replace(watch.written, chatters=watch.written.chatters + known)
        if whole.users > self._settings.audience_list:
            watch.names, watch.mark = None, ""
        elif whole.names is not None:
            watch.names, watch.mark = whole.names, whole.mark
        self._count(session, watch, whole.users)
        self._see(session, watch)
        if not watch.roster.connections and session not in self._dirty:
            del self._watches[session]

    def _stand_alone(self, session: str, watch: _Watch) -> None:
        """Without Redis, what this node sees is all there is to tell."""
        watch.whole = watch.written
        watch.names, watch.mark = watch.roster.names(), ""
        watch.anew = watch.unsaid = True
        self._see(session, watch)

    def _see(self, session: str, watch: _Watch) -> None:
        watch.present.see(watch.names, monotonic())
        if watch.present.waiting:
            self._leaving.add(session)
        self._tell(session, watch)

    def _tell(self, session: str, watch: _Watch) -> None:
        audience, now = watch.estimate, monotonic()
        if audience == watch.told and not watch.present.due(now):
            return
        watch.told = audience
        watch.quiet_until = now + self._pace
        news = watch.present.tell(now)
        signal = AudienceSignal(
            session=session,
            audience=audience,
            present=_given(news.present),
            joined=_given(news.joined),
            left=_given(news.left),
        )
        self._hub.signal(session, signal)

    def _count(self, session: str, watch: _Watch, users: int) -> None:
        if users > watch.peak:
            watch.peak = users
            self._times.count(session, users)


def _given(names: list[str] | None) -> list[str] | UnsetType:
    return UNSET if names is None else names


def _audience_of(whole: Whole) -> Audience:
    return Audience(whole.connections, whole.users, whole.watching, whole.chatters)
