"""A client of a Stagewire server: `async with Stagewire(url, token=…) as live: show = await live.join(id)`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Self, TypeVar

from stagewire_client.asking import Asker
from stagewire_client.connection import Connection, Edges, Introduction, TokenSource
from stagewire_client.delivery import Delivery
from stagewire_client.errors import Failed, Lost, StagewireError
from stagewire_client.following import Following
from stagewire_client.home import Home
from stagewire_client.keeper import Keeper
from stagewire_client.latch import Latch
from stagewire_client.letters import Letters
from stagewire_client.mailbox import Mailbox
from stagewire_client.messages import (
    Ack,
    Created,
    Entry,
    Inbox,
    Left,
    Push,
    Quality,
    Snapshot,
    Welcome,
)
from stagewire_client.notices import Notice, Notices
from stagewire_client.policy import Reason, State, Status
from stagewire_client.session import Session
from stagewire_client.settings import Settings
from stagewire_client.storage import MemoryStorage, Storage
from stagewire_client.stream import Stream, Streams
from stagewire_client.view import Since
from stagewire_client.wire import Wire

T = TypeVar("T")
log: Final = logging.getLogger("stagewire_client")
NAME: Final = "stagewire-python/0.1.0"


class Stagewire:
    """One user's connection, which comes back by itself, and the sessions that it follows.

    `url` is that of the WebSocket, or a function that gives one for each attempt. `token` is an access token, or an
    async function that gives one: it is told whether the last one is stale, and raises NotSignedIn where asking again
    is of no use. `storage` keeps what is written until it is stored; in memory, where nothing else is given.
    """

    def __init__(
        self,
        url: str | Callable[[], str],
        *,
        token: str | TokenSource,
        client: str = NAME,
        device: str | None = None,
        storage: Storage | None = None,
        settings: Settings | None = None,
        edges: Edges | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._edges = edges or Edges()
        self._connection = Connection(
            Introduction(url=url, token=token, client=client, device=device),
            self._settings,
            self._edges,
            self._hear,
            self._attend,
            self._on_status,
        )
        self._notices = Notices(self.retry, self._keep)
        self._keeper = Keeper(storage or MemoryStorage(), lambda fails: self._notices.storage(fails=fails))
        self._letters = Letters(self._settings, self._edges, self._keeper)
        self._following = Following()
        self._online: Latch[Wire] = Latch()
        self._asker = Asker(self._settings, self._edges, asyncio.Semaphore(self._settings.requests))
        self._pushes: Streams[Push] = Streams(self._settings.stream)
        self._mailbox = Mailbox(self._settings.stream)
        self._running: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.user = ""

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def open(self) -> None:
        """Begin to connect, unless that was done; whoever wants something waits until it is online.

        Raises:
            StagewireError: it was closed; make another one.
        """
        if self._closing is not None:
            raise StagewireError("the client is closed")
        if self._running is not None:
            return
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._run())
        self._keeping = loop.create_task(self._keeper.run())

    async def connect(self) -> None:
        """Begin to connect, where that was not done, and wait until it is online.

        Raises:
            Failed: it has given up.
            StagewireError: it was closed; make another one.
        """
        self.open()
        await self._online.wait()

    async def close(self) -> None:
        """End the connection, and have what is pending kept. Everything that iterates comes to its end."""
        if self._running is None or self._keeping is None:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(self._running, self._keeping))
        # It goes on to its end, also where whoever has asked for it does not wait so long.
        await asyncio.shield(self._closing)

    async def _close(self, running: "asyncio.Task[None]", keeping: "asyncio.Task[None]") -> None:
        await self._connection.close()
        await self._finish(running, running, self._settings.closing)
        self._connection.end(State.OFFLINE, Reason.IDLE)
        self._end()
        await self._finish(keeping, self._keeper.settled(), self._settings.storing)
        if self._keeper.unwritten:
            log.warning("%d changes of what is pending could not be kept in time", self._keeper.unwritten)
        self._running = None
        if running.done() and not running.cancelled():
            running.result()

    async def _run(self) -> None:
        try:
            await self._connection.run()
        except Exception:
            # A defect of this package. Nobody shall wait for what never comes; `close` raises it.
            self._connection.end(State.FAILED, Reason.DEFECT)
            raise

    async def _finish(self, task: "asyncio.Task[None]", done: Awaitable[None], within: float) -> None:
        """Wait a moment for something, and end the task."""
        waiting = asyncio.ensure_future(done)
        await asyncio.wait([waiting], timeout=within)
        waiting.cancel()
        task.cancel()
        # What the application has given us to call may not let itself be ended.
        await asyncio.wait([waiting, task], timeout=self._settings.closing)

    def _end(self) -> None:
        self._following.end_all()
        self._letters.writing.fail(Lost())
        self._letters.writing.leave()
        self._online.fail(Lost())
        self._pushes.end()
        self._mailbox.streams.end()
        self._notices.streams.end()
        self._connection.statuses.end()

    # What there is

    @property
    def status(self) -> Status:
        """Say what the connection is at, and why."""
        return self._connection.status

    def statuses(self) -> Stream[Status]:
        """Give an iterator over what the connection is at, from now on."""
        return self._connection.statuses.open()

    @property
    def quality(self) -> Quality | None:
        """Give how good the connection is, as the server has measured it."""
        return self._connection.quality

    @property
    def now(self) -> int:
        """Give the server's time, as far as it is known: milliseconds since the epoch."""
        return self._connection.now

    @property
    def sessions(self) -> list[Session]:
        """Give the sessions that are followed."""
        return self._following.sessions

    def pushes(self) -> Stream[Push]:
        """Give an iterator over everything that the server says by itself, from now on."""
        return self._pushes.open()

    def inbox(self) -> Stream[Entry]:
        """Give an iterator over the entries of the user's inbox that were not acknowledged, and those that come."""
        return self._mailbox.open()

    def notices(self) -> Stream[Notice]:
        """Give an iterator over the failures that users should be told of, and over their ends, from now on."""
        return self._notices.streams.open()

    @property
    def lasting(self) -> list[Notice]:
        """Give the failures that users should be told of now."""
        return self._notices.lasting

    # What the user asks for

    def retry(self) -> None:
        """Connect now, in place of waiting, or after a failure."""
        self._connection.retry()

    async def join(self, session: str, *, since: Since | None = None, secondary: bool = False) -> Session:
        """Follow a session, from now on, or from `since`: a position, or "last" for the one that the server has kept.

        A `secondary` session is left while the connection is poor, and joined from its position afterwards.

        Raises:
            Refused: the user may not, or there is no such session.
            Failed: the client has given up to connect.
            StagewireError: it is followed already.
        """
        await self._online.wait()
        followed = Session(self._home(), session, since, secondary=secondary)
        self._following.add(followed)
        try:
            await followed.ready()
        except BaseException:
            wire = self._following.end(followed)
            if wire is not None:
                wire.say({"type": "leave", "session": session})
            raise
        return followed

    async def leave(self, session: Session) -> None:
        """Follow it no more. What is pending stays in the storage."""
        wire = self._following.end(session)
        if wire is not None:
            # Whoever is lost now has left, too.
            with suppress(Lost):
                await wire.request({"type": "leave", "session": session.id}, Left)

    async def create(self, title: str, **settings: Any) -> Snapshot:
        """Create a session, which is scheduled then; it is not joined yet."""
        command = {"type": "session.create", "title": title, "key": self._edges.key(), **settings}
        return (await self.request(command, Created)).session

    async def ask(self, session: str) -> Ack:
        """Ask to be let into a private session."""
        return await self.request({"type": "session.ask", "session": session}, Ack)

    def direct(self, user: str, text: str) -> Delivery:
        """Put a message into another user's inbox; it is sent when it can be. Raises Full where too many wait."""
        return self._letters.write(user, text)

    @property
    def pending(self) -> list[Delivery]:
        """Give what is written, here and in the sessions, and not stored yet; what was refused is among it."""
        return [*self._letters.writing.pending, *(sent for session in self.sessions for sent in session.pending)]

    async def acknowledge(self, entry: Entry) -> Ack:
        """Take an entry, and all before it, out of the user's inbox, for all devices."""
        ack = await self.request({"type": "inbox.ack", "upto": entry.id}, Ack)
        self._mailbox.acknowledge(entry)
        return ack

    async def request(self, command: dict[str, Any], wanted: type[T]) -> T:
        """Send any command, without an id, and give its reply, read as `wanted`. Where it is lost it is sent again.

        Raises:
            Refused: the server says no, and not for now.
            Lost: there was no answer in time.
            Failed: the client has given up to connect.
        """
        return await self._asker.ask(self._online, command, wanted)

    def _home(self) -> Home:
        return Home(self.user, self._settings, self._edges, self._keeper, self._is_poor, self._asker)

    def _is_poor(self) -> bool:
        return self.status.state is State.DEGRADED

    # While it is connected

    async def _attend(self, wire: Wire, welcome: Welcome) -> None:
        self.user = welcome.user
        async with asyncio.TaskGroup() as group:
            self._online.open(wire)
            self._following.begin(wire, group)
            group.create_task(self._send_letters(wire))
            try:
                # Until the connection ends, which cancels this.
                await asyncio.get_running_loop().create_future()
            finally:
                # Before the group takes no more tasks.
                self._following.pause()
                if self._online.value is wire:
                    self._online.shut()

    async def _send_letters(self, wire: Wire) -> None:
        # To the host of a session writes whoever has joined it.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.reply):
                for session in self.sessions:
                    with suppress(StagewireError):
                        await session.joined.wait()
        await self._letters.send_on(wire, self.user)

    def _keep(self) -> None:
        self._letters.writing.keep()
        for session in self.sessions:
            session.keep()

    def _on_status(self, status: Status) -> None:
        self._notices.connection(status)
        if status.state is State.FAILED:
            self._give_up(Failed(status))
        elif status.state is State.CONNECTING:
            self._online.shut()
            self._letters.writing.go_on()
            for session in self.sessions:
                session.go_on()
        elif status.state is State.DEGRADED:
            self._following.rest()
        elif status.state is State.ONLINE:
            self._following.make_up()

    def _give_up(self, failed: Failed) -> None:
        self._online.fail(failed)
        self._letters.writing.fail(failed)
        for session in self.sessions:
            session.give_up(failed)

    def _hear(self, push: Push) -> None:
        self._pushes.put(push)
        if isinstance(push, Inbox):
            self._mailbox.take_in(push)
        self._following.hear(push)
