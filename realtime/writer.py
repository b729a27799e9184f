"""From messages to the log: gathers what arrives into batches, appends them, answers after the commit.

Sessions are spread over lanes by their id. A lane has one batch on its way at a time, and what arrives
meanwhile makes the next: an idle lane appends at once, a busy one in large batches. One session always
takes the same lane, so this node's messages of a session are appended in the order of their arrival.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, TypeAlias

import structlog
from msgspec import Struct, structs

from persistence.errors import Rejected, StorageError
from persistence.log import Appended, Entry, Log, Outcome, Record
from realtime.protocol.codes import Code, Refusal
from realtime.settings import Settings
from realtime.telemetry import metrics

Answer: TypeAlias = Appended | Refusal
Publish = Callable[[str, str, list[Record]], None]

# How long a client should wait before it sends again what the database didn't take.
RETRY_MS = 1000
log = structlog.get_logger("writer")

_REFUSALS = {
    Outcome.CONFLICT: Refusal(Code.CONFLICT, "this key was used for another message"),
    Outcome.CLOSED: Refusal(Code.CONFLICT, "the session is ended", state="ended"),
    Outcome.MISSING: Refusal(Code.NOT_FOUND, "no such session"),
}


class Pending(Struct, frozen=True, gc=False):
    """An entry on its way, who wants to know what became of it, and when its age was right (loop time, ms)."""

    entry: Entry
    answer: Callable[[Answer], None]
    since: int = 0


class Writer:
    """Appends entries in batches. `publish(session, epoch, records)` is called with what is new and durable."""

    def __init__(self, log: Log, publish: Publish, settings: Settings) -> None:
        self._limit = settings.batch_queue
        self._lanes = [_Lane(log, publish, settings.batch_size) for _ in range(settings.batch_lanes)]

    @property
    def queued(self) -> int:
        """Count the entries that wait to be appended."""
        return sum(lane.queued for lane in self._lanes)

    def submit(self, pending: Pending) -> None:
        """Append an entry soon.

        Raises:
            Refusal: `unavailable`, too many are waiting.
        """
        lane = self._lanes[hash(pending.entry.session) % len(self._lanes)]
        if lane.queued * len(self._lanes) >= self._limit:
            raise Refusal(Code.UNAVAILABLE, "too many messages are waiting", retry_after_ms=RETRY_MS)
        lane.submit(pending)

    async def drain(self) -> None:
        """Wait until everything that was submitted is answered."""
        await asyncio.gather(*(lane.idle() for lane in self._lanes))


class _Lane:
    def __init__(self, log: Log, publish: Publish, batch_size: int) -> None:
        self._log = log
        self._publish = publish
        self._batch_size = batch_size
        self._waiting: deque[Pending] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def queued(self) -> int:
        return len(self._waiting)

    def submit(self, pending: Pending) -> None:
        self._waiting.append(pending)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def idle(self) -> None:
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        # The task belongs to the lane, not to a connection: a client that leaves cancels no write.
        try:
            while self._waiting:
                await self._append(self._take())
        finally:
            self._task = None

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

    async def _append(self, batch: list[Pending]) -> None:
        began = perf_counter()
        try:
            now = int(asyncio.get_running_loop().time() * 1000)
            results = await self._log.append([_aged(pending, now) for pending in batch])
        except Rejected as exc:
            await self._isolate(batch, exc)
        except StorageError as exc:
            log.warning("append failed", events=len(batch), reason=str(exc))
            _answer_all(batch, Refusal(Code.UNAVAILABLE, "try again", retry_after_ms=RETRY_MS))
        except Exception:
            log.exception("append failed", events=len(batch))
            _answer_all(batch, Refusal(Code.INTERNAL, "that went wrong"))
        else:
            metrics.COMMIT.observe(perf_counter() - began)
            metrics.BATCH.observe(len(batch))
            self._settle(batch, results)

    async def _isolate(self, batch: list[Pending], exc: Rejected) -> None:
        """Append the halves of a batch that the database won't take, until the culprit stands alone."""
        if len(batch) == 1:
            log.warning("event rejected", session=batch[0].entry.session, reason=str(exc))
            _answer_all(batch, Refusal(Code.BAD_REQUEST, "this message cannot be stored"))
            return
        middle = len(batch) // 2
        await self._append(batch[:middle])
        await self._append(batch[middle:])

    def _settle(self, batch: list[Pending], results: Sequence[Appended]) -> None:
        """Answer each sender, and publish what is new: acknowledged first, so that acks are never late."""
        new: dict[tuple[str, str], list[Record]] = {}
        for pending, result in zip(batch, results, strict=True):
            if result.outcome is Outcome.NEW:
                new.setdefault((pending.entry.session, result.epoch), []).append(_record(pending.entry, result))
            _answer(pending, _REFUSALS.get(result.outcome, result))
        for (session, epoch), records in new.items():
            _safely(self._publish, session, epoch, records)


def _aged(pending: Pending, now: int) -> Entry:
    """Add to an age the time that the entry has waited: what was written offline must keep its distances."""
    entry = pending.entry
    return structs.replace(entry, age=entry.age + now - pending.since) if entry.age else entry


def _record(entry: Entry, result: Appended) -> Record:
    return Record(result.seq, result.at, entry.kind, entry.sender, str(entry.key), entry.body)


def _answer_all(batch: list[Pending], answer: Answer) -> None:
    for pending in batch:
        _answer(pending, answer)


def _answer(pending: Pending, answer: Answer) -> None:
    metrics.APPENDED.labels(answer.outcome if isinstance(answer, Appended) else "refused").inc()
    _safely(pending.answer, answer)


def _safely(tell: Callable[..., None], *news: Any) -> None:
    """Tell someone; what goes wrong there is kept from all the others of the batch."""
    try:
        tell(*news)
    except Exception:
        log.exception("telling failed")
