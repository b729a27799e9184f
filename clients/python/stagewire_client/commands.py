"""What can be asked of the server about one session, so that it is done once, though answers may be lost."""

from typing import Any, Literal, TypeVar

from stagewire_client.errors import Code, Refused
from stagewire_client.home import Home
from stagewire_client.latch import Latch
from stagewire_client.messages import Ack
from stagewire_client.view import View
from stagewire_client.wire import Wire

T = TypeVar("T")
_HOST = "host"


class Commands:
    """What is asked is asked again where the connection is lost before the answer, with the same key.

    All raise Refused where the server says no, Lost where that takes too long, and Failed where the client has given
    up.
    """

    def __init__(self, home: Home, session: str, view: View) -> None:
        self.id = session
        # The wire over which it is joined now.
        self.joined: Latch[Wire] = Latch()
        self._home = home
        self._view = view

    async def start(self, reason: str | None = None) -> Ack:
        """Go live."""
        return await self._move("session.start", reason)

    async def pause(self, reason: str | None = None) -> Ack:
        """Pause the session."""
        return await self._move("session.pause", reason)

    async def resume(self, reason: str | None = None) -> Ack:
        """Go on after a pause or an interruption."""
        return await self._move("session.resume", reason)

    async def end(self, reason: str | None = None) -> Ack:
        """End the session, for good."""
        return await self._move("session.end", reason)

    async def take_over(self) -> Ack:
        """Run the session from this connection."""
        return await self._run("session.takeover")

    async def update(self, **changes: Any) -> Ack:
        """Change the session's title or settings."""
        return await self._act("session.update", **changes)

    async def appoint(self, user: str, role: Literal["cohost", "moderator", "viewer"]) -> Ack:
        """Name a co-host or a moderator, or take that back."""
        return await self._act("session.role", user=user, role=role)

    async def answer(self, user: str, *, accept: bool) -> Ack:
        """Let one who has asked into a private session, or don't."""
        return await self._ask("session.answer", Ack, user=user, accept=accept)

    async def _move(self, kind: str, reason: str | None) -> Ack:
        return await self._run(kind, **({} if reason is None else {"reason": reason}))

    async def _run(self, kind: str, **fields: Any) -> Ack:
        """Do what only the device may do from which a host runs the session."""
        try:
            ack = await self._act(kind, **fields)
        except Refused as exc:
            # Of a conflict that no state makes, another device is the reason.
            if exc.code == Code.CONFLICT and exc.state is None:
                self._host_from_here(here=False)
            raise
        self._host_from_here(here=True)
        return ack

    def _host_from_here(self, *, here: bool) -> None:
        if self._view.role == _HOST:
            self._view.hosting = here

    async def _act(self, kind: str, **fields: Any) -> Ack:
        return await self._ask(kind, Ack, key=self._home.edges.key(), **fields)

    async def _ask(self, kind: str, wanted: type[T], **fields: Any) -> T:
        return await self._home.asker.ask(self.joined, {"type": kind, "session": self.id, **fields}, wanted)
