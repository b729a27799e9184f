"""What is set in a session, and whom its host names.

As transitions are, it is decided by pure rules, done by a conditional update, and told by the log.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from msgspec import UNSET, json, structs

from persistence.changes import Changed, Changes, Outcome, Update
from persistence.log import Record
from persistence.sessions import Session
from realtime.domain import access
from realtime.domain.access import May
from realtime.domain.session import TIMERS, State
from realtime.domain.session_settings import Bounds, applied, wanted
from realtime.feed import role_of, view_of
from realtime.feeds import Feeds
from realtime.lifecycle import ATTEMPTS, Lifecycle
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.commands import NamedRole
from realtime.protocol.refusals import contended, key_used, no_such_session, session_ended
from realtime.protocol.session_settings import Change
from realtime.settings import Settings
from tokens.access import Identity

_REFUSALS: Final = {
    Outcome.CONFLICT: key_used,
    Outcome.CLOSED: session_ended,
    Outcome.MISSING: no_such_session,
}


class Changing:
    """Changes sessions. What changes nothing is an event only under a key: for a repetition to be known by it."""

    def __init__(self, changes: Changes, lifecycle: Lifecycle, feeds: Feeds, settings: Settings) -> None:
        self._changes = changes
        self._lifecycle = lifecycle
        self._feeds = feeds
        self._bounds = Bounds(settings.title_characters, settings.text_characters)
        self._most_members = settings.members

    async def update(self, who: Identity, session: str, change: Change, key: UUID | None = None) -> Record | None:
        """Change title and settings; give the event, if there is one.

        Raises:
            Refusal: `bad_request` or `too_large` for a value, `not_found`, `forbidden`, or `conflict` for the key or
                because the session has ended.
        """
        asked = wanted(change, self._bounds)

        async def attempt(found: Session) -> Changed | None:
            before = view_of(found)
            after = applied(before, asked)
            if key is None and after == before:
                return None
            stored = json.encode(after.settings).decode()
            told = json.encode(asked).decode()
            update = Update(session, found.version, who.user, after.title, stored, told, key)
            if asked.limits is not UNSET:
                limits = json.encode(self._lifecycle.limits(after.settings)).decode()
                update = structs.replace(update, limits=limits, timers=TIMERS[State(found.state)])
            return await self._changes.update(update)

        return await self._carry_out(who, session, May.SET, attempt)

    async def name(
        self, who: Identity, session: str, user: str, role: NamedRole, key: UUID | None = None
    ) -> Record | None:
        """Name a user co-host or moderator, or viewer again; give the event, if there is one.

        Raises:
            Refusal: `not_found`, `forbidden`, or `conflict`: for the host, for too many, for the key, or because the
                session has ended.
        """

        async def attempt(found: Session) -> Changed | None:
            self._check_named(found, user, role)
            if key is None and found.members.get(user, "viewer") == role:
                return None
            return await self._changes.name(session, found.version, who.user, user, role, key)

        return await self._carry_out(who, session, May.NAME, attempt)

    def _check_named(self, found: Session, user: str, role: NamedRole) -> None:
        if user == found.host:
            raise Refusal(Code.CONFLICT, "the host stays the host")
        if role != "viewer" and user not in found.members and len(found.members) >= self._most_members:
            raise Refusal(Code.CONFLICT, f"at most {self._most_members} co-hosts and moderators")

    async def _carry_out(
        self, who: Identity, session: str, may: May, attempt: Callable[[Session], Awaitable[Changed | None]]
    ) -> Record | None:
        for _ in range(ATTEMPTS):
            found = await self._lifecycle.find(session)
            access.check_role(may, role_of(found, who))
            told = await attempt(found)
            if told is None:
                if found.state == State.ENDED:
                    # Else the log would say so, which is not asked where nothing changes.
                    raise session_ended()
                return None
            if told.outcome is not Outcome.STALE:
                return settle(self._feeds, session, told)
        raise contended()


def settle(feeds: Feeds, session: str, told: Changed) -> Record | None:
    """Tell everyone what was changed just now, and give the event.

    Raises:
        Refusal: `conflict` or `not_found`.
    """
    if make := _REFUSALS.get(told.outcome):
        refusal = make()
        raise refusal
    if told.outcome is Outcome.NEW and told.event is not None:
        feeds.changed(session, told.epoch, told.event)
    return told.event
