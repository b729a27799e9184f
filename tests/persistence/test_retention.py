"""What is old goes, in whole partitions, and nothing that is not; appends hardly notice."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from uuid import UUID, uuid4

import pytest

from persistence.errors import Unavailable
from persistence.listing import Listing, Wanted
from persistence.log import Entry, Head, Log
from persistence.postgres import Postgres
from persistence.retention import Retention, Span
from persistence.sessions import Sessions
from persistence.words import Indexed, WordIndex
from tests.persistence.conftest import DAY_MS, opened, prepare, until
from tests.support.databases import connected

RANDOM = Random(4)


class World:
    """A database with a past: one partition for each of the last days, and sessions in them."""

    def __init__(self, url: str, postgres: Postgres, midnight: int) -> None:
        self.url = url
        self.postgres = postgres
        self.retention = Retention(postgres)
        self.log = Log(postgres)
        self.midnight = midnight

    async def partition(self, days_ago: int) -> str:
        """Make the partition of a day in the past: 1 is yesterday."""
        until = self.midnight - (days_ago - 1) * DAY_MS
        for table in ("words", "events"):
            await self.postgres.rows(
                f"CREATE TABLE {table}_until_{until} PARTITION OF {table}"
                f" FOR VALUES FROM ('{_id(until - DAY_MS, 0)}') TO ('{_id(until, 0)}')"
            )
        return f"events_until_{until}"

    async def session(self, days_ago: float, ended_days_ago: float | None) -> str:
        """Make a session that was created so long ago, with three events."""
        born = self.midnight - int(days_ago * DAY_MS)
        ended = None if ended_days_ago is None else self.midnight - int(ended_days_ago * DAY_MS)
        session = str(_id(born, (7 << 76) | (2 << 62) | RANDOM.getrandbits(60)))
        await self.postgres.rows(
            "INSERT INTO sessions (id, host, title, state, created_at, ended_at)"
            " VALUES ($1, 'ann', 'A show', $2, $3, $4)",
            session,
            "live" if ended is None else "ended",
            born,
            ended,
        )
        await self.postgres.rows(
            "INSERT INTO log_heads (session, seq, at, open) VALUES ($1, 3, $2, $3)", session, born, ended is None
        )
        await self.postgres.rows(
            "INSERT INTO events (session, seq, at, kind, sender, key, body)"
            " SELECT $1, n, $2, 'chat.posted', 'bob', gen_random_uuid(), $3::text::jsonb FROM generate_series(1, 3) n",
            session,
            born,
            json.dumps({"text": "hi"}),
        )
        return session

    async def events(self, session: str) -> int:
        """Count a session's events."""
        return len(await self.log.after(session, 0, 100))

    async def head(self, session: str) -> Head:
        """Give a log's head."""
        return (await self.log.heads([session]))[session]

    async def names(self) -> set[str]:
        """Give the names of all partitions."""
        return {row[0] for row in await self.postgres.rows("SELECT name FROM partitions()")}

    async def drop_all(self, keep_days: float) -> list[Span]:
        """Drop all that is old."""
        found, after = [], 0
        while span := await self.retention.drop(after, int(keep_days * DAY_MS) + now_ms() - self.midnight):
            found.append(span)
            after = span.until
        return found


def _id(at: int, rest: int) -> UUID:
    return UUID(int=(at << 80) | rest)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def world(empty_url: str) -> AsyncIterator[World]:
    """Give a database with a present: its first partition begins at midnight."""
    await asyncio.to_thread(lambda: asyncio.run(prepare(empty_url)))
    async with opened(empty_url) as postgres:
        yield World(empty_url, postgres, now_ms() // DAY_MS * DAY_MS)


async def test_the_partitions_are_listed_with_their_spans(world: World) -> None:
    names = {await world.partition(days) for days in (3, 1)}
    rows = await world.postgres.rows("SELECT name, first, until FROM partitions() ORDER BY until")
    assert {row[0] for row in rows} > names
    for name, first, end in rows:
        assert name == f"events_until_{end}"
        assert first == _id(end - DAY_MS, 0)


async def test_what_is_old_and_over_goes_and_the_rest_stays(world: World) -> None:
    old, young = await world.partition(10), await world.partition(3)
    over = [await world.session(9.5, 9.4), await world.session(9.1, 8.0)]
    recent = await world.session(2.5, 2.4)
    epochs = [(await world.head(session)).epoch for session in over]
    assert await world.drop_all(keep_days=7) == [Span(old, int(old[13:]), 2, 0)]
    names = await world.names()
    assert old not in names
    assert young in names
    assert await world.events(recent) == 3
    assert (await world.head(recent)).seq == 3
    for session, epoch in zip(over, epochs, strict=True):
        # The session can still be read; its log begins anew, and is empty.
        stored = await Sessions(world.postgres).get(session)
        assert stored is not None
        assert (stored.state, stored.title) == ("ended", "A show")
        assert stored.head.seq == 0
        assert stored.head.epoch != epoch
        assert await world.events(session) == 0
        assert session in {found.id for found in await Listing(world.postgres).find(Wanted(states=["ended"]), 10)}
    assert len({(await world.head(session)).epoch for session in over}) == 2
    assert await world.drop_all(keep_days=7) == []


async def test_a_dropped_log_stays_closed(world: World) -> None:
    await world.partition(10)
    session = await world.session(9.5, 9.4)
    await world.drop_all(keep_days=7)
    [answer] = await world.log.append([Entry(session, "bob", uuid4(), "chat.posted", "{}")])
    assert answer.outcome == "closed"


async def _words(world: World, session: str) -> tuple[int, list[int]]:
    """Give how many words of a session are stored, and how far its log is indexed, if at all."""
    [[words]] = await world.postgres.rows("SELECT count(*) FROM words WHERE session = $1", session)
    return words, [
        row[0] for row in await world.postgres.rows("SELECT seq FROM word_heads WHERE session = $1", session)
    ]


async def test_the_words_go_with_the_events(world: World) -> None:
    index = WordIndex(world.postgres)
    await world.partition(10)
    await world.partition(3)
    old, young = await world.session(9.5, 9.4), await world.session(2.5, 2.4)
    await index.index([old, young], 100)
    assert [await _words(world, session) for session in (old, young)] == [(3, [3])] * 2
    assert len(await world.drop_all(keep_days=7)) == 1
    assert [await _words(world, session) for session in (old, young)] == [(0, []), (3, [3])]
    [[kept]] = await world.postgres.rows("SELECT count(*) FROM pg_inherits WHERE inhparent = 'words'::regclass")
    assert kept == len(await world.names())
    # The log begins anew, and so does the index: nothing of the former life counts as indexed.
    assert await index.index([old], 100) == {old: Indexed(0, 0)}
    assert await _words(world, old) == (0, [0])
    assert (await world.log.search(old, "hi", 100, 10)).records == []


async def test_what_is_being_indexed_goes_as_well(world: World) -> None:
    await world.partition(10)
    old = await world.session(9.5, 9.4)
    async with connected(world.url) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT index_words(ARRAY[$1::uuid], 100)", old)
        dropping = asyncio.create_task(world.drop_all(keep_days=7))
        await until(partial(_waits_for_lock, world, "drop_partition"))
        await transaction.commit()
        assert len(await dropping) == 1
    assert await _words(world, old) == (0, [])


async def test_nothing_is_indexed_while_a_partition_is_dropped(world: World) -> None:
    await world.partition(10)
    old = await world.session(9.5, 9.4)
    fresh = (await Sessions(world.postgres).create("ann", "A show")).id
    async with connected(world.url) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT drop_partition(0, $1)", world.midnight - 7 * DAY_MS)
        indexing = asyncio.create_task(WordIndex(world.postgres).index([old, fresh], 100))
        await until(partial(_waits_for_lock, world, "index_words"))
        # It has not even begun: what it saw before the wait would be of the former life.
        [[held]] = await world.postgres.rows(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.granted AND l.relation = 'word_heads'::regclass AND position('index_words' IN a.query) > 0"
            " AND a.wait_event_type = 'Lock'"
        )
        assert held == 0
        await transaction.commit()
        assert await indexing == {old: Indexed(0, 0), fresh: Indexed(1, 0)}
    assert await _words(world, old) == (0, [0])


async def _waits_for_lock(world: World, statement: str) -> bool:
    [[waiting]] = await world.postgres.rows(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND position($1 IN query) > 0", statement
    )
    return bool(waiting)


@pytest.mark.parametrize("ended", [None, 6.9])
async def test_a_session_that_is_not_over_for_long_keeps_its_partition(world: World, ended: float | None) -> None:
    kept, older, gone = await world.partition(9), await world.partition(12), await world.partition(8)
    held = await world.session(8.5, ended)
    over = await world.session(8.6, 8.5)
    spans = await world.drop_all(keep_days=7)
    # Nothing of it is touched, and it holds up no other.
    assert [(span.name, span.sessions, span.unfinished) for span in spans] == [
        (older, 0, 0),
        (kept, 2, 1),
        (gone, 0, 0),
    ]
    assert [span.dropped for span in spans] == [True, False, True]
    assert [await world.events(session) for session in (held, over)] == [3, 3]
    assert (await world.head(over)).seq == 3


async def test_a_span_that_is_not_over_is_never_dropped(world: World) -> None:
    today = (await Sessions(world.postgres).create("ann", "A show")).id
    before = await world.names()
    assert await world.drop_all(keep_days=0) == []
    assert await world.names() == before
    assert await world.events(today) == 1


async def test_the_days_are_counted_from_the_end_of_the_span(world: World) -> None:
    name = await world.partition(8)
    await world.session(7.01, 7.005)
    assert await world.drop_all(keep_days=7.1) == []
    assert await world.drop_all(keep_days=6.9) == [Span(name, int(name[13:]), 1, 0)]


async def test_of_many_that_look_one_drops(world: World) -> None:
    for days in range(8, 16):
        await world.partition(days)
        await world.session(days - 0.5, days - 0.6)
    async with opened(world.url) as other:
        nodes = [World(world.url, postgres, world.midnight) for postgres in [world.postgres, other] * 2]
        spans = [span for found in await asyncio.gather(*(node.drop_all(7) for node in nodes)) for span in found]
    assert len({span.name for span in spans}) == len(spans)
    # Whoever finds another at work leaves it to that one; so none may be left, or some for the next look.
    await world.drop_all(7)
    assert len(await world.names()) == 2


async def test_another_one_at_work_is_left_alone(world: World) -> None:
    await world.partition(10)
    async with connected(world.url) as other, other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(hashtext('stagewire.retention'))")
        assert await world.drop_all(keep_days=7) == []
    assert len(await world.drop_all(keep_days=7)) == 1


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[None]:
    """Read the log for a long time, as a backup does."""
    async with connected(url) as other, other.transaction():
        await other.execute("LOCK events IN ACCESS SHARE MODE")
        yield


async def test_a_log_that_is_being_read_is_dropped_some_other_time_and_appends_hardly_wait(world: World) -> None:
    await world.partition(10)
    old = await world.session(9.5, 9.4)
    session = (await Sessions(world.postgres).create("ann", "A show")).id
    async with reading(world.url):
        began = time.monotonic()
        dropping = asyncio.create_task(world.drop_all(keep_days=7))
        longest = await _longest_append(world.log, session, dropping)
        with pytest.raises(Unavailable, match="lock timeout"):
            await dropping
        assert 0.4 < time.monotonic() - began < 2.0
    assert longest < 1.5
    # Half done is nothing done.
    assert await world.events(old) == (await world.head(old)).seq == 3
    assert len(await world.drop_all(keep_days=7)) == 1


async def _longest_append(log: Log, session: str, until: "asyncio.Task[object]") -> float:
    """Append all the time until a task is done; give the seconds of the slowest."""
    longest = 0.0
    while not until.done():
        began = time.monotonic()
        [answer] = await log.append([Entry(session, "bob", uuid4(), "chat.posted", "{}")])
        assert answer.outcome == "new"
        longest = max(longest, time.monotonic() - began)
    return longest


async def test_adding_partitions_waits_for_no_reader_and_no_append_for_it(world: World) -> None:
    session = (await Sessions(world.postgres).create("ann", "A show")).id
    async with reading(world.url):
        adding = asyncio.create_task(world.log.add_partitions(DAY_MS, 20 * DAY_MS))
        assert await _longest_append(world.log, session, adding) < 0.5
        assert await adding >= 18


async def test_an_added_partition_is_like_the_others(world: World) -> None:
    by_hand = await world.partition(1)
    indexes: dict[str, list[str]] = {}
    for table, definition in await world.postgres.rows(
        "SELECT i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " JOIN pg_inherits h ON h.inhrelid = i.indrelid WHERE h.inhparent = 'events'::regclass"
    ):
        indexes.setdefault(table, []).append(definition.partition(" USING ")[2])
    assert len(indexes) == 3
    assert all(sorted(found) == sorted(indexes[by_hand]) for found in indexes.values())
    # All of them belong to an index of the whole, so none was made twice.
    [row] = await world.postgres.rows(
        "SELECT count(*) FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indrelid"
        " WHERE h.inhparent = 'events'::regclass AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = i.indexrelid)"
    )
    assert row[0] == 0


async def test_sessions_may_be_deleted_once_their_logs_are_gone(world: World) -> None:
    """As docs/operations.md says."""
    await world.partition(10)
    await world.partition(2)
    gone, kept = await world.session(9.5, 9.4), await world.session(1.5, 1.4)
    statement = "DELETE FROM sessions WHERE id < ALL (SELECT first FROM partitions())"
    await world.postgres.rows(statement)
    assert len(await world.log.heads([gone, kept])) == 2
    await world.drop_all(keep_days=7)
    await world.postgres.rows(statement)
    assert (await world.log.heads([gone, kept])).keys() == {kept}


async def test_new_epochs_are_for_the_logs_that_are_open(world: World) -> None:
    await world.partition(2)
    over, live = await world.session(1.5, 1.4), await world.session(1.5, None)
    fresh = (await Sessions(world.postgres).create("ann", "A show")).id
    before = await world.log.heads([over, live, fresh])
    assert await world.retention.begin_anew() == 2
    after = await world.log.heads([over, live, fresh])
    assert after[over] == before[over]
    assert {before[session].epoch for session in (live, fresh)}.isdisjoint(head.epoch for head in after.values())
    assert len({head.epoch for head in after.values()}) == 3
    assert [after[session].seq for session in (live, fresh)] == [3, 1]
