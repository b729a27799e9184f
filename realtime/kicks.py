"""Has Agora put out of a session's channel whom a token that was issued would still let in, by its kicking rules.

A token can't be taken back; a rule counts for more. Rules are made by the node on which something was changed, one call
after the other and after the change: should the node die in between, the token's end is what ends it.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from msgspec import UNSET, Struct, json

from persistence.agora_uids import AgoraUids
from persistence.errors import StorageError
from persistence.guests import Guests
from persistence.log import Record
from persistence.seldom import Seldom
from realtime.calling import CallError, call
from realtime.protocol.events import Kind, SessionBody
from realtime.settings import Settings
from realtime.telemetry import metrics
from tokens import kicking
from tokens.errors import KickRefused
from tokens.grants import App
from tokens.kicking import OUT, SILENT, Account, Answer, Ban, Request

# Agora takes ten calls a second of an account.
PACE_SECONDS: Final = 0.1
ATTEMPTS: Final = 3
# After a failure that may be none the next time.
PAUSE_SECONDS: Final = 1.0
# A token that was issued a moment ago, on a node with another clock, ends within its life and that.
MARGIN_S: Final = 60
seldom_log = Seldom(structlog.get_logger("kicks"))


class _Job(Struct, frozen=True):
    """Forbid something, or nothing any more: to one or to all, in one session or wherever a user has a number.

    What one user may not do in one session is looked up again when it is done: it may have changed since.
    """

    forbidden: Sequence[Ban]
    session: str | None = None
    user: str | None = None


class Kicks:
    """The rules that this node makes and takes back, if Agora's API is configured."""

    def __init__(self, uids: AgoraUids, guests: Guests, settings: Settings) -> None:
        self._uids = uids
        self._guests = guests
        self._settings = settings
        self._account = account_of(settings)
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(settings.agora_kick_queue)

    def ended(self, session: str) -> None:
        """Put everyone out of the channel of a session that has ended."""
        self._add(_Job(OUT, session))

    def changed(self, session: str, record: Record) -> None:
        """Draw the consequences of a change: of somebody's role, or of who may come to a private session."""
        if record.kind == Kind.SESSION_ROLE:
            body = json.decode(record.body, type=SessionBody)
            assert body.user is not UNSET
            self._add(_Job(() if body.role == "cohost" else SILENT, session, body.user))
        elif record.kind == Kind.SESSION_GUESTS:
            body = json.decode(record.body, type=SessionBody)
            for user in body.removed or ():
                self._add(_Job(OUT, session, user))
            for user in body.allowed or ():
                self._add(_Job((), session, user))

    def froze(self, user: str, frozen: bool) -> None:
        """Put a user who is frozen out of the channels of all sessions; let one in again who is not any more."""
        self._add(_Job(OUT if frozen else (), user=user))

    def _add(self, job: _Job) -> None:
        if self._account is None:
            return
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            metrics.KICKS.labels("dropped").inc()
            seldom_log.warning("kick not made", reason="too many wait")

    async def run(self) -> None:
        """Do what is asked for, for ever."""
        while True:
            job = await self._jobs.get()
            try:
                targets = await self._targets(job)
            except StorageError as exc:
                _fail(exc)
                continue
            for session, uid in targets:
                try:
                    await self._do(job, session, uid)
                except (KickRefused, CallError) as exc:
                    _fail(exc)

    async def _do(self, job: _Job, session: str, uid: int | None) -> None:
        assert self._account is not None
        if job.forbidden:
            lasts_s = self._settings.agora_lifetime + MARGIN_S
            await self._ask(kicking.make(self._account, session, uid, job.forbidden, lasts_s))
            metrics.KICKS.labels("made").inc()
        elif uid is not None:
            await self._lift(self._account, session, uid)

    async def _targets(self, job: _Job) -> list[tuple[str, int | None]]:
        """Give in which channels, and to whom there. Who never had a number never had a token."""
        if job.session is None:
            assert job.user is not None
            return [*await self._uids.of_user(job.user)]
        if job.user is None:
            return [(job.session, None)] if await self._uids.any(job.session) else []
        if await self._may(job.forbidden, job.session, job.user):
            return []
        uid = await self._uids.find(job.session, job.user)
        return [] if uid is None else [(job.session, uid)]

    async def _may(self, forbidden: Sequence[Ban], session: str, user: str) -> bool:
        """Tell whether a user may now do what was to be forbidden."""
        if forbidden == OUT:
            return await self._guests.admits(session, user)
        return forbidden == SILENT and await self._uids.hosts(session, user)

    async def _lift(self, account: Account, session: str, uid: int) -> None:
        # Asked for, not remembered: another node, or this one in another life, may have made them.
        for rule in kicking.rules_of(session, uid, await self._ask(kicking.list_all(account))):
            await self._ask(kicking.remove(account, rule))
            metrics.KICKS.labels("lifted").inc()

    async def _ask(self, request: Request) -> Answer:
        """Make a call, again where that may help."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._call(request)
            except (KickRefused, CallError) as exc:
                if isinstance(exc, KickRefused) and not exc.again:
                    raise
                await asyncio.sleep(PAUSE_SECONDS * attempt)
        return await self._call(request)

    async def _call(self, request: Request) -> Answer:
        assert self._account is not None
        await asyncio.sleep(PACE_SECONDS)
        url, headers = self._settings.agora_api + request.path, {"Authorization": self._account.authorization}
        return kicking.read(
            *await call(request.method, url, headers, request.body, seconds=self._settings.agora_api_timeout)
        )


def _fail(exc: Exception) -> None:
    metrics.KICKS.labels("failed").inc()
    seldom_log.warning("kick not made", reason=str(exc))


def account_of(settings: Settings) -> Account | None:
    """Give the account by whose name Agora is asked, if there is one."""
    if not settings.agora_customer_id:
        return None
    app = App(settings.agora_app_id, settings.agora_certificate)
    return Account(app, settings.agora_customer_id, settings.agora_customer_secret)
