"""One session as a client follows it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from stagewire_client.audience import Audience
from stagewire_client.commands import Commands
from stagewire_client.delivery import Delivery
from stagewire_client.errors import Failed, Lost, Refused
from stagewire_client.home import Home
from stagewire_client.keyboard import Keyboard
from stagewire_client.messages import (
    AgoraToken,
    Event,
    Gap,
    Joined,
    Page,
    Ping,
    Position,
    Push,
    Removed,
    Signal,
    Skipped,
    Snapshot,
)
from stagewire_client.policy import delay_of, passes
from stagewire_client.quality import page_size
from stagewire_client.stream import Stream, Streams, folded
from stagewire_client.timeline import Message, Timeline
from stagewire_client.video import Playback, Player, Tokens
from stagewire_client.view import Since, Typists, View
from stagewire_client.wire import Wire
from stagewire_client.writing import Writing

_PAGE = 50
_LARGEST_PAGE = 200


class Session(Commands):
    """Iterate over it for its events, from the join on: consecutive, each once, with a Gap where some can't be given.

    What is asked of it is asked as `Commands` says.
    """

    def __init__(self, home: Home, session: str, since: Since | None, *, secondary: bool = False) -> None:
        super().__init__(home, session, View(session, home.user, since, home.settings.window))
        self.secondary = secondary
        self._writing = Writing(session, home.user, home.settings, home.edges, home.keeper)
        self._readers: Streams[Event | Gap] = Streams(home.settings.stream, folded)
        self._signals: Streams[Signal] = Streams(home.settings.stream)
        self._stream = self._readers.open()
        self._to_heal = asyncio.Event()
        self._player = Player(home.settings, self._say, home.poor)
        self._tokens = Tokens(session, home.settings)
        self._keyboard = Keyboard(home.settings)
        self.over = False

    # What there is

    def __aiter__(self) -> AsyncIterator[Event | Gap]:
        return self._stream

    def events(self) -> Stream[Event | Gap]:
        """Give another iterator over the events, from now on."""
        return self._readers.open()

    def signals(self) -> Stream[Signal]:
        """Give an iterator over the signals, from now on: the audience, who types, reactions."""
        return self._signals.open()

    def agora_tokens(self) -> Stream[AgoraToken]:
        """Give an iterator over the tokens that take the place of the one that `agora_token` has given."""
        return self._tokens.streams.open()

    @property
    def snapshot(self) -> Snapshot:
        """Give the session as it stands."""
        return self._view.snapshot

    @property
    def role(self) -> str:
        """Give the user's role: host, cohost, moderator or viewer."""
        return self._view.role

    @property
    def hosting(self) -> bool | None:
        """Tell whether the session is run from this connection, where that is known."""
        return self._view.hosting

    @property
    def audience(self) -> Audience:
        """Give who is there."""
        return self._view.audience

    @property
    def typists(self) -> Typists:
        """Give who types, but for the user."""
        return self._view.typing(asyncio.get_running_loop().time(), self._home.settings.typing)

    @property
    def timeline(self) -> Timeline:
        """Give the events that are held."""
        return self._view.timeline

    @property
    def position(self) -> Position | None:
        """Give how far the log has been followed: what to `join` with after a restart of the program."""
        return self._view.timeline.position

    @property
    def proven(self) -> Position | None:
        """Give up to where a heartbeat has proven that nothing is missing."""
        return self._view.proven

    def messages(self) -> list[Message]:
        """Give the messages of the events that are held, merged, in the order of display."""
        return self._view.timeline.messages()

    # What the user writes

    def send(self, text: str, *, reply_to: int | None = None) -> Delivery:
        """Write a message; it is sent when it can be. Raises Full where too many wait."""
        self._keyboard.rest()
        return self._writing.write("chat.send", text=text, reply_to=reply_to)

    def edit(self, seq: int, text: str) -> Delivery:
        """Give one's own message another text. Raises Full where too many wait."""
        return self._writing.write("chat.edit", seq=seq, text=text)

    def delete(self, seq: int) -> Delivery:
        """Delete a message, for good. Raises Full where too many wait."""
        return self._writing.write("chat.delete", seq=seq)

    @property
    def pending(self) -> list[Delivery]:
        """Give what is written and not stored yet, in its order; what was refused is among it."""
        return self._writing.pending

    async def ready(self) -> None:
        """Wait until it is joined, and what an earlier client has left is pending; for the latter not for long."""
        await self.joined.wait()
        await self._writing.restore()

    async def settled(self) -> None:
        """Wait until everything that was written is stored, refused or dropped.

        Raises:
            Failed: the client has given up to connect.
            Lost: the session was left, or the client closed.
            Refused: the session is not the user's any more.
        """
        await self._writing.settled()

    def keep(self) -> None:
        """Keep again what is pending, where that has failed."""
        self._writing.keep()

    # What the user asks for

    async def history(self, *, before: int | None = None, after: int | None = None, limit: int = _PAGE) -> Page:
        """Give a page of the log, as it is told now; a smaller one over a poor connection."""
        span = {name: value for name, value in (("before", before), ("after", after)) if value is not None}
        return await self._ask("history", Page, **span, limit=page_size(limit, poor=self._home.poor()))

    async def older(self, limit: int = _PAGE) -> list[Event]:
        """Give the events before the oldest that is held, and hold them, too, while there is room."""
        if not self.timeline.more:
            return []
        epoch = self.timeline.epoch
        page = await self.history(before=self.timeline.oldest, limit=limit)
        # What was asked of one life of the log is not of the next one.
        if epoch == self.timeline.epoch:
            self._merge(page.events)
        return page.events

    async def agora_token(self) -> AgoraToken:
        """Give a token for the session's video channel. `agora_tokens` gives those that follow."""
        token = await self._ask("agora.token", AgoraToken)
        self._tokens.wanted = True
        return token

    def typing(self, *, on: bool) -> bool:
        """Tell the others that the user types, or not; nothing over a poor connection. Gives whether it was said.

        It may be called with every key: what they know already is not said again.
        """
        now = asyncio.get_running_loop().time()
        if self._home.poor() or not self._keyboard.is_news(now, on=on) or not self._say({"type": "typing", "on": on}):
            return False
        self._keyboard.note(now, on=on)
        return True

    def react(self, kind: str) -> bool:
        """Say how one likes it; nothing over a poor connection. Gives whether it was said."""
        return not self._home.poor() and self._say({"type": "react", "kind": kind})

    def playback(self, state: Playback) -> None:
        """Say what the player does. It is said again for as long as it plays, and after a reconnect."""
        self._player.become(state)

    def _say(self, command: dict[str, Any]) -> bool:
        wire = self.joined.value
        if wire is None or wire.congested:
            return False
        wire.say({**command, "session": self.id})
        return True

    # What the server says

    def hear(self, push: Push) -> None:
        """Take a push that is about this session, or a heartbeat."""
        if self.position is None:
            # What is still told of an earlier join, which somebody has given up.
            return
        if isinstance(push, Event):
            self._merge([push])
        elif isinstance(push, Signal):
            self._view.signal(push, asyncio.get_running_loop().time())
            self._signals.put(push)
        elif isinstance(push, AgoraToken):
            self._tokens.streams.put(push)
        elif isinstance(push, Ping) and self.joined.value is not None and self.id in push.heads:
            self._view.compare(push.heads[self.id])
        elif isinstance(push, Skipped):
            self._view.timeline.expect(push.last)
        elif isinstance(push, Removed):
            self.fail(Refused(push.code, push.message))
        if self._view.amiss:
            self._to_heal.set()

    def _merge(self, events: list[Event]) -> None:
        self._tell(self._view.merge(events))

    def _tell(self, happened: "list[Event] | list[Event | Gap]") -> None:
        for one in happened:
            if isinstance(one, Event):
                self._writing.recognise(one)
            self._readers.put(one)

    # What becomes of it

    def fail(self, error: Exception | None) -> None:
        """End it for good: because of an error, or because the user wants to."""
        self.over = True
        self.joined.fail(error or Lost())
        self._writing.fail(error or Lost())
        self._writing.leave()
        self._readers.end(error)
        self._signals.end(error)
        self._tokens.streams.end(error)

    def give_up(self, failed: Failed) -> None:
        """Tell those who wait that the client has given up, until somebody asks it to go on."""
        self.joined.fail(failed)
        self._writing.fail(failed)

    def go_on(self) -> None:
        """Have them wait again."""
        self.joined.shut()
        self._writing.go_on()

    async def follow(self, wire: Wire) -> None:
        """Join, keep the log whole, and send what is written, until the wire ends, or the session is over."""
        try:
            if await self._join(wire):
                await self._writing.restore()
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._writing.send_on(wire))
                    group.create_task(self._heal_on(wire))
                    group.create_task(self._player.report_on())
                    group.create_task(self._tokens.renew_on(wire))
        except* Lost:
            # The connection says so, and comes back.
            pass
        finally:
            if self.joined.value is wire:
                self.joined.shut()
            self._writing.lost()
            self._keyboard.rest()

    async def _join(self, wire: Wire) -> bool:
        """Join; give whether the user may, and still wants to."""
        tries = 0
        while not self.over:
            since = self._view.since
            command = {"type": "join", "session": self.id} | ({} if since is None else {"since": since})
            try:
                # At once, before anything is heard that comes after it.
                await wire.request(command, Joined, then=partial(self._enter, wire, since))
            except Refused as exc:
                tries += 1
                if not passes(exc, first=tries == 1):
                    self.fail(exc)
                    return False
                await self._home.asker.wait_after(exc, tries)
            else:
                return not self.over
        return False

    def _enter(self, wire: Wire, since: Since | None, joined: Joined) -> None:
        if self.over:
            return
        happened = self._view.enter(since, joined)
        self.joined.open(wire)
        self._tell(happened)

    async def _heal_on(self, wire: Wire) -> None:
        tries = 0
        while True:
            await self._to_heal.wait()
            self._to_heal.clear()
            tries = 0 if not self._view.amiss or await self._heal(wire) else tries + 1
            if tries:
                await asyncio.sleep(delay_of(tries - 1, self._home.edges.random(), self._home.settings))
                if not await self._join(wire):
                    # Nothing more is to be sent, either.
                    raise Lost

    async def _heal(self, wire: Wire) -> bool:
        """Fetch what is missing; give whether that was possible."""
        while not self._view.anew and self._view.timeline.missing:
            head = self.timeline.head
            limit = page_size(_LARGEST_PAGE, poor=self._home.poor())
            command = {"type": "history", "session": self.id, "after": head, "limit": limit}
            try:
                await wire.request(command, Page, then=lambda page: self._merge(page.events))
            except Refused:
                return False
            if self.timeline.head == head:
                return False
        return not self._view.anew
