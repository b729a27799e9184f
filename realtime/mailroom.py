"""The inboxes of the users who are connected to this node: what waits, and what comes.

A connection has been given everything up to some id. What comes is written to it at once if it is next in
line; in every other case its inbox is read, a page at a time, for as long as it keeps up, until nothing is
missing. So there is no buffer between what waited and what comes: that is the inbox itself.

What comes is learned of in three ways: appended by this node, by a hint, or by asking Postgres at a steady
beat which inboxes have changed. The last covers every way in which the first two can fail.

Of users who have just left, that goes on for a while. So who comes back, and has nothing to be given, costs no read.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from time import monotonic
from typing import Any, Final

import structlog
from msgspec import DecodeError, Raw, Struct, json, msgpack

from persistence.errors import StorageError
from persistence.hints import Hints
from persistence.inbox import Inboxes, InboxHead, Page
from persistence.inbox_streams import Change
from persistence.log import Record
from persistence.seldom import Seldom
from realtime.backlog import Backlog
from realtime.domain.inbox import NOTHING, follows, serves, share
from realtime.protocol.events import Inbox, InboxEntry
from realtime.settings import DAY_MS, Settings
from realtime.tasks import Tasks
from realtime.telemetry import metrics
from realtime.transport import Connection

# The name under which the hints of all inboxes go; sessions have UUIDs.
HINTS: Final = "inbox"
# Inboxes read at a time.
BATCH: Final = 128
# Seconds from one sweep to the next, and about how many entries are deleted at a time.
SWEEP_SECONDS: Final = 600.0
SWEEP_ENTRIES: Final = 5000
log = structlog.get_logger("inbox")
seldom_log = Seldom(log)


class Hint(Struct, frozen=True, array_like=True):
    """What one node tells the others of a user's inbox."""

    node: str
    user: str
    epoch: str
    records: list[Record]


_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Hint).decode


class _Box:
    """One user's inbox as this node knows it: how far it goes, and how far each connection was given it."""

    __slots__ = ("acked", "epoch", "given", "known", "spell", "sure")

    def __init__(self) -> None:
        # Whether Postgres has ever been asked how far it goes, and in which spell that was last.
        self.sure = False
        self.spell = 0
        self.epoch = ""
        self.known = 0
        # Up to which id it is known to be acknowledged.
        self.acked = 0
        self.given: dict[Connection, int] = {}

    def begin(self, epoch: str) -> None:
        """Begin another life: what was given counts for nothing in it."""
        self.epoch = epoch
        self.known = self.acked = 0
        self.given = dict.fromkeys(self.given, NOTHING)

    @property
    def wanting(self) -> list[int]:
        """Give how far those were given it who lack something, and can take it."""
        return [
            given
            for connection, given in self.given.items()
            if (given < self.known or not self.sure) and _can_take(connection)
        ]


def _can_take(connection: Connection) -> bool:
    return connection.open and not connection.behind


class Mailroom:
    """Gives every connection of this node its user's inbox, in order, each entry once."""

    def __init__(self, node: str, inboxes: Inboxes, backlog: Backlog, tasks: Tasks, settings: Settings) -> None:
        self._node = node
        self._inboxes = inboxes
        self._backlog = backlog
        self._tasks = tasks
        self._settings = settings
        self._boxes: dict[str, _Box] = {}
        # In the order in which they began to wait; what could not be read waits for the next beat.
        self._wanted: dict[str, None] = {}
        self._late: set[str] = set()
        self._wake = asyncio.Event()
        self._checked: int | None = None
        # Postgres is asked what has changed without fail for a spell; what was read in an earlier one is not relied on.
        self._spell = 1
        # Users of whom no connection is left, in the order in which they left, and until when their boxes are kept.
        self._left: OrderedDict[str, float] = OrderedDict()
        self._acking: set[asyncio.Task[InboxHead | None]] = set()
        self.hints: Hints

    def works(self) -> Iterable[Callable[[], Coroutine[Any, Any, None]]]:
        """Give what runs for as long as the node does."""
        return self._backlog.copy_always, self._read_always, self._check_always, self._sweep_always

    def connections(self, user: str) -> list[Connection]:
        """Give the connections of a user."""
        box = self._boxes.get(user)
        return list(box.given) if box else []

    def enter(self, connection: Connection, user: str) -> None:
        """Give a connection what waits for its user, and what comes."""
        self._left.pop(user, None)
        box = self._boxes.setdefault(user, _Box())
        if box.spell == self._spell and box.known <= box.acked:
            # Nothing waits, and whatever comes is learned of as for any other connection.
            box.given[connection] = box.known
        else:
            box.given[connection] = NOTHING
            self._want(user)

    def leave(self, connection: Connection, user: str) -> None:
        """Give a connection nothing more."""
        box = self._boxes[user]
        del box.given[connection]
        if not box.given:
            self._left[user] = monotonic() + self._settings.linger
            self._forget()

    def _forget(self) -> None:
        """Let go of the boxes of those who left long ago, or before too many others."""
        now, most = monotonic(), self._settings.inbox_kept
        while self._left and (len(self._left) > most or next(iter(self._left.values())) <= now):
            del self._boxes[self._left.popitem(last=False)[0]]

    def catch_up(self, user: str) -> None:
        """Go on with a connection of the user's that can take something again."""
        box = self._boxes.get(user)
        if box is not None and box.wanting:
            self._want(user)

    def committed(self, user: str, epoch: str, records: list[Record]) -> None:
        """Pass on what this node has appended: to its own connections, the copy, and the other nodes."""
        for record in records:
            metrics.INBOX_ENTRIES.labels(record.kind).inc()
        self._offer(user, epoch, records)
        self._backlog.copy(Change(member=user, epoch=epoch, after=records[0].seq - 1, records=records))
        self.hints.publish(HINTS, _encode(Hint(self._node, user, epoch, records)))

    def receive(self, payload: bytes) -> None:
        """Take a hint."""
        try:
            hint = _decode(payload)
        except DecodeError:
            seldom_log.warning("hint not understood", session=HINTS)
            return
        if hint.node != self._node:
            self._offer(hint.user, hint.epoch, hint.records)

    async def ack(self, connection: Connection, user: str, upto: int) -> int:
        """Take out everything up to `upto`, or to what the connection was given; give up to which.

        Raises:
            Unavailable: nobody knows whether that was done.
        """
        box = self._boxes.get(user)
        given = box.given.get(connection, NOTHING) if box else NOTHING
        upto = max(0, min(upto, given))
        if upto:
            task = self._tasks.start(self._inboxes.ack(user, upto))
            self._acking.add(task)
            task.add_done_callback(self._acking.discard)
            # Whoever waits for it may go; it is done all the same.
            head = await asyncio.shield(task)
            if head is not None:
                self._backlog.copy(_acked(user, head))
                self._note_acked(user, head)
        return upto

    def _note_acked(self, user: str, head: InboxHead) -> None:
        box = self._boxes.get(user)
        if box is not None and box.epoch == head.epoch:
            box.acked = max(box.acked, head.acked)

    async def drain(self) -> None:
        """Wait until what was begun is done."""
        await asyncio.gather(*self._acking, return_exceptions=True)
        await self._backlog.drain()

    def _offer(self, user: str, epoch: str, records: list[Record]) -> None:
        box = self._boxes.get(user)
        if box is None:
            return
        if box.epoch != epoch:
            box.begin(epoch)
        box.known = max(box.known, records[-1].seq)
        for connection, given in box.given.items():
            new = [record for record in records if record.seq > given]
            if self._fits(given, new) and _can_take(connection):
                self._give(box, connection, new, records[-1].seq)
        if box.wanting:
            self._want(user)

    def _fits(self, given: int, new: list[Record]) -> bool:
        seqs = [record.seq for record in new]
        return 0 < len(seqs) <= self._settings.inbox_page and follows(given, seqs)

    def _give(self, box: _Box, connection: Connection, records: Sequence[Record], upto: int, lost: int = 0) -> None:
        box.given[connection] = upto
        entries = connection.codec.array([encode(record) for record in records])
        connection.send(Inbox(epoch=box.epoch, upto=upto, lost=lost, entries=entries))
        metrics.INBOX_DELIVERIES.inc(len(records))

    def _want(self, user: str) -> None:
        self._wanted[user] = None
        self._wake.set()

    async def _read_always(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._wanted:
                try:
                    await self._read_some()
                except Exception:
                    log.exception("inboxes not read")

    async def _read_some(self) -> None:
        after = {}
        for user in list(self._wanted)[:BATCH]:
            del self._wanted[user]
            box = self._boxes.get(user)
            if box is not None and (wanting := box.wanting):
                after[user] = min(wanting)
        if not after:
            return
        pages = await self._backlog.read(after)
        self._late.update(after.keys() - pages.keys())
        for user, page in pages.items():
            self._hand_out(user, after[user], page)

    def _hand_out(self, user: str, asked: int, page: Page) -> None:
        box = self._boxes.get(user)
        if box is None:
            return
        if box.epoch and not page.head.epoch:
            # Its first entry came while it was read, and was still empty.
            self._late.add(user)
            return
        if box.epoch != page.head.epoch:
            box.begin(page.head.epoch)
        box.known = max(box.known, page.head.seq, page.end)
        box.acked = max(box.acked, page.head.acked)
        if page.sure:
            box.sure, box.spell = True, self._spell
        for connection, given in box.given.items():
            if serves(given, page.head.gone, page.after, page.end) and _can_take(connection):
                self._serve(box, connection, given, page)
        if wanting := box.wanting:
            # What this page could not give, the next one may: but not at once, if it gave nothing.
            if min(wanting) > asked:
                self._want(user)
            else:
                self._late.add(user)

    def _serve(self, box: _Box, connection: Connection, given: int, page: Page) -> None:
        part = share(given, page.head.acked, page.head.dropped, page.after, page.end)
        records = page.records[part.first :]
        if records or part.lost:
            self._give(box, connection, records, part.upto, part.lost)
        else:
            box.given[connection] = part.upto

    async def _check_always(self) -> None:
        while True:
            alone = not self.hints.connected
            beat = self._settings.head_check_alone_ms if alone else self._settings.head_check_ms
            await asyncio.sleep(beat / 1000)
            self._forget()
            if self._boxes:
                await self._check()
            self._retry()

    def _retry(self) -> None:
        """Read again what could not be read."""
        for user in self._late:
            self._want(user)
        self._late.clear()

    async def _check(self) -> None:
        # An append may take as long as the database's timeout from its time to its commit.
        margin = int(2000 * self._settings.database_timeout)
        try:
            changes = await self._inboxes.changed(self._checked, margin)
        except StorageError as exc:
            seldom_log.warning("inboxes unknown", reason=str(exc))
            # It may be another Postgres when it is back, or an older state of this one.
            self._spell += 1
            return
        self._checked = changes.now
        for user, head in changes.heads.items():
            self._compare(user, head)

    def _compare(self, user: str, head: InboxHead) -> None:
        box = self._boxes.get(user)
        if box is None or (box.epoch == head.epoch and box.known >= head.seq):
            return
        if box.epoch != head.epoch:
            box.begin(head.epoch)
        box.known = head.seq
        box.acked = max(box.acked, head.acked)
        if box.given:
            metrics.INBOX_HEALED.inc()
            self._want(user)

    async def _sweep_always(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Delete what is too old."""
        try:
            while await self._inboxes.sweep(self._settings.inbox_days * DAY_MS, SWEEP_ENTRIES):
                pass
        except StorageError as exc:
            log.warning("inboxes not swept", reason=str(exc))


def _acked(user: str, head: InboxHead) -> Change:
    # An inbox of which nothing is left can be copied without reading it.
    empty = head.gone == head.seq
    after = head.seq if empty else head.acked
    return Change(
        member=user, epoch=head.epoch, after=after, acked=head.acked, dropped=head.dropped if empty else 0, anew=empty
    )


def encode(record: Record) -> bytes:
    """Encode an entry of an inbox as it is pushed, in JSON."""
    assert record.key is not None, "every entry has one"
    return json.encode(
        InboxEntry(
            id=record.seq, at=record.at, kind=record.kind, by=record.sender, key=record.key, body=Raw(record.body)
        )
    )
