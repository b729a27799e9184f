"""Agora tokens: who asks, for which session, and whether they may have one."""

from collections.abc import Callable
from time import perf_counter, time

from persistence.agora_uids import AgoraUids
from realtime.admission import Admission
from realtime.domain import access
from realtime.domain.access import May, Role
from realtime.domain.session import State
from realtime.feed import role_of
from realtime.hub import Hub
from realtime.identities import FROZEN
from realtime.issuing import Issuer
from realtime.peer import Peer, membership_of, permitted
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.replies import AgoraToken
from realtime.renewing import Renewals
from realtime.settings import Settings
from realtime.tasks import Tasks
from realtime.telemetry import metrics
from realtime.transport import Connection
from tokens.access import Identity


class Video:
    """Issues Agora tokens, or says that no app id is configured."""

    def __init__(
        self,
        uids: AgoraUids,
        admission: Admission,
        hub: Hub,
        tasks: Tasks,
        settings: Settings,
        is_frozen: Callable[[str], bool],
        clock: Callable[[], float] = time,
    ) -> None:
        self._admission = admission
        self._is_frozen = is_frozen
        self._issuer = Issuer(uids.give, tasks, settings, clock)
        self.renewals = Renewals(self._issuer, hub.group)

    async def issue(self, who: Identity, session: str) -> AgoraToken:
        """Issue a token for the session's channel, by what Postgres knows of it.

        Raises:
            Refusal: `not_configured`, `not_found`, `forbidden` where the user was frozen meanwhile, or `conflict` while
                it shows nothing.
        """
        self._issuer.require()
        began = perf_counter()
        role = await self._role(who, session)
        uid = self._issuer.known(session, who.user)
        if uid is None:
            uid = await self._issuer.uid(session, who.user)
            # Asked again: the session may have ended, and the user may be another one in it, since.
            role = await self._role(who, session)
        told = self._issuer.told(session, self._issuer.issue(session, uid, role))
        metrics.TOKENS.observe(perf_counter() - began)
        return told

    async def _role(self, who: Identity, session: str) -> Role:
        """Give the role of one who may have a token now."""
        found = await self._admission.find(who, session)
        if self._is_frozen(who.user):
            raise Refusal(Code.FORBIDDEN, FROZEN)
        role = role_of(found, who)
        access.check(May.VIDEO, role, State(found.state))
        return role

    async def give(self, connection: Connection, peer: Peer, session: str, re: int | None) -> AgoraToken:
        """Issue one to a connection that has joined the session, by what this node knows; it is renewed from then on.

        Raises:
            Refusal: `not_configured`, `forbidden` to whom has not joined, or `conflict` while it shows nothing.
        """
        membership_of(peer, session)
        self._issuer.require()
        began = perf_counter()
        uid = await self._issuer.uid(session, peer.identity.user)
        # Only now: whoever was taken out, or given another role, while Postgres was asked gets what is right since.
        membership = permitted(peer, session, May.VIDEO)
        issued = self._issuer.issue(session, uid, membership.role)
        self.renewals.hold(connection, peer, session, issued)
        metrics.TOKENS.observe(perf_counter() - began)
        return self._issuer.told(session, issued, re)
