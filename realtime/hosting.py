"""The connections of hosts: while one is there, a session goes on. And the one from which its owner runs it.

A host's connection counts under a lease in Postgres, which this node renews on a beat. When the last one of a
session is lost, or the node that had it, the session's timer for that runs from there: no node needs to remember.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import structlog
from msgspec import Struct, json

from persistence.errors import StorageError
from persistence.log import Record
from persistence.seldom import Seldom
from persistence.sessions import Host, Hosted, Renewed, Sessions
from realtime.bounded import uncount
from realtime.domain import access
from realtime.domain.session import State
from realtime.feed import Feed
from realtime.feeds import Feeds
from realtime.lifecycle import Lifecycle, TakenOver
from realtime.peer import Peer
from realtime.protocol.codes import Close
from realtime.protocol.events import Kind, SessionBody
from realtime.protocol.replies import SessionView
from realtime.settings import Settings
from realtime.tasks import Tasks
from realtime.transport import Connection

# How often it is looked, in seconds, whether a connection is gone that is about to go.
OVERLAP_BEAT: Final = 0.05
seldom_log = Seldom(structlog.get_logger("hosting"))


class _Held(Struct):
    """A connection that hosts a session; `term` is that of the owner's device, if the session is run from it."""

    connection: Connection
    host: Host
    term: int | None = None


class Hosting:
    """All connections of this node that host sessions."""

    def __init__(
        self, sessions: Sessions, feeds: Feeds, lifecycle: Lifecycle, tasks: Tasks, settings: Settings
    ) -> None:
        self._sessions = sessions
        self._feeds = feeds
        self._lifecycle = lifecycle
        self._tasks = tasks
        self._settings = settings
        self._held: dict[str, dict[str, _Held]] = {}
        self._losing: set[asyncio.Task[None]] = set()
        self._renewing = asyncio.Lock()
        # Sessions for which commands of hosts are being carried out, and how many.
        self._acting: Counter[str] = Counter()
        feeds.on_turn(self._turned)

    def __iter__(self) -> Iterator[_Held]:
        return (held for sessions in self._held.values() for held in sessions.values())

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    async def meet(self, connection: Connection, peer: Peer, view: SessionView) -> bool | None:
        """Let a connection that joins host the session, if its user is a host of it.

        Tells whether the session is run from this connection; nothing where that is not known, or not for this user.
        """
        if not access.hosts(view.host, peer.identity.user, view.members) or view.state == State.ENDED:
            return None
        try:
            hosted = await self._claim_patiently(connection, peer, view)
        except StorageError as exc:
            # The next renewal counts it all the same.
            seldom_log.warning("host not counted", reason=str(exc))
            return None
        # Co-hosts never run it from a device of theirs: whatever they may do, they may do anywhere.
        return hosted.hosting if hosted and peer.identity.user == view.host else None

    def review(self, connection: Connection, peer: Peer, view: SessionView) -> None:
        """Count a connection that is in the session as its user's role is now."""
        held = view.id in self._held.get(peer.connection_id, {})
        hosts = access.hosts(view.host, peer.identity.user, view.members)
        if hosts and not held:
            self._tasks.start(self.meet(connection, peer, view))
        elif held and not hosts:
            self.lose(peer, view.id)

    async def term(self, connection: Connection, peer: Peer, view: SessionView, *, back: bool) -> int | None:
        """Give the term in which the owner runs the session from this connection; nothing to others who may.

        With `back`, an interrupted session is brought back by that.

        Raises:
            TakenOver: the owner runs it from another one.
            StorageError
        """
        if not access.hosts(view.host, peer.identity.user, view.members):
            return None
        held = self._held.get(peer.connection_id, {}).get(view.id)
        owner = peer.identity.user == view.host
        if held is None or (owner and held.term is None) or (back and view.state == State.INTERRUPTED):
            hosted = await self._claim_patiently(connection, peer, view, back=back)
            if hosted is None or not owner:
                return None
            if not hosted.hosting:
                raise TakenOver
            return hosted.term
        return held.term

    async def _claim_patiently(
        self, connection: Connection, peer: Peer, view: SessionView, *, back: bool = True
    ) -> Hosted | None:
        """Claim; where another connection runs the session, see for a moment whether that is about to go.

        Who reloads a page is back before Postgres knows that the old one is gone.
        """
        owner, loop = peer.identity.user == view.host, asyncio.get_running_loop()
        deadline = loop.time() + self._settings.host_overlap_ms / 1000
        while True:
            hosted = await self.claim(connection, peer, view.id, owner=owner, back=back)
            if hosted is None or hosted.hosting or not owner or loop.time() >= deadline or not connection.open:
                return hosted
            await asyncio.sleep(OVERLAP_BEAT)

    async def claim(
        self,
        connection: Connection,
        peer: Peer,
        session: str,
        *,
        owner: bool,
        take: bool = False,
        key: UUID | None = None,
        back: bool = True,
    ) -> Hosted | None:
        """Count a connection as one that hosts the session, and run the session from it, if it is the owner's turn.

        Gives nothing where the session doesn't exist, or has ended.

        Raises:
            StorageError
        """
        # First, so that it is renewed, or lost, whatever happens meanwhile.
        host = Host(session, peer.connection_id, peer.identity.user, peer.device)
        held = self._held.setdefault(peer.connection_id, {}).setdefault(session, _Held(connection, host))
        try:
            return await self._claim(held, owner=owner, take=take, key=key, back=back)
        finally:
            if not connection.open:
                # It was closed before this began, and nobody loses it any more.
                self._forget(peer.connection_id, session)
            if self._held.get(peer.connection_id, {}).get(session) is not held:
                # Lost meanwhile, and perhaps before Postgres counted it.
                self._start_losing(host)

    async def _claim(self, held: _Held, *, owner: bool, take: bool, key: UUID | None, back: bool) -> Hosted | None:
        host = held.host
        hosted = await self._sessions.claim(host, owner=owner, take=take, key=key)
        if hosted is None:
            self._forget(host.connection, host.session)
            return None
        held.term = hosted.term if hosted.hosting else None
        if hosted.event is not None:
            self._feeds.committed(host.session, hosted.epoch, [hosted.event])
        if back and hosted.state == State.INTERRUPTED:
            await self._lifecycle.come_back(host.session, host.member)
        return hosted

    def runs(self, peer: Peer, session: str) -> bool:
        """Tell whether the owner runs the session from this connection, as far as this node knows."""
        held = self._held.get(peer.connection_id, {}).get(session)
        return held is not None and held.term is not None

    def lose(self, peer: Peer, session: str | None = None) -> None:
        """Count a connection no more, for one session or for all."""
        for each in [session] if session else list(self._held.get(peer.connection_id, ())):
            held = self._forget(peer.connection_id, each)
            if held is not None:
                self._start_losing(held.host)

    def _forget(self, connection: str, session: str) -> _Held | None:
        sessions = self._held.get(connection, {})
        held = sessions.pop(session, None)
        if not sessions:
            self._held.pop(connection, None)
        return held

    def _start_losing(self, host: Host) -> None:
        task = self._tasks.start(self._lose(host))
        self._losing.add(task)
        task.add_done_callback(self._losing.discard)

    async def _lose(self, host: Host) -> None:
        async with self._renewing:
            # A renewal that is on its way would count the connection again.
            pass
        try:
            await self._sessions.lose(host.session, host.connection)
        except StorageError as exc:
            # Then it counts until its lease ends.
            seldom_log.warning("host's loss not stored", reason=str(exc))

    async def left_channel(self, session: str) -> None:
        """Have a live session interrupted after the grace: its host is not in its video channel any more.

        Raises:
            StorageError
        """
        await self._sessions.on_video(session, there=False)

    async def joined_channel(self, session: str, user: str) -> None:
        """Have it go on: its host is in the channel again.

        Raises:
            StorageError
        """
        await self._sessions.on_video(session, there=True)
        await self._lifecycle.come_back(session, user)

    async def drain(self) -> None:
        """Wait until every loss is stored."""
        if self._losing:
            await asyncio.wait(self._losing)

    async def run(self) -> None:
        """Renew the leases, for ever."""
        while True:
            await asyncio.sleep(self._settings.lease_beat_ms / 1000)
            await self.renew()

    @contextmanager
    def acting(self, session: str) -> Iterator[None]:
        """Leave it to a command, while that is carried out, to end an interruption: it would find it ended else."""
        self._acting[session] += 1
        try:
            yield
        finally:
            uncount(self._acting, session)

    async def renew(self) -> None:
        """Renew the leases of all, and end the interruption of every session that has a host."""
        try:
            for session, user in (await self._renew()).items():
                if session not in self._acting:
                    await self._lifecycle.come_back(session, user)
        except StorageError as exc:
            seldom_log.warning("hosts not renewed", reason=str(exc))

    async def _renew(self) -> dict[str, str]:
        """Renew the leases; give the sessions that are interrupted all the same, and a host who is there."""
        async with self._renewing:
            hosts = [held.host for held in self]
            renewed = await self._sessions.renew(hosts) if hosts else Renewed()
        for host in hosts:
            if host.session in renewed.ended:
                self._forget(host.connection, host.session)
        users = {host.session: host.member for host in hosts}
        return {session: users[session] for session in renewed.interrupted}

    def _turned(self, feed: Feed, record: Record) -> None:
        """Send away the device from which a session was run, once it is run from another."""
        if not feed.over and record.kind != Kind.SESSION_TAKEN_OVER:
            return
        held = [held for held in self if held.host.session == feed.id]
        if feed.over:
            for each in held:
                self._forget(each.host.connection, feed.id)
        else:
            term = json.decode(record.body, type=SessionBody).term
            for each in held:
                if each.term is not None and term is not None and each.term < term:
                    each.connection.close(Close.TAKEN_OVER, "another device hosts the session")
