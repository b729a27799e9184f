"""Agora tokens: who asks, for which session, and what the grant may be."""

from collections.abc import Callable
from secrets import randbelow
from time import perf_counter, time

from persistence.sessions import Sessions
from realtime.admission import Admission
from realtime.domain import access
from realtime.domain.access import May
from realtime.domain.session import State
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.replies import AgoraToken
from realtime.settings import Settings
from realtime.telemetry import metrics
from tokens import agora, grants, legacy
from tokens.access import Identity

Build = Callable[[grants.App, grants.Grant, int], str]


class Video:
    """Issues Agora tokens, or says that no app id is configured."""

    def __init__(self, sessions: Sessions, admission: Admission, settings: Settings) -> None:
        self._sessions = sessions
        self._admission = admission
        self._lifetime = settings.agora_lifetime
        self._build: Build = agora.build if settings.agora_version == "007" else legacy.build
        self._app = grants.App(settings.agora_app_id, settings.agora_certificate) if settings.agora_app_id else None

    async def issue(self, who: Identity, session: str) -> AgoraToken:
        """Issue a token for the session's channel.

        Raises:
            Refusal: `not_configured`, `not_found`, `forbidden` where the session is private, or `conflict` while it
                shows nothing.
        """
        if self._app is None:
            raise Refusal(Code.NOT_CONFIGURED, "no Agora app id is configured")
        began = perf_counter()
        found = await self._admission.find(who, session)
        role = access.role_in(found.host, who.user, who.role, found.members)
        access.check(May.VIDEO, role, State(found.state))
        uid = await self._sessions.agora_uid(session, who.user)
        grant = grants.grant_for(session, uid, grants.Role(role), int(time()), self._lifetime)
        token = self._build(self._app, grant, 1 + randbelow(grants.U32_MAX))
        metrics.TOKENS.observe(perf_counter() - began)
        return AgoraToken(
            session=session,
            token=token,
            app_id=self._app.app_id,
            channel=grant.channel,
            uid=uid,
            role=role,
            expires_at=grant.privilege_expires_at * 1000,
            renew_at=grants.renew_at(grant) * 1000,
        )
