"""Has Agora put out of a session's channel whom a token that was issued would still let in, by its kicking rules.

A token can't be taken back; a rule counts for more. Rules are made by the node on which something was changed, one call
after the other and after the change: should the node die in between, the token's end is what ends it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import structlog
from msgspec import UNSET, Struct, json

from persistence.agora_uids import AgoraUids, Holder
from persistence.errors import StorageError
from persistence.log import Record
from persistence.seldom import Seldom
from realtime.calling import CallError, call
from realtime.protocol.events import SessionBody
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
T = TypeVar("T")
seldom_log = Seldom(structlog.get_logger("kicks"))


class _Job(Struct, frozen=True):
    """Have Agora's rules follow a change: about one user, in one session or wherever there is a number, or about all.

    `forbids` says which rules may have to be made, `lifts` whether some may have to go. What somebody may do is looked
    up when it is done: it may have changed again.
    """

    session: str | None = None
    user: str | None = None
    forbids: Sequence[Sequence[Ban]] = ()
    lifts: bool = False


class Kicks:
    """The rules that this node makes and takes back, if Agora's API is configured."""

    def __init__(self, uids: AgoraUids, settings: Settings) -> None:
        self._uids = uids
        self._settings = settings
        self._account = account_of(settings)
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(settings.agora_kick_queue)

    def ended(self, session: str) -> None:
        """Put everyone out of the channel of a session that has ended."""
        self._add(_Job(session, forbids=[OUT]))

    def changed(self, session: str, record: Record) -> None:
        """Draw the consequences of a change: of somebody's role, or of who may come to a session."""
        body = json.decode(record.body, type=SessionBody)
        if body.user is not UNSET:
            self._add(_Job(session, body.user, forbids=[OUT, SILENT], lifts=body.role != "viewer"))
        for user in body.removed or ():
            self._add(_Job(session, user, forbids=[OUT]))
        for user in body.allowed or ():
            self._add(_Job(session, user, lifts=True))
        if body.changes and body.changes.private is False:
            self._add(_Job(session, lifts=True))

    def froze(self, user: str, frozen: bool) -> None:
        """Put a user who is frozen out of the channels of all sessions; let one in again who is not any more."""
        self._add(_Job(user=user, forbids=[OUT] if frozen else [], lifts=not frozen))

    def _add(self, job: _Job) -> None:
        if self._account is None:
            return
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            metrics.KICKS.labels("dropped").inc()
            seldom_log.warning("kick not made", reason="too many wait")

    async def drain(self) -> None:
        """Wait until all is done that waits."""
        await self._jobs.join()

    async def run(self) -> None:
        """Do what is asked for, for ever."""
        while True:
            job = await self._jobs.get()
            try:
                await self._do(job)
            finally:
                self._jobs.task_done()

    async def _do(self, job: _Job) -> None:
        with _told():
            if job.user is not None:
                for holder in await _patiently(partial(self._uids.holders, job.user, job.session)):
                    with _told():
                        await self._see_to(job, holder.session, holder.uid)
            elif job.session is not None and job.forbids:
                await self._close(job.session)
            elif job.session is not None:
                await self._lift(job.session)

    async def _close(self, session: str) -> None:
        # Where nobody has a number, nobody has a token.
        if await _patiently(partial(self._uids.any, session)):
            await self._make(session, None, OUT)

    async def _see_to(self, job: _Job, session: str, uid: int) -> None:
        forbidden = _forbidden(await self._look(session, uid))
        made = [bans for bans in job.forbids if bans in forbidden]
        for bans in made:
            await self._make(session, uid, bans)
        # Another node may have looked for rules to lift while these were made.
        if job.lifts or (made and _forbidden(await self._look(session, uid)) != forbidden):
            await self._lift(session, uid)

    async def _look(self, session: str, uid: int) -> Holder | None:
        return await _patiently(partial(self._uids.holder, session, uid))

    async def _make(self, session: str, uid: int | None, forbidden: Sequence[Ban]) -> None:
        assert self._account is not None
        lasts_s = self._settings.agora_lifetime + MARGIN_S
        await self._ask(kicking.make(self._account, session, uid, forbidden, lasts_s))
        metrics.KICKS.labels("made").inc()

    async def _lift(self, session: str, uid: int | None = None) -> None:
        """Take back what forbids one, or anyone, in a session what they may do."""
        assert self._account is not None
        # Asked for, not remembered: another node, or this one in another life, may have made them.
        said = await self._ask(kicking.list_all(self._account))
        for number, rule in kicking.rules_of(session, uid, said):
            # Looked up after that: whatever made the rule is stored by now.
            if rule.forbids(_allowed(await self._look(session, number))):
                # One that another node has just removed holds up no other.
                with _told():
                    await self._ask(kicking.remove(self._account, rule.id))
                    metrics.KICKS.labels("lifted").inc()

    async def _ask(self, request: Request) -> Answer:
        """Make a call, again where that may help."""
        return await _patiently(partial(self._call, request))

    async def _call(self, request: Request) -> Answer:
        assert self._account is not None
        await asyncio.sleep(PACE_SECONDS)
        url, headers = self._settings.agora_api + request.path, {"Authorization": self._account.authorization}
        return kicking.read(
            *await call(request.method, url, headers, request.body, seconds=self._settings.agora_api_timeout)
        )


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do something, again where that may help."""
    for attempt in range(1, ATTEMPTS):
        try:
            return await work()
        except (KickRefused, CallError, StorageError) as exc:
            if isinstance(exc, KickRefused) and not exc.again:
                raise
            await asyncio.sleep(PAUSE_SECONDS * attempt)
    return await work()


@contextmanager
def _told() -> Iterator[None]:
    """Count a failure, and tell the operator; what comes after is done all the same."""
    try:
        yield
    except (KickRefused, CallError, StorageError) as exc:
        metrics.KICKS.labels("failed").inc()
        seldom_log.warning("kick not made", reason=str(exc))


def _forbidden(holder: Holder | None) -> Sequence[Sequence[Ban]]:
    """Give what a user may not do in a channel, by rules of their own: either may end without the other one."""
    if holder is None or holder.publishes:
        return ()
    return (SILENT,) if holder.joins else (OUT, SILENT)


def _allowed(holder: Holder | None) -> Sequence[Ban]:
    """Give what a user may do."""
    if holder is None or not holder.joins:
        return ()
    return (*OUT, *SILENT) if holder.publishes else OUT


def account_of(settings: Settings) -> Account | None:
    """Give the account by whose name Agora is asked, if there is one."""
    if not settings.agora_customer_id:
        return None
    app = App(settings.agora_app_id, settings.agora_certificate)
    return Account(app, settings.agora_customer_id, settings.agora_customer_secret)
