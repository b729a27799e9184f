"""Builds Agora tokens: each once, for however many ask, and remembers it for the first half of its life."""

from collections import OrderedDict
from collections.abc import Callable
from secrets import randbelow
from time import time

from msgspec import Struct

from realtime.bounded import keep
from realtime.domain.access import Role
from realtime.numbers import Numbers, NumbersOf
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.replies import AgoraToken
from realtime.settings import Settings
from realtime.tasks import Tasks
from realtime.telemetry import metrics
from tokens import agora, grants, legacy
from tokens.grants import App, Grant


class Issued(Struct, frozen=True):
    """A token, and what it grants."""

    grant: Grant
    token: str


class Issuer:
    """Issues the tokens of one app, if one is configured. Whether somebody may have one is for the caller to ask."""

    def __init__(
        self, numbers_of: NumbersOf, tasks: Tasks, settings: Settings, clock: Callable[[], float] = time
    ) -> None:
        self.clock = clock
        self._configured = App(settings.agora_app_id, settings.agora_certificate) if settings.agora_app_id else None
        self._numbers = Numbers(numbers_of, tasks, settings)
        self._size = settings.agora_cache
        self._lifetime = settings.agora_lifetime
        self._build = agora.build if settings.agora_version == "007" else legacy.build
        self._issued: OrderedDict[tuple[str, int, Role], Issued] = OrderedDict()

    def require(self) -> App:
        """Give the app.

        Raises:
            Refusal: `not_configured`.
        """
        if self._configured is None:
            raise Refusal(Code.NOT_CONFIGURED, "no Agora app id is configured")
        return self._configured

    def known(self, session: str, user: str) -> int | None:
        """Give the number of a user in a session, if it is remembered."""
        return self._numbers.known((session, user))

    async def uid(self, session: str, user: str) -> int:
        """Give the number of a user in a session.

        Raises:
            StorageError
        """
        return await self._numbers.get((session, user))

    def issue(self, session: str, uid: int, role: Role, after: int = 0) -> Issued:
        """Give a token from now on; with `after`, one that was issued later than that (unix seconds)."""
        now = int(self.clock())
        key = session, uid, role
        held = self._issued.get(key)
        if held is not None and held.grant.issued_at > after and grants.is_fresh(held.grant, now):
            self._issued.move_to_end(key)
            metrics.TOKENS_GIVEN.labels("shared").inc()
            return held
        grant = grants.grant_for(session, uid, grants.Role(role), now, self._lifetime)
        issued = Issued(grant, self._build(self.require(), grant, 1 + randbelow(grants.U32_MAX)))
        keep(self._issued, key, issued, self._size)
        metrics.TOKENS_GIVEN.labels("built").inc()
        return issued

    def told(self, session: str, issued: Issued, re: int | None = None) -> AgoraToken:
        """Give a token as clients see it: as a reply, or as a push."""
        grant = issued.grant
        return AgoraToken(
            re=re,
            session=session,
            token=issued.token,
            app_id=self.require().app_id,
            channel=grant.channel,
            uid=grant.uid,
            role=grant.role,
            expires_at=grant.privilege_expires_at * 1000,
            renew_at=grants.renew_at(grant) * 1000,
        )
