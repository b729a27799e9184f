"""Who types where: gathered from this node's users and the others' hints, and told at a bearable pace."""

import asyncio
from time import monotonic
from typing import Final

from realtime.attendance import Attendance
from realtime.domain.typing import Pace, Typing, View
from realtime.feeds import Feeds
from realtime.hub import Hub
from realtime.protocol.events import TypingSignal
from realtime.settings import Settings

# How often it is looked what is due, in seconds.
BEAT: Final = 0.1


class Typists:
    """Knows who types in each session. In an audience that is too large for names, nobody is said to type."""

    def __init__(self, attendance: Attendance, feeds: Feeds, hub: Hub, settings: Settings) -> None:
        self._attendance = attendance
        self._feeds = feeds
        self._hub = hub
        self._limit = settings.audience_list
        self._pace = Pace(settings.typing_ms, int(settings.typing_timeout * 1000), self._limit)
        self._sessions: dict[str, Typing] = {}
        feeds.on_typing = self.hear

    def begin(self, session: str, user: str, connection: str) -> None:
        """Take note that a user types, on that connection."""
        if not self._quiet(session):
            self._at(session).begin(user, connection, _now())
            self._tell(session)

    def end(self, session: str, user: str, connection: str | None = None) -> None:
        """Take note that a user types no more: on that connection, if one is named."""
        if typing := self._sessions.get(session):
            typing.end(user, connection)
            self._tell(session)

    def hear(self, session: str, node: str, left: dict[str, int]) -> None:
        """Take note of who types on another node."""
        if self._hub.size(session) and not self._feeds.over(session):
            self._at(session).hear(node, left, _now())
            self._tell(session)

    def current(self, session: str) -> TypingSignal:
        """Give what was told last."""
        typing = self._sessions.get(session)
        view = typing.told if typing else View()
        return TypingSignal(session=session, users=view.users, count=view.count)

    def __len__(self) -> int:
        return len(self._sessions)

    async def run(self) -> None:
        """Tell what is due, for ever."""
        while True:
            await asyncio.sleep(BEAT)
            self._look()

    def _look(self) -> None:
        for session in list(self._sessions):
            self._tell(session)

    def _at(self, session: str) -> Typing:
        return self._sessions.setdefault(session, Typing(self._pace))

    def _quiet(self, session: str) -> bool:
        return self._attendance.audience(session).users > self._limit

    def _tell(self, session: str) -> None:
        typing, now, over = self._sessions[session], _now(), self._feeds.over(session)
        if view := typing.signal(now, quiet=over or self._quiet(session)):
            self._hub.signal(session, TypingSignal(session=session, users=view.users, count=view.count))
        if (left := typing.hint(now)) is not None:
            self._feeds.announce_typing(session, left)
        if over or typing.idle(now):
            del self._sessions[session]


def _now() -> int:
    return int(monotonic() * 1000)
