"""Renews Agora tokens over open connections, unasked: before they end, and when their holder's role has changed."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from persistence.log import Record
from realtime.domain.access import May, Role
from realtime.domain.wheel import Wheel
from realtime.feed import Feed
from realtime.issuing import Issued, Issuer
from realtime.peer import Membership, Peer, check
from realtime.protocol.codes import Refusal
from realtime.telemetry import metrics
from realtime.transport import Connection
from tokens.grants import send_at

# Renewals that are sent without letting others have a turn. Each takes less than 0.1 ms.
SLICE: Final = 50
BEAT_SECONDS: Final = 1.0


class _Held(Struct, eq=False):
    """A token that somebody has: for which session, of which number and role, and when it was issued."""

    connection: Connection
    peer: Peer
    session: str
    uid: int
    role: Role
    issued_at: int


class Renewals:
    """The tokens that were asked for over connections of this node: one for each of these and session at most."""

    def __init__(self, issuer: Issuer, followers: Callable[[str], Iterable[Connection]]) -> None:
        self._issuer = issuer
        # Gives the connections that follow a session.
        self._followers = followers
        self._held: dict[tuple[Connection, str], _Held] = {}
        self._wheel: Wheel[_Held] = Wheel()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, connection: Connection, peer: Peer, session: str, issued: Issued) -> None:
        """Renew a token that a connection was given, for as long as it is in the session."""
        grant = issued.grant
        held = self._held.get((connection, session))
        if held is None:
            held = _Held(connection, peer, session, grant.uid, Role(grant.role), grant.issued_at)
            self._held[connection, session] = held
        self._take(held, issued)

    def drop(self, connection: Connection, session: str) -> None:
        """Renew it no more."""
        held = self._held.pop((connection, session), None)
        if held is not None:
            self._wheel.remove(held)

    def review(self, connection: Connection, membership: Membership) -> None:
        """Send a holder a token of the role that it has now, if that is another one."""
        held = self._held.get((connection, membership.feed.id))
        if held is not None and held.role is not membership.role:
            self._renew(held, membership, "role")

    def turned(self, feed: Feed, record: Record) -> None:  # noqa: ARG002 - what feeds call
        """Renew nothing any more of a session that has ended."""
        if feed.over:
            for connection in self._followers(feed.id):
                self.drop(connection, feed.id)

    async def run(self) -> None:
        """Renew what is due, for ever."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self.beat()

    async def beat(self) -> None:
        """Renew what is due by now, a few at a time."""
        now = int(self._issuer.clock())
        while due := self._wheel.take(now, SLICE):
            for held in due:
                membership = held.peer.joined.get(held.session)
                if membership is None:
                    self.drop(held.connection, held.session)
                else:
                    self._renew(held, membership, "time")
            await asyncio.sleep(0)

    def _renew(self, held: _Held, membership: Membership, why: str) -> None:
        try:
            check(May.VIDEO, membership)
        except Refusal:
            self.drop(held.connection, held.session)
            return
        after = held.issued_at if held.role is membership.role else 0
        issued = self._issuer.issue(held.session, held.uid, membership.role, after)
        self._take(held, issued)
        metrics.TOKENS_SENT.labels(why).inc()
        held.connection.send(self._issuer.told(held.session, issued))

    def _take(self, held: _Held, issued: Issued) -> None:
        held.role, held.issued_at = Role(issued.grant.role), issued.grant.issued_at
        self._wheel.put(held, send_at(issued.grant))
