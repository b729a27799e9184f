"""Who may come to private sessions: those whom its host allows, and those who ask and are let in."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID, uuid5

from persistence.changes import Outcome
from persistence.guests import Guest, Guests, GuestsChanged
from persistence.log import Entry
from persistence.sessions import Session
from realtime.changing import settle
from realtime.domain import access
from realtime.domain.access import May, Role
from realtime.domain.session import State
from realtime.feed import role_of, view_of
from realtime.feeds import Feeds
from realtime.lifecycle import Lifecycle
from realtime.mail import Mail, entry
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.events import AnswerBody, InboxKind, RequestBody
from realtime.protocol.refusals import no_such_session, session_ended
from realtime.settings import Settings
from tokens.access import Identity

ALLOWED: Final = "allowed"
ASKED: Final = "asked"
DECLINED: Final = "declined"


class Admission:
    """Lets users into private sessions. A session that is not private is there for everyone."""

    def __init__(self, guests: Guests, lifecycle: Lifecycle, feeds: Feeds, mail: Mail, settings: Settings) -> None:
        self._guests = guests
        self._lifecycle = lifecycle
        self._feeds = feeds
        self._mail = mail
        self._most_guests = settings.guests
        self._most_requests = settings.requests

    async def find(self, who: Identity, session: str) -> Session:
        """Find a session that is there for a user; any other is as if it did not exist.

        Raises:
            Refusal: `not_found`.
        """
        found = await self._lifecycle.find(session)
        if not await self._admits(found, who):
            raise no_such_session()
        return found

    @asynccontextmanager
    async def veiled(self, who: Identity, session: str) -> AsyncIterator[None]:
        """Do something about a session, which for whom it is not there is refused as if it did not exist.

        Raises:
            Refusal: `not_found` in place of `forbidden`.
        """
        try:
            yield
        except Refusal as exc:
            if exc.code is Code.FORBIDDEN:
                await self.find(who, session)
            raise

    async def change(self, who: Identity, session: str, allow: Sequence[str], remove: Sequence[str]) -> GuestsChanged:
        """Let some in, and others not any more: those are taken out at once, on every node.

        Raises:
            Refusal: `not_found`, `forbidden`, `bad_request` where the lists overlap, or `conflict`.
        """
        if not set(allow).isdisjoint(remove):
            raise Refusal(Code.BAD_REQUEST, "a user is in both lists")
        found = await self._run(who, session)
        changed = await self._change(who, session, allow, remove)
        for user in changed.asked:
            guest = await self._guests.find(session, user)
            if guest is not None:
                self._mail.tell(_answer(found, guest))
        return changed

    async def page(self, who: Identity, session: str, standing: str | None, after: str, limit: int) -> list[Guest]:
        """Give the first guests whose names come after `after`, of one standing or of all.

        Raises:
            Refusal: `not_found` or `forbidden`.
        """
        await self._run(who, session)
        return await self._guests.page(session, standing, after, limit)

    async def ask(self, who: Identity, session: str) -> None:
        """Ask to be let in: whoever runs the session finds that in the inbox, once.

        Raises:
            Refusal: `not_found`; `forbidden`, because that was declined; `conflict`, because there is no need to, the
                session has ended, or too many are asking; `unavailable`.
        """
        found = await self._lifecycle.find(session)
        _check_open(found)
        if await self._admits(found, who):
            raise _may_join()
        guest = await self._guests.ask(session, who.user, self._most_requests)
        if guest is None:
            raise Refusal(Code.CONFLICT, "too many are asking already")
        if guest.standing == DECLINED:
            raise Refusal(Code.FORBIDDEN, "the host has declined")
        if guest.standing == ALLOWED:
            raise _may_join()
        hosts = [found.host, *(user for user, role in found.members.items() if role == Role.COHOST)]
        await asyncio.gather(*(self._mail.append(_request(session, host, guest)) for host in hosts))

    async def answer(self, who: Identity, session: str, user: str, *, accept: bool) -> Guest:
        """Let in one who has asked, or don't, and give their standing; they find the answer in the inbox, once.

        Raises:
            Refusal: `not_found`, also where nobody has asked; `forbidden`; `conflict`, because it was answered
                otherwise, the session has ended, or too many are allowed; `unavailable`.
        """
        found = await self._run(who, session)
        _check_open(found)
        guest = await self._guests.find(session, user)
        if guest is None:
            raise Refusal(Code.NOT_FOUND, "this user has not asked")
        if accept and guest.standing != ALLOWED:
            await self._change(who, session, [user], [])
        elif not accept and guest.standing == ASKED:
            await self._guests.decline(session, user)
        # Whatever somebody else did meanwhile: what stands is what is told, once.
        guest = await self._guests.find(session, user)
        if guest is None or (guest.standing == ALLOWED) is not accept:
            raise Refusal(Code.CONFLICT, "that was answered otherwise: allow or remove the guest")
        await self._mail.append(_answer(found, guest))
        return guest

    async def _admits(self, found: Session, who: Identity) -> bool:
        private = view_of(found).settings.private
        role = role_of(found, who)
        return access.admits(private, role, allowed=False) or await self._guests.admits(found.id, who.user)

    async def _run(self, who: Identity, session: str) -> Session:
        found = await self._lifecycle.find(session)
        async with self.veiled(who, session):
            access.check_role(May.SET, role_of(found, who))
        return found

    async def _change(self, who: Identity, session: str, allow: Sequence[str], remove: Sequence[str]) -> GuestsChanged:
        changed = await self._guests.change(session, who.user, allow, remove, self._most_guests)
        if changed.told.outcome is Outcome.FULL:
            raise Refusal(Code.CONFLICT, f"at most {self._most_guests} guests")
        settle(self._feeds, session, changed.told)
        return changed


def _check_open(found: Session) -> None:
    if found.state == State.ENDED:
        raise session_ended()


def _may_join() -> Refusal:
    return Refusal(Code.CONFLICT, "you may join")


# The keys are made of the moment since which a user has this standing: the same request or answer is told once, and
# another one again.


def _request(session: str, host: str, guest: Guest) -> Entry:
    key = uuid5(UUID(session), f"request {guest.user} {guest.at}")
    return entry(host, guest.user, key, InboxKind.REQUEST, RequestBody(session))


def _answer(found: Session, guest: Guest) -> Entry:
    key = uuid5(UUID(found.id), f"answer {guest.user} {guest.at}")
    return entry(guest.user, found.host, key, InboxKind.ANSWER, AnswerBody(found.id, guest.standing == ALLOWED))
