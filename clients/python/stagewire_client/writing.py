"""What a user writes in a session: kept, sent in order, and told of when it is stored."""

import asyncio
from typing import Any

from stagewire_client.connection import Edges
from stagewire_client.delivery import Delivery
from stagewire_client.errors import Dropped, Refused
from stagewire_client.keeper import Keeper
from stagewire_client.messages import Ack, Event
from stagewire_client.outbox import Draft, Outbox, command
from stagewire_client.settings import Settings
from stagewire_client.wire import Wire


class Writing:
    """One user's in one session."""

    def __init__(self, session: str, user: str, settings: Settings, edges: Edges, keeper: Keeper) -> None:
        self._session = session
        self._user = user
        self._settings = settings
        self._edges = edges
        self._keeper = keeper
        self._outbox = Outbox(settings.pending)
        self._sent: dict[str, Delivery] = {}
        self._number = 0
        self._loading: asyncio.Task[None] | None = None
        # What was forgotten while the storage was read, which may still tell of it.
        self._gone: set[str] = set()
        # Why nothing can be sent, while that is so.
        self._failure: Exception | None = None
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pending(self) -> list[Delivery]:
        """Give what is not stored yet, in its order; what was refused is among it."""
        return [self._sent[pending.draft.key] for pending in self._outbox.entries()]

    def write(self, kind: str, **fields: Any) -> Delivery:
        """Take something in, to be sent when it can be.

        Raises:
            Full: too much waits already, and nothing of it was refused.
        """
        forgotten = self._outbox.make_room()
        if forgotten is not None:
            self._forget(forgotten)
        now = self._edges.clock()
        # Ascends also over what was written by a client before this one.
        self._number = max(self._number + 1, now)
        draft = Draft(key=self._edges.key(), type=kind, written_at=now, number=self._number, **fields)
        self._outbox.add(draft)
        self._keep(draft)
        return self._begin(draft)

    def belongs_to(self, user: str) -> None:
        """Say whose it is. What was written before that is known is kept from now on."""
        if not self._user:
            self._user = user
            self.keep()

    def keep(self) -> None:
        """Keep again what is pending, where that has failed."""
        for pending in self._outbox.entries():
            self._keep(pending.draft)

    def _keep(self, draft: Draft) -> None:
        if self._user:
            self._keeper.put(self._user, self._session, draft)

    async def settled(self) -> None:
        """Wait until nothing is to be sent any more; raise why nothing can be, where that is so."""
        while self._outbox.open:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            await self._idle.wait()

    async def restore(self) -> None:
        """Take in what an earlier client has left. Where the storage takes too long, that is done later."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        await asyncio.wait([self._loading], timeout=self._settings.storing)

    async def _load(self) -> None:
        drafts = await self._keeper.load(self._user, self._session)
        for draft in self._outbox.restore(draft for draft in drafts if draft.key not in self._gone):
            self._begin(draft)
        # By the time of day what was written since may seem older: it can have been set back.
        for draft in self._outbox.renumber():
            self._keep(draft)
        self._number = max([self._number, *(pending.draft.number for pending in self._outbox.entries())])

    async def send_on(self, wire: Wire) -> None:
        """Send what there is, and what comes, until the wire ends.

        Raises:
            Lost: it has ended.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            draft = self._outbox.next(loop.time())
            if draft is not None:
                await self._deliver(wire, draft)
            else:
                await self._more(self._outbox.wait(loop.time()))

    def lost(self) -> None:
        """Take note that no answer will come any more over this wire."""
        self._outbox.lost()

    def recognise(self, event: Event) -> None:
        """Take note of an event of the log, which may be something of what is pending."""
        key = self._outbox.recognised(event, self._user)
        if key is not None:
            self._store(key, Ack(key, event.seq, event.at))

    def fail(self, error: Exception) -> None:
        """Tell those who wait, or will, that there is no way for what they wrote."""
        self._failure = error
        for sent in self.pending:
            sent.settle(error)
        self._note()

    def leave(self) -> None:
        """Leave what is kept where it is."""
        if self._loading is not None:
            self._loading.cancel()

    def go_on(self) -> None:
        """Have those wait again whose messages may be sent after all."""
        self._failure = None
        for sent in self.pending:
            if sent.error is None:
                sent.reopen()
        self._note()

    async def _more(self, within: float | None) -> None:
        try:
            async with asyncio.timeout(within):
                await self._news.wait()
        except TimeoutError:
            return

    async def _deliver(self, wire: Wire, draft: Draft) -> None:
        try:
            ack = await wire.request(command(draft, self._session), Ack)
        except Refused as exc:
            self._refuse(draft.key, exc)
        else:
            self._store(draft.key, ack)

    def _refuse(self, key: str, error: Refused) -> None:
        now = asyncio.get_running_loop().time()
        pending = self._outbox.refused(key, error, now, self._edges.random(), self._settings)
        if pending is not None and pending.failed:
            self._sent[key].settle(error)
        self._note()

    def _store(self, key: str, ack: Ack) -> None:
        self._outbox.stored(key)
        sent = self._sent.get(key)
        if sent is not None:
            sent.settle(ack)
            self._forget(key)
        self._note()

    def _begin(self, draft: Draft) -> Delivery:
        sent = self._sent[draft.key] = Delivery(draft, self._outbox, self._changed)
        if self._failure is not None:
            sent.settle(self._failure)
        self._note()
        return sent

    def _changed(self, key: str) -> None:
        """Go on after the user has retried or dropped something."""
        if key not in self._outbox:
            self._sent[key].settle(Dropped())
            self._forget(key)
        self._note()

    def _forget(self, key: str) -> None:
        self._sent.pop(key, None)
        if self._loading is not None and not self._loading.done():
            self._gone.add(key)
        if self._user:
            self._keeper.remove(self._user, self._session, key)

    def _note(self) -> None:
        self._news.set()
        if self._outbox.open and self._failure is None:
            self._idle.clear()
        else:
            self._idle.set()
