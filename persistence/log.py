"""The log in Postgres: append batches, read ranges and heads."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import Struct

from persistence.postgres import Postgres


class Entry(Struct, frozen=True, gc=False):
    """An event to append. `body` is JSON; `age` says how many milliseconds ago it happened.

    An inbox takes the same; there `session` says whose it is: a user.
    """

    session: str
    sender: str
    key: UUID
    kind: str
    body: str
    age: int = 0


class Outcome(StrEnum):
    """What became of an entry; the migration that defines `append_events` explains each."""

    NEW = "new"
    REPEAT = "repeat"
    CONFLICT = "conflict"
    CLOSED = "closed"
    MISSING = "missing"


class Appended(Struct, frozen=True, gc=False):
    """The answer to one entry. `seq` and `at` are 0 where the log has no such event; `epoch` is the log's now."""

    outcome: Outcome
    seq: int
    at: int
    epoch: str = ""


class Record(Struct, frozen=True, gc=False):
    """An event as stored. `body` is JSON, `at` milliseconds."""

    seq: int
    at: int
    kind: str
    sender: str
    key: str | None
    body: str


class Head(Struct, frozen=True, gc=False):
    """The newest position of a log."""

    epoch: str
    seq: int


class Found(Struct, frozen=True):
    """What a search has found; and over how many events it went that are not indexed yet."""

    records: list[Record]
    behind: int


APPEND = "SELECT outcome, seq, at, epoch FROM append_events($1::uuid[], $2, $3::uuid[], $4, $5, $6)"
_TOLD = "SELECT seq, at, kind, sender, key, body FROM told_events WHERE session = $1"
# In the snapshot of the same statement: what is read belongs to this life of the log, or there is nothing.
_IN_EPOCH = "EXISTS (SELECT FROM log_heads WHERE session = $1 AND epoch = $4)"
_WRITTEN = "SELECT seq, at, kind, sender, key, body FROM events WHERE session = $1 AND seq = $2"
# The changes of a message as they were written: the last edits by (at, seq), and deletions. Apart, because each
# has an index of its own.
_CHANGES = """
    (SELECT seq, at, kind, sender, key, body FROM events
      WHERE session = $1 AND kind = 'chat.edited' AND (body->>'seq')::bigint = $2
      ORDER BY at DESC, seq DESC LIMIT $3)
    UNION ALL
    (SELECT seq, at, kind, sender, key, body FROM events
      WHERE session = $1 AND kind = 'chat.deleted' AND (body->>'seq')::bigint = $2 LIMIT $3)
"""
# A message may have had the words once: what counts is the text that it has now. The newest are looked at first,
# and OFFSET keeps it so: a word that everyone uses must not have every message merged that has it.
# The index follows the log (`index_words`): beyond where it has got by now the events themselves are looked at, in
# the snapshot of the same statement. `words` stands before `events`, as `drop_partition` locks them in this order.
_FOUND = """
    WITH tail AS MATERIALIZED (
        SELECT coalesce(w.seq, 0) AS since, h.seq AS upto
          FROM log_heads h LEFT JOIN word_heads w USING (session) WHERE h.session = $1
    ), candidate AS MATERIALIZED (
        SELECT message FROM words WHERE session = $1 AND words @@ websearch_to_tsquery('simple', $2)
        UNION
        SELECT CASE kind WHEN 'chat.posted' THEN seq ELSE (body->>'seq')::bigint END FROM events
         WHERE session = $1 AND seq > (SELECT since FROM tail) AND seq <= (SELECT upto FROM tail)
           AND kind IN ('chat.posted', 'chat.edited') AND words_of(body) @@ websearch_to_tsquery('simple', $2)
         ORDER BY message DESC
    ), found AS (
        SELECT told.* FROM candidate
         CROSS JOIN LATERAL (
             SELECT seq, at, kind, sender, key, body FROM told_events
              WHERE session = $1 AND seq = candidate.message OFFSET 0
         ) told
         WHERE candidate.message < $3 AND NOT told.body ? 'deleted'
           AND words_of(told.body) @@ websearch_to_tsquery('simple', $2)
         ORDER BY candidate.message DESC LIMIT $4
    )
    SELECT tail.upto - tail.since, found.* FROM tail LEFT JOIN found ON true ORDER BY found.seq DESC
"""
# Postgres has room for 32 negations of one word, and fails for more (`tsquery stack too small`).
_NEGATIONS = re.compile(r"-(?:[^\w\"]*-)+")
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}


class Log:
    """Every session's log."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def append(self, entries: Sequence[Entry], patience: float | None = None) -> list[Appended]:
        """Append a batch in one transaction, and answer each entry when it is durable.

        That may take `patience` seconds at most.

        No two entries may have session, sender and key in common.

        Raises:
            Unavailable: nobody knows whether the batch was appended.
            Rejected: nothing was appended, because of the data of one entry or more.
        """
        rows = await self._postgres.rows(
            APPEND,
            [entry.session for entry in entries],
            [entry.sender for entry in entries],
            [entry.key for entry in entries],
            [entry.kind for entry in entries],
            [entry.age for entry in entries],
            [entry.body for entry in entries],
            patience=patience,
        )
        return [Appended(_OUTCOMES[outcome], seq or 0, at or 0, epoch or "") for outcome, seq, at, epoch in rows]

    async def after(self, session: str, seq: int, limit: int) -> list[Record]:
        """Give the first `limit` events above `seq`, ascending, as they are told again."""
        rows = await self._postgres.rows(f"{_TOLD} AND seq > $2 ORDER BY seq LIMIT $3", session, seq, limit)
        return records(rows)

    async def after_in(self, session: str, epoch: str, seq: int, limit: int) -> list[Record]:
        """As `after`; but nothing where the log is of another epoch by now."""
        query = f"{_TOLD} AND seq > $2 AND {_IN_EPOCH} ORDER BY seq LIMIT $3"
        return records(await self._postgres.rows(query, session, seq, limit, epoch))

    async def before_in(self, session: str, epoch: str, seq: int, limit: int) -> list[Record]:
        """Give the last `limit` events below `seq`, ascending, as they are told again.

        Nothing where the log is of another epoch by now.
        """
        query = f"{_TOLD} AND seq < $2 AND {_IN_EPOCH} ORDER BY seq DESC LIMIT $3"
        return records(reversed(await self._postgres.rows(query, session, seq, limit, epoch)))

    async def event(self, session: str, seq: int) -> Record | None:
        """Give one event, as it is told again."""
        rows = await self._postgres.rows(f"{_TOLD} AND seq = $2", session, seq)
        return records(rows)[0] if rows else None

    async def changes(self, session: str, seq: int, limit: int) -> list[Record]:
        """Give the last `limit` edits of the message `seq` by `(at, seq)`, and as many deletions, as written."""
        return records(await self._postgres.rows(_CHANGES, session, seq, limit))

    async def original(self, session: str, seq: int) -> Record | None:
        """Give one event as it was written."""
        rows = await self._postgres.rows(_WRITTEN, session, seq)
        return records(rows)[0] if rows else None

    async def search(self, session: str, words: str, before: int, limit: int) -> Found:
        """Find the last `limit` messages below `before` whose text has the words, descending.

        `words` is what people type into a search box: words, "phrases", or, -without.

        Raises:
            Rejected: no text can have these words.
        """
        wanted = _NEGATIONS.sub("-", words)
        rows = await self._postgres.rows(_FOUND, session, wanted, before, limit)
        return Found(records(row[1:] for row in rows if row[1] is not None), rows[0][0] if rows else 0)

    async def heads(self, sessions: Sequence[str]) -> dict[str, Head]:
        """Give the heads of those sessions that exist."""
        rows = await self._postgres.rows(
            "SELECT session, epoch, seq FROM log_heads WHERE session = ANY ($1::uuid[])", sessions
        )
        return {str(session): Head(epoch, seq) for session, epoch, seq in rows}

    async def knows(self, session: str, sender: str, key: UUID) -> bool:
        """Tell whether a sender has used a key in the session's log."""
        rows = await self._postgres.rows(
            "SELECT FROM events WHERE session = $1 AND sender = $2 AND key = $3", session, sender, key
        )
        return bool(rows)

    async def writers(self, session: str, users: Sequence[str]) -> set[str]:
        """Give those of the users who have ever written in the session's log, and for whom it still is there."""
        rows = await self._postgres.rows(
            "SELECT u FROM unnest($2::text[]) u"
            " WHERE EXISTS (SELECT FROM events WHERE session = $1 AND sender = u) AND admits($1, u)",
            session,
            users,
        )
        return {str(user) for (user,) in rows}

    async def add_partitions(self, width_ms: int, ahead_ms: int) -> int:
        """Make the partitions from now to `ahead_ms` later, each `width_ms` wide; give how many were made."""
        row = await self._postgres.row("SELECT add_partitions($1, $2)", width_ms, ahead_ms)
        return int(row[0]) if row else 0


def record_of(row: Any) -> Record | None:
    """Read the columns of one event, which are null where there is none."""
    return None if row[0] is None else records([row])[0]


def records(rows: Iterable[Any]) -> list[Record]:
    """Read rows of seq, at, kind, sender, key, body."""
    return [Record(seq, at, kind, sender, str(key) if key else None, body) for seq, at, kind, sender, key, body in rows]
