"""Inboxes in Postgres, which orders and remembers them: append, read, acknowledge, sweep."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from persistence.log import Appended, Entry, Outcome, Record, records
from persistence.postgres import Postgres


class InboxHead(Struct, frozen=True, gc=False):
    """How far an inbox goes: `seq` is its newest id. `epoch` names one life of it, and is empty where it has none.

    What is not above `acked` and `dropped` is gone: acknowledged, or taken out unread.
    """

    epoch: str = ""
    seq: int = 0
    acked: int = 0
    dropped: int = 0

    @property
    def gone(self) -> int:
        """Give the newest id that can no longer be read."""
        return max(self.acked, self.dropped)


class Page(Struct, frozen=True, gc=False):
    """Entries of an inbox, consecutive from the one after `after` on, and its head at the same moment.

    Where it is not `sure`, it says what a copy has, and there may be more.
    """

    head: InboxHead
    after: int
    records: Sequence[Record] = ()
    sure: bool = True

    @property
    def end(self) -> int:
        """Give the id up to which the page says everything."""
        return self.after + len(self.records)


class Changes(Struct, frozen=True):
    """The heads of the inboxes that have got something, and the database's time then, in milliseconds."""

    now: int
    heads: dict[str, InboxHead]


_APPEND: Final = "SELECT outcome, id, at, epoch FROM append_inbox($1, $2, $3::uuid[], $4, $5, $6)"
_HEADS: Final = "SELECT member, epoch, seq, acked, dropped FROM inbox_heads WHERE member = ANY ($1)"
_CHANGES: Final = """
    SELECT n.now, h.member, h.epoch, h.seq, h.acked, h.dropped
      FROM (SELECT now_ms() AS now) n LEFT JOIN inbox_heads h ON h.at >= coalesce($1, n.now) - $2
"""
# One statement, so that the entries are those of the heads that come with them.
_PAGES: Final = """
    SELECT h.member, h.epoch, h.seq, h.acked, h.dropped, e.id, e.at, e.kind, e.sender, e.key, e.body
      FROM unnest($1::text[], $2::bigint[]) w (member, after)
      JOIN inbox_heads h ON h.member = w.member
      LEFT JOIN LATERAL (
          SELECT * FROM inbox i
           WHERE i.member = h.member AND i.id > greatest(w.after, h.acked, h.dropped)
           ORDER BY i.id LIMIT $3
      ) e ON true
     ORDER BY h.member, e.id
"""
_WROTE: Final = "SELECT FROM inbox WHERE member = $1 AND sender = $2 AND kind = $3 LIMIT 1"
_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}


class Inboxes:
    """Every user's inbox, of which each keeps its newest `limit` entries."""

    def __init__(self, postgres: Postgres, limit: int) -> None:
        self._postgres = postgres
        self._limit = limit

    async def append(self, entries: Sequence[Entry], patience: float | None = None) -> list[Appended]:
        """Append a batch in one transaction, and answer each entry when it is durable.

        That may take `patience` seconds at most.

        The entries say by `session` whose inbox they are for; they have no age. No two may have that,
        sender and key in common.

        Raises:
            Unavailable: nobody knows whether the batch was appended.
            Rejected: nothing was appended, because of the data of one entry or more.
        """
        rows = await self._postgres.rows(
            _APPEND,
            [entry.session for entry in entries],
            [entry.sender for entry in entries],
            [entry.key for entry in entries],
            [entry.kind for entry in entries],
            [entry.body for entry in entries],
            self._limit,
            patience=patience,
        )
        return [Appended(_OUTCOMES[outcome], seq, at, epoch) for outcome, seq, at, epoch in rows]

    async def heads(self, members: Sequence[str]) -> dict[str, InboxHead]:
        """Give the heads of the inboxes that have ever held anything."""
        rows = await self._postgres.rows(_HEADS, members)
        return {member: InboxHead(*head) for member, *head in rows}

    async def pages(self, after: Mapping[str, int], limit: int) -> dict[str, Page]:
        """Give each user's first `limit` entries above an id, of those that are not gone."""
        rows = await self._postgres.rows(_PAGES, list(after), list(after.values()), limit)
        heads: dict[str, InboxHead] = {}
        found: dict[str, list[Record]] = {}
        for member, epoch, seq, acked, dropped, *entry in rows:
            heads[member] = InboxHead(epoch, seq, acked, dropped)
            if entry[0] is not None:
                found.setdefault(member, []).extend(records([entry]))
        return {
            member: Page(head, max(after[member], head.gone), found.get(member, ())) for member, head in heads.items()
        }

    async def changed(self, since: int | None, margin: int) -> Changes:
        """Give the heads of inboxes that got something after `since`, or now.

        It looks `margin` milliseconds further back: what is appended shows only when it is committed.
        """
        rows = await self._postgres.rows(_CHANGES, since, margin)
        heads = {member: InboxHead(*head) for _, member, *head in rows if member is not None}
        return Changes(rows[0][0], heads)

    async def ack(self, member: str, upto: int) -> InboxHead | None:
        """Take out everything up to and including `upto`; give the head if that changes anything."""
        row = await self._postgres.row("SELECT epoch, seq, acked, dropped FROM ack_inbox($1, $2)", member, upto)
        return InboxHead(*row) if row else None

    async def wrote(self, member: str, sender: str, kind: str) -> bool:
        """Tell whether the user has got an entry of this kind from the sender, as long as that is known."""
        return await self._postgres.row(_WROTE, member, sender, kind) is not None

    async def sweep(self, lifetime_ms: int, limit: int) -> int:
        """Delete entries older than the lifetime, about `limit` of them; give how many were deleted."""
        row = await self._postgres.row("SELECT sweep_inboxes(now_ms() - $1, $2)", lifetime_ms, limit)
        assert row is not None
        return int(row[0])
