"""The logs that this node follows: opened when first asked for, kept up to date, closed when unused.

An event reaches a feed three ways: committed by this node's writer, as a hint from another node, or
read from Postgres. The last covers every way in which the first two can fail: a hole is waited on
briefly, then read; and the heads of all feeds are compared with Postgres at a steady beat.

A log that has begun anew, in another epoch, is another log. Its feed is given up, and whoever follows it
is sent away to join again, and learns then that what it holds counts no more.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from time import monotonic

import structlog
from msgspec import DecodeError, Struct, msgpack

from persistence.errors import StorageError
from persistence.hints import Hints
from persistence.log import Head, Log, Record
from persistence.seldom import Seldom
from persistence.sessions import Sessions
from realtime.domain.lanes import Parcel
from realtime.feed import Feed
from realtime.hub import Hub
from realtime.protocol.codes import Close
from realtime.protocol.refusals import no_such_session
from realtime.settings import Settings
from realtime.tasks import Tasks
from realtime.telemetry import metrics

log = structlog.get_logger("feeds")
seldom_log = Seldom(log)


class Hint(Struct, frozen=True, array_like=True):
    """What one node tells the others of a session: events, that its audience changed, who types there, reactions.

    Of those who type it says for how many milliseconds that counts. `channel` says of viewers whether they are in the
    video channel.
    """

    node: str
    epoch: str = ""
    records: list[Record] = []
    audience: bool = False
    channel: dict[str, bool] = {}
    typing: dict[str, int] | None = None
    reactions: dict[str, int] | None = None


_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Hint).decode


class Feeds:
    """All feeds of this node.

    `on_audience(session)` is called when another node's audience changed, `on_channel(session, user, there)` when a
    viewer has come to the session's video channel or left it, `on_typing(session, node, left)` when another node says
    who types there, `on_reactions(session, counts)` when it has counted some, and `on_records(session, records)` with
    what comes of a log that is followed, in any order and any number. `on_standing(feed)` is called when somebody's
    role may have changed, or who may be there at all: before anything is told that happened since.
    """

    def __init__(self, node: str, log: Log, sessions: Sessions, hub: Hub, tasks: Tasks, settings: Settings) -> None:
        self._node = node
        self._log = log
        self._sessions = sessions
        self._hub = hub
        self._tasks = tasks
        self._settings = settings
        self._feeds: dict[str, Feed] = {}
        self._opening: dict[str, asyncio.Task[Feed]] = {}
        self._reaching: dict[str, asyncio.Task[None]] = {}
        # Events that arrive while a feed is being opened, by epoch.
        self._early: dict[str, list[tuple[str, list[Record]]]] = {}
        self._check_soon = asyncio.Event()
        self._on_close: list[Callable[[Feed], None]] = []
        self._on_change: list[Callable[[str, Record], None]] = []
        self._on_turn: list[Callable[[Feed, Record], None]] = []
        self.hints: Hints
        self.on_audience: Callable[[str], None] = _ignore
        self.on_channel: Callable[[str, str, bool], None] = _ignore
        self.on_typing: Callable[[str, str, dict[str, int]], None] = _ignore
        self.on_reactions: Callable[[str, dict[str, int]], None] = _ignore
        self.on_records: Callable[[str, Sequence[Record]], None] = _ignore
        self.on_standing: Callable[[Feed], None] = _ignore

    def __iter__(self) -> Iterator[Feed]:
        return iter(list(self._feeds.values()))

    def __len__(self) -> int:
        return len(self._feeds)

    def on_turn(self, take: Callable[[Feed, Record], None]) -> None:
        """Have `take(feed, record)` called for every event that says what has become of a session."""
        self._on_turn.append(take)

    def on_change(self, take: Callable[[str, Record], None]) -> None:
        """Have `take(session, record)` called for every change of settings, roles or guests that is made here."""
        self._on_change.append(take)

    def on_close(self, take: Callable[[Feed], None]) -> None:
        """Have `take(feed)` called for every session that this node follows no more."""
        self._on_close.append(take)

    def over(self, session: str) -> bool:
        """Tell whether a session has ended, or is not followed here."""
        feed = self._feeds.get(session)
        return feed is None or feed.over

    def get(self, session: str) -> Feed | None:
        """Give the feed of a session, if it is open."""
        return self._feeds.get(session)

    async def open(self, session: str) -> Feed:
        """Give the feed of a session; open it once for however many ask.

        Raises:
            Refusal: `not_found`.
            Unavailable: Postgres cannot be asked.
        """
        if feed := self._feeds.get(session):
            feed.idle_since = monotonic()
            return feed
        task = self._opening.get(session)
        if task is None:
            task = self._opening[session] = self._tasks.start(self._open(session))
            task.add_done_callback(lambda _: self._opening.pop(session, None))
        return await asyncio.shield(task)

    async def _open(self, session: str) -> Feed:
        self._early[session] = []
        try:
            # Only what is committed after the subscription can be missed by the reads below.
            await self.hints.follow(session)
            feed = await self._read(session)
        except BaseException:
            await self.hints.unfollow(session)
            raise
        else:
            self._feeds[session] = feed
            for epoch, records in self._early[session]:
                if epoch == feed.epoch:
                    self._take(feed, records)
            return feed
        finally:
            del self._early[session]

    async def _read(self, session: str) -> Feed:
        stored = await self._sessions.get(session)
        if stored is None:
            raise no_such_session()
        # Read after the session: whatever has changed since is in the log above its head, and comes again.
        allowed = await self._sessions.allowed(session)
        feed = Feed(stored, self._settings.ring_events, allowed, self._settings.slice_bytes)
        feed.warm(await self._log.before_in(session, feed.epoch, feed.head + 1, self._settings.ring_events))
        feed.idle_since = monotonic()
        return feed

    async def reach(self, feed: Feed, seq: int) -> None:
        """Bring a feed up to its log, where a reader has more than it: an event that has not come here yet.

        Read once for however many ask.

        Raises:
            Unavailable: Postgres cannot be asked.
        """
        # What another has begun may have been read before that event was there; what begins later was not.
        shared = feed.id in self._reaching
        await self._reach(feed)
        if shared and feed.head < seq:
            await self._reach(feed)

    async def _reach(self, feed: Feed) -> None:
        task = self._reaching.get(feed.id)
        if task is None:
            task = self._reaching[feed.id] = self._tasks.start(self._read_on(feed))
            task.add_done_callback(lambda _: self._reaching.pop(feed.id, None))
        await asyncio.shield(task)

    async def _read_on(self, feed: Feed) -> None:
        heads = await self._log.heads([feed.id])
        head = heads.get(feed.id)
        if head is None or head.epoch != feed.epoch:
            self._check_soon.set()
            return
        feed.expect(head.seq)
        await self._catch_up(feed)

    def committed(self, session: str, epoch: str, records: list[Record]) -> None:
        """Pass on what this node has appended: to its own connections, and to the other nodes."""
        self._offer(session, epoch, records)
        self.hints.publish(session, _encode(Hint(self._node, epoch, records)))

    def changed(self, session: str, epoch: str, record: Record) -> None:
        """Pass on a change of settings, roles or guests that this node has made."""
        self.committed(session, epoch, [record])
        for take in self._on_change:
            take(session, record)

    def announce_audience(self, session: str) -> None:
        """Tell the other nodes that this node's part of the audience changed."""
        self.hints.publish(session, _encode(Hint(self._node, audience=True)))

    def announce_channel(self, session: str, there: dict[str, bool]) -> None:
        """Tell every node, this one too, of viewers whether they are in the session's video channel."""
        self._see_channel(session, there)
        self.hints.publish(session, _encode(Hint(self._node, channel=there)))

    def announce_typing(self, session: str, left: dict[str, int]) -> None:
        """Tell the other nodes who types on this one."""
        self.hints.publish(session, _encode(Hint(self._node, typing=left)))

    def announce_reactions(self, session: str, counts: dict[str, int]) -> None:
        """Tell the other nodes how often each kind of reaction was sent on this one."""
        self.hints.publish(session, _encode(Hint(self._node, reactions=counts)))

    def receive(self, session: str, payload: bytes) -> None:
        """Take a hint."""
        try:
            hint = _decode(payload)
        except DecodeError:
            seldom_log.warning("hint not understood", session=session)
            return
        if hint.node == self._node:
            return
        if hint.records:
            self._offer(session, hint.epoch, hint.records)
        if hint.audience:
            self.on_audience(session)
        self._see_channel(session, hint.channel)
        if hint.typing is not None:
            self.on_typing(session, hint.node, hint.typing)
        if hint.reactions is not None:
            self.on_reactions(session, hint.reactions)

    def _see_channel(self, session: str, there: dict[str, bool]) -> None:
        for user, is_there in there.items():
            self.on_channel(session, user, is_there)

    def _offer(self, session: str, epoch: str, records: list[Record]) -> None:
        feed = self._feeds.get(session)
        if feed is None:
            if session in self._early:
                self._early[session].append((epoch, records))
        elif feed.epoch == epoch:
            self._take(feed, records)
        else:
            # Which of the two is the newer one, Postgres knows.
            self._check_soon.set()

    def _take(self, feed: Feed, records: Sequence[Record], healed_by: str = "hint") -> None:
        self.on_records(feed.id, records)
        standings = feed.standings
        documents = feed.offer(records)
        if feed.standings != standings:
            self.on_standing(feed)
        if documents:
            self._hub.publish(feed.id, [Parcel(d.json, d.lane, d.seq) for d in documents])
        for record in feed.take_turns():
            for take in self._on_turn:
                take(feed, record)
        if feed.hole:
            self._notice(feed)
        elif feed.hole_since is not None:
            metrics.HOLES.labels(healed_by).inc()
            metrics.HEAL.observe(monotonic() - feed.hole_since)
            feed.hole_since = None

    def _notice(self, feed: Feed) -> None:
        if feed.hole_since is None:
            feed.hole_since = monotonic()
            wait = self._settings.hole_wait_ms / 1000
            asyncio.get_running_loop().call_later(wait, self._heal, feed)

    def _heal(self, feed: Feed) -> None:
        if feed.hole and self._feeds.get(feed.id) is feed:
            self._tasks.start(self._catch_up(feed))

    async def _catch_up(self, feed: Feed) -> None:
        try:
            while feed.hole:
                records = await self._log.after_in(feed.id, feed.epoch, feed.head, self._settings.ring_events)
                if not records:
                    break
                before = feed.head
                self._take(feed, records, healed_by="read")
                metrics.HINTS_LOST.inc(feed.head - before)
        except StorageError as exc:
            seldom_log.warning("catch-up failed", session=feed.id, reason=str(exc))
        finally:
            if feed.hole:
                # The next check of the heads notices it again, whatever went wrong here.
                feed.hole_since = None

    async def check_heads(self) -> None:
        """Compare all feeds with Postgres, for ever."""
        while True:
            await self._pause()
            try:
                await self._close_unused()
                await self._check()
            except StorageError as exc:
                seldom_log.warning("heads unknown", reason=str(exc))
            except Exception:
                # Whatever one feed has done to this check, the next ones must come: nothing else finds every hole.
                log.exception("heads not checked")

    async def _check(self) -> None:
        asked = {feed.id: feed.head for feed in self}
        if asked:
            await self._compare(asked, await self._log.heads(list(asked)))

    async def _pause(self) -> None:
        """Wait for the next check: not for long while the heads are all that tells of other nodes' events."""
        settings = self._settings
        wait = settings.head_check_ms if self.hints.connected else settings.head_check_alone_ms
        self._check_soon.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait / 1000):
                await self._check_soon.wait()

    async def _compare(self, asked: dict[str, int], heads: dict[str, Head]) -> None:
        """Compare each feed with its log; `asked` is where the feeds were before that was read."""
        for session, reached in asked.items():
            feed, head = self._feeds.get(session), heads.get(session)
            if feed is None:
                continue
            if head is None or head.epoch != feed.epoch or head.seq < reached:
                await self._give_up(feed, head)
                continue
            feed.expect(head.seq)
            if feed.hole:
                self._notice(feed)

    async def _give_up(self, feed: Feed, head: Head | None) -> None:
        log.error("log began anew", session=feed.id, held=feed.head, epoch=head.epoch if head else None)
        for connection in list(self._hub.group(feed.id)):
            connection.close(Close.UNAVAILABLE, "a log began anew: join again")
        await self._close(feed)

    async def _close_unused(self) -> None:
        now = monotonic()
        for feed in self:
            if self._hub.size(feed.id):
                feed.idle_since = None
            elif feed.idle_since is None:
                feed.idle_since = now
            elif now - feed.idle_since > self._settings.linger:
                await self._close(feed)

    async def _close(self, feed: Feed) -> None:
        del self._feeds[feed.id]
        for take in self._on_close:
            take(feed)
        await self.hints.unfollow(feed.id)


def _ignore(*_: object) -> None:
    pass
