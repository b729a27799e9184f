"""The sessions of a client, each followed over the wire that there is."""

import asyncio

from stagewire_client.errors import StagewireError
from stagewire_client.messages import Ping, Push
from stagewire_client.session import Session
from stagewire_client.wire import Wire


class Following:
    """Those that are over are of it no more."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._tasks: dict[Session, asyncio.Task[None]] = {}
        self._on: tuple[Wire, asyncio.TaskGroup] | None = None

    @property
    def sessions(self) -> list[Session]:
        """Give the sessions that are followed."""
        return [session for session in self._sessions.values() if not session.over]

    def add(self, session: Session) -> None:
        """Follow one more.

        Raises:
            StagewireError: it is followed already.
        """
        known = self._sessions.get(session.id)
        if known is not None and not known.over:
            raise StagewireError(f"the session {session.id} is followed already")
        self._sessions[session.id] = session
        self._follow(session)

    def end(self, session: Session) -> Wire | None:
        """Follow it no more; give the wire on which it is still to be left, if there is one."""
        wire = session.joined.value
        session.fail(None)
        self._forget(session)
        # Where it is still being joined, it is left when that is done.
        if wire is not None:
            self._cancel(session)
        return wire

    def end_all(self) -> None:
        """Follow none any more."""
        for session in self.sessions:
            session.fail(None)
        self._sessions.clear()

    def begin(self, wire: Wire, group: asyncio.TaskGroup) -> None:
        """Follow them over a wire, in tasks of a group."""
        self._on = (wire, group)
        # All: of a task that never began something may be left.
        for session in self.sessions:
            self._follow(session)

    def pause(self) -> None:
        """Begin nothing more over that wire."""
        self._on = None

    def rest(self) -> None:
        """Leave what can wait for a better connection."""
        for session in self.sessions:
            wire = session.joined.value
            if session.secondary and wire is not None and session in self._tasks:
                self._tasks.pop(session).cancel()
                session.joined.shut()
                wire.say({"type": "leave", "session": session.id})

    def make_up(self) -> None:
        """Follow those again that had to wait."""
        for session in self.sessions:
            if session not in self._tasks:
                self._follow(session)

    def hear(self, push: Push) -> None:
        """Have those take a push whom it concerns."""
        about = getattr(push, "session", None)
        for session in self.sessions:
            if isinstance(push, Ping) or session.id == about:
                session.hear(push)
            if session.over:
                self._forget(session)
                self._cancel(session)

    def _follow(self, session: Session) -> None:
        if self._on is not None:
            wire, group = self._on
            self._tasks[session] = group.create_task(self._follow_on(session, wire))

    async def _follow_on(self, session: Session, wire: Wire) -> None:
        try:
            await session.follow(wire)
        finally:
            if self._tasks.get(session) is asyncio.current_task():
                del self._tasks[session]
        if session.over:
            self._forget(session)
            if session.id not in self._sessions:
                # The server has let in whoever has given up to wait for that.
                wire.say({"type": "leave", "session": session.id})

    def _forget(self, session: Session) -> None:
        # There may be another one by now.
        if self._sessions.get(session.id) is session:
            del self._sessions[session.id]

    def _cancel(self, session: Session) -> None:
        task = self._tasks.get(session)
        if task is not None:
            task.cancel()
