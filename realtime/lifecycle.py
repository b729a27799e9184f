"""Sessions are created and moved: decided by the table, done by a conditional update, told by the log."""

from persistence.log import Record
from persistence.sessions import Session, Sessions
from realtime.domain import access
from realtime.domain.access import May
from realtime.domain.session import Action, State, decide
from realtime.feeds import Feeds
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.text import clean
from realtime.settings import Settings
from tokens.access import Identity

# A session that two hosts fight over is moved by someone else each time; three tries settle it.
ATTEMPTS = 3


class Lifecycle:
    """What hosts do with their sessions."""

    def __init__(self, sessions: Sessions, feeds: Feeds, settings: Settings) -> None:
        self._title_characters = settings.title_characters
        self._sessions = sessions
        self._feeds = feeds

    async def create(self, who: Identity, title: str) -> Session:
        """Create a scheduled session.

        Raises:
            Refusal: `forbidden`; or `bad_request` or `too_large` for the title.
        """
        access.check_create(who.role)
        limit = self._title_characters
        return await self._sessions.create(who.user, clean(title, max_characters=limit, max_bytes=4 * limit))

    async def find(self, session: str) -> Session:
        """Find a session.

        Raises:
            Refusal: `not_found`.
        """
        found = await self._sessions.get(session)
        if found is None:
            raise Refusal(Code.NOT_FOUND, "no such session")
        return found

    async def newest(self, state: State | None, limit: int) -> list[Session]:
        """Give the newest sessions, of one state or of all."""
        return await self._sessions.newest(state, limit)

    async def move(self, who: Identity, session: str, action: Action) -> Record:
        """Carry out a transition, and give its event.

        Raises:
            Refusal: `not_found`, `forbidden`, or `conflict` with the state that stands in the way.
        """
        for _ in range(ATTEMPTS):
            found = await self.find(session)
            state = State(found.state)
            access.check(May.RUN, access.role_in(found.host, who.user, who.role), state)
            step = decide(state, action)
            moved = await self._sessions.move(session, found.version, step.to, step.kind, who.user)
            if moved is not None:
                self._feeds.committed(session, moved.epoch, [moved.event])
                return moved.event
        raise Refusal(Code.UNAVAILABLE, "the session is being changed by others", retry_after_ms=100)
