"""From messages to the log: gathers what arrives into batches, appends them, answers after the commit.

A lane has one batch on its way at a time, and what arrives meanwhile makes the next: an idle lane appends at
once, a busy one in large batches. A session stays in its lane for as long as something of it is on its way, so
this node's messages of a session are appended in the order of their arrival.

When Postgres fails, all that waits in the lane is refused with the batch that failed: nobody knows what became
of that one, and what came after it must not overtake it. Whoever sends it again with the same key gets the
first outcome, or the first place, since both attempts need the same row of `log_heads`, one after the other.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from time import monotonic, perf_counter
from typing import Any, Final, Protocol, TypeAlias

import structlog
from msgspec import Struct, field, structs

from persistence.errors import Rejected, StorageError, Unavailable
from persistence.log import Appended, Entry, Outcome, Record
from persistence.seldom import Seldom
from realtime.bounded import uncount
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.refusals import no_such_session, session_ended
from realtime.settings import Settings
from realtime.telemetry import metrics

Answer: TypeAlias = Appended | Refusal


class Appends(Protocol):
    """What appends entries: a log, or what takes them as a log does."""

    async def append(self, entries: Sequence[Entry], patience: float | None = None) -> list[Appended]:
        """Append a batch, as `persistence.log.Log` does."""


Publish = Callable[[str, str, list[Record]], None]

# How long a client should wait before it sends again what the database didn't take, where nothing better is known.
RETRY_MS: Final = 1000
# So many wait in a lane for its next append before another lane is used.
FILL: Final = 32
# After so many seconds a batch that is still on its way waits for something: nothing else should wait with it.
STUCK_SECONDS: Final = 0.25
# What a probe of the database may take: who comes back just when one is due would only meet it on its way.
_PROBE_MS: Final = 100
log = structlog.get_logger("writer")
seldom_log = Seldom(log)

_REFUSALS: Final = {
    Outcome.CONFLICT: lambda: Refusal(Code.CONFLICT, "this key was used for another message"),
    Outcome.CLOSED: session_ended,
    Outcome.MISSING: no_such_session,
}


class Pending(Struct, frozen=True, gc=False):
    """An entry on its way, and who wants to know what became of it.

    It has been on its way, and its age was right, `since` a moment of the monotonic clock, in seconds.
    """

    entry: Entry
    answer: Callable[[Answer], None]
    since: float = field(default_factory=monotonic)


def unavailable(exc: StorageError) -> Refusal:
    """Give what a client learns where storage fails it, and when trying again makes sense."""
    wait = exc.retry_after if isinstance(exc, Unavailable) else None
    again = RETRY_MS if wait is None else int(wait * 1000) + _PROBE_MS
    return Refusal(Code.UNAVAILABLE, "try again", retry_after_ms=again)


class Writer:
    """Appends entries in batches. `publish(session, epoch, records)` is called with what is new and durable."""

    def __init__(self, log: Appends, publish: Publish, settings: Settings) -> None:
        self._limit = settings.batch_queue
        self._fill = min(FILL, self._limit // settings.batch_lanes)
        self._lanes = [_Lane(log, publish, settings) for _ in range(settings.batch_lanes)]

    @property
    def queued(self) -> int:
        """Count the entries that wait to be appended."""
        return sum(lane.queued for lane in self._lanes)

    def submit(self, pending: Pending) -> None:
        """Append an entry soon.

        Raises:
            Refusal: `unavailable`, too many are waiting.
        """
        lane = self._lane_of(pending.entry.session)
        if lane.queued * len(self._lanes) >= self._limit:
            raise _busy()
        lane.submit(pending)

    def _lane_of(self, session: str) -> "_Lane":
        """Give the lane that a session's entries are in, so that they stay in order.

        Else the first one that has room in its next batch: what an append costs here hardly depends on how much it is
        of. Or the shortest one. One that is stuck only where all are.
        """
        for lane in self._lanes:
            if session in lane.sessions:
                return lane
        free = next((lane for lane in self._lanes if lane.queued < self._fill and not lane.stuck), None)
        return free or min(self._lanes, key=lambda lane: (lane.stuck, lane.queued, len(lane.sessions)))

    async def drain(self) -> None:
        """Wait until everything that was submitted is answered."""
        await asyncio.gather(*(lane.idle() for lane in self._lanes))


class _Lane:
    def __init__(self, log: Appends, publish: Publish, settings: Settings) -> None:
        self._log = log
        self._publish = publish
        self._batch_size = settings.batch_size
        self._timeout = settings.send_timeout
        # Of each session, how much waits or is on its way.
        self.sessions: Counter[str] = Counter()
        self._waiting: deque[Pending] = deque()
        self._task: asyncio.Task[None] | None = None
        # When the batch that is on its way set out, by the monotonic clock.
        self._began: float | None = None

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @property
    def stuck(self) -> bool:
        return self._began is not None and monotonic() - self._began > STUCK_SECONDS

    def submit(self, pending: Pending) -> None:
        self.sessions[pending.entry.session] += 1
        self._waiting.append(pending)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def idle(self) -> None:
        if self._task is not None:
            # Whoever is tired of waiting must not cancel the write.
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        # The task belongs to the lane, not to a connection: a client that leaves cancels no write.
        try:
            while self._waiting:
                self._refuse_the_late()
                if batch := self._take():
                    self._began = monotonic()
                    await self._store(batch)
                    self._began = None
                    self._let_go(batch)
        finally:
            self._task = self._began = None

    def _let_go(self, answered: Iterable[Pending]) -> None:
        # A session of which nothing is left is free to take another lane, also where this one never rests.
        for pending in answered:
            uncount(self.sessions, pending.entry.session)

    def _refuse_the_late(self) -> None:
        """Keep half of each entry's time for its append; who has waited for longer is not tried at all."""
        latest = monotonic() - self._timeout / 2
        while self._waiting and self._waiting[0].since < latest:
            late = self._waiting.popleft()
            self._let_go([late])
            _answer(late, _busy())

    def _take(self) -> list[Pending]:
        """Give the next batch, with each key only once: its repetition must see the first as stored."""
        batch: list[Pending] = []
        again: list[Pending] = []
        seen = set()
        while self._waiting and len(batch) < self._batch_size:
            pending = self._waiting.popleft()
            key = (pending.entry.session, pending.entry.sender, pending.entry.key)
            if key in seen:
                again.append(pending)
            else:
                seen.add(key)
                batch.append(pending)
        self._waiting.extendleft(reversed(again))
        return batch

    async def _store(self, batch: list[Pending]) -> None:
        """Append a batch, or, where the database won't take it, its halves, until the culprit stands alone."""
        deadline = batch[0].since + self._timeout
        parts = [batch]
        while parts:
            part = parts.pop()
            try:
                await self._append(part, deadline)
            except Rejected as exc:
                parts.extend(_halves(part, exc))
            except StorageError as exc:
                self._give_up(chain(part, *reversed(parts)), exc)
                return
            except Exception:
                log.exception("append failed", events=len(part))
                _answer_all(part, Refusal(Code.INTERNAL, "that went wrong"))

    async def _append(self, batch: list[Pending], deadline: float) -> None:
        patience = deadline - monotonic()
        if patience <= 0:
            raise Unavailable("the append took too long")
        began = perf_counter()
        now = monotonic()
        results = await self._log.append([_aged(pending, now) for pending in batch], patience)
        metrics.COMMIT.observe(perf_counter() - began)
        metrics.BATCH.observe(len(batch))
        self._settle(batch, results)

    def _give_up(self, unanswered: Iterable[Pending], exc: StorageError) -> None:
        """Refuse a batch, and all that waits behind it."""
        refused = [*unanswered, *self._waiting]
        self._let_go(self._waiting)
        self._waiting.clear()
        seldom_log.warning("append failed", events=len(refused), reason=str(exc))
        _answer_all(refused, unavailable(exc))

    def _settle(self, batch: list[Pending], results: Sequence[Appended]) -> None:
        """Answer each sender, and publish what is new: acknowledged first, so that acks are never late."""
        new: dict[tuple[str, str], list[Record]] = {}
        for pending, result in zip(batch, results, strict=True):
            if result.outcome is Outcome.NEW:
                new.setdefault((pending.entry.session, result.epoch), []).append(_record(pending.entry, result))
            refusal = _REFUSALS.get(result.outcome)
            _answer(pending, refusal() if refusal else result)
        for (session, epoch), records in new.items():
            _safely(self._publish, session, epoch, records)


def _busy() -> Refusal:
    return Refusal(Code.UNAVAILABLE, "too many messages are waiting", retry_after_ms=RETRY_MS)


def _halves(batch: list[Pending], exc: Rejected) -> list[list[Pending]]:
    """Give what is left to be tried of a batch that the database won't take, the last one first."""
    if len(batch) == 1:
        log.warning("event rejected", session=batch[0].entry.session, reason=str(exc))
        _answer_all(batch, Refusal(Code.BAD_REQUEST, "this message cannot be stored"))
        return []
    middle = len(batch) // 2
    return [batch[middle:], batch[:middle]]


def _aged(pending: Pending, now: float) -> Entry:
    """Add to an age the time that the entry has waited: what was written offline must keep its distances."""
    entry = pending.entry
    waited = max(0, int((now - pending.since) * 1000))
    return structs.replace(entry, age=entry.age + waited) if entry.age else entry


def _record(entry: Entry, result: Appended) -> Record:
    return Record(result.seq, result.at, entry.kind, entry.sender, str(entry.key), entry.body)


def _answer_all(batch: list[Pending], answer: Answer) -> None:
    for pending in batch:
        _answer(pending, answer)


def _answer(pending: Pending, answer: Answer) -> None:
    metrics.APPENDED.count(answer.outcome if isinstance(answer, Appended) else "refused")
    _safely(pending.answer, answer)


def _safely(tell: Callable[..., None], *news: Any) -> None:
    """Tell someone; what goes wrong there is kept from all the others of the batch."""
    try:
        tell(*news)
    except Exception:
        log.exception("telling failed")
