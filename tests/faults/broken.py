"""Builds with one defect each, which the checker has to find. A node is broken by replacing a part of it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from persistence import log
from persistence.log import Appended, Entry, Record
from persistence.postgres import Postgres
from realtime import joining
from realtime.domain import replay
from realtime.domain.replay import Replay, Window
from realtime.feed import Document, Feed
from realtime.protocol.types import Position

# How long a commit is put off: long enough for a crash to come between.
LATE_SECONDS: Final = 0.25


def _ack_before_commit() -> None:
    append = log.Log.append
    commits: set[asyncio.Task[None]] = set()

    async def append_early(self: log.Log, entries: Sequence[Entry], patience: float | None = None) -> list[Appended]:
        uncommitted = _Uncommitted(self._postgres)
        answers = await append(log.Log(uncommitted), entries, patience)
        task = asyncio.create_task(uncommitted.commit_late())
        commits.add(task)
        task.add_done_callback(commits.discard)
        return answers

    log.Log.append = append_early  # type: ignore[method-assign] # that is the defect


class _Uncommitted(Postgres):
    """Runs one query in a transaction that is committed later."""

    def __init__(self, real: Postgres) -> None:
        self._real = real
        self._lent = real.connection()

    async def rows(self, query: str, *arguments: Any, patience: float | None = None) -> list[Any]:  # noqa: ARG002 - it takes its time
        """Run the query, and leave the transaction open."""
        connection = await self._lent.__aenter__()
        self._transaction = connection.transaction()
        await self._transaction.start()
        return list(await connection.fetch(query, *arguments))

    async def commit_late(self) -> None:
        """Commit, and give the connection back."""
        try:
            await asyncio.sleep(LATE_SECONDS)
            await self._transaction.commit()
        finally:
            await self._lent.__aexit__(None, None, None)


def _hint_without_check() -> None:
    def offer(self: Feed, records: Iterable[Record]) -> list[Document]:
        return [self._advance(record) for record in records if record.seq > self.head]

    Feed.offer = offer  # type: ignore[method-assign] # likewise


def _position_moved_twice() -> None:
    plan = replay.plan

    def plan_further(since: Position | None, window: Window, limit: int) -> Replay:
        planned = plan(since, window, limit)
        return msgspec.structs.replace(planned, after=min(planned.after + 1, window.head))

    vars(joining)["plan"] = plan_further


def _nothing() -> None:
    """The defect is in the database."""


BREAKS: Final[dict[str, Callable[[], None]]] = {
    "ack-before-commit": _ack_before_commit,
    "hint-without-check": _hint_without_check,
    "position-moved-twice": _position_moved_twice,
    "keys-forgotten": _nothing,
}

# What is broken in the database, once it is migrated.
SCHEMAS: Final = {
    "keys-forgotten": """
        DO $$ BEGIN
            EXECUTE (SELECT 'ALTER TABLE events DROP CONSTRAINT ' || conname
                       FROM pg_constraint WHERE conrelid = 'events'::regclass AND contype = 'u');
            EXECUTE replace(pg_get_functiondef('append_events'::regproc), 'e.key = i.key', 'false');
        END $$
    """,
}
