"""How Postgres reads pages of a log that has a million events around it: by index alone, and no more than it must."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Struct

from persistence.embedded import Servers
from persistence.log import Log
from persistence.postgres import Connection
from tests.persistence.conftest import DAY_MS, opened, prepare
from tests.support.databases import fresh_database

pytestmark = pytest.mark.timeout(180)

EVENTS, LONGEST, SESSIONS = 1_000_000, 700_000, 30
# Events of the longest session whose words are not indexed.
TAIL = 500
MIDDLE = LONGEST // 2
EPOCH = "life"

# 30 sessions over three partitions, and one that has most of the events. Every hundredth event is an edit, every
# thousandth a deletion.
_FILL = f"""
    INSERT INTO sessions (id, host, title, created_at)
    SELECT uuidv7((n % 3) * interval '1 day' + n * interval '1 ms'), 'alice', 'show', 1
      FROM generate_series(1, {SESSIONS}) n;
    INSERT INTO sessions (host, title, created_at) VALUES ('alice', 'longest', 1);
    INSERT INTO log_heads (session, epoch, seq)
    SELECT id, '{EPOCH}',
           CASE title WHEN 'longest' THEN {LONGEST} ELSE {(EVENTS - LONGEST) // SESSIONS} END FROM sessions;
    INSERT INTO events (session, seq, at, kind, sender, key, body)
    SELECT session, n, n,
           CASE WHEN n % 100 = 0 THEN 'chat.edited' WHEN n % 1000 = 999 THEN 'chat.deleted' ELSE 'chat.posted' END,
           'bob', uuidv7(),
           CASE WHEN n % 100 = 0 THEN jsonb_build_object('seq', n - 50, 'text', 'edited w' || n % 5000)
                WHEN n % 1000 = 999 THEN jsonb_build_object('seq', n - 3)
                ELSE jsonb_build_object('text', 'hello w' || n % 5000) END
      FROM log_heads, generate_series(1, seq) AS n;
"""


# All but the newest events are indexed.
_INDEX_WORDS = f"""
    DROP INDEX words_by_word;
    SELECT index_words(array_agg(session), {EVENTS}) FROM log_heads WHERE seq < {LONGEST};
    SELECT index_words(array_agg(session), {LONGEST - TAIL}) FROM log_heads WHERE seq = {LONGEST};
    CREATE INDEX words_by_word ON words USING gin (session, words);
"""


class Plan(Struct):
    """The nodes of a plan that were run on the events, and how many blocks were read."""

    nodes: list[dict[str, Any]]
    buffers: int

    def kinds(self) -> set[str]:
        """Give the kinds of scans and sorts."""
        return {kind for node in self.nodes if "Scan" in (kind := node["Node Type"]) or "Sort" in kind}

    def tables(self) -> set[str]:
        """Give the partitions that were read."""
        return {node["Relation Name"] for node in self.nodes if "Relation Name" in node}


_HEADS = {"log_heads", "word_heads"}


class Spy:
    """Stands for the pool of a `Log`, and explains what it is asked, on a plan for any parameters."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.plans: list[Plan] = []

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        """Explain a query and run it."""
        name = f"q{uuid4().hex}"
        types = {str: "text", int: "bigint"}
        given = ", ".join(["uuid", *(types[type(argument)] for argument in arguments[1:])])
        await self._connection.execute(f"PREPARE {name}({given}) AS {query}")
        values = ", ".join(f"'{argument}'" for argument in arguments)
        explained = await self._connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT json) EXECUTE {name}({values})")
        root = json.loads(explained)[0]["Plan"]
        buffers = root["Shared Hit Blocks"] + root["Shared Read Blocks"]
        # These are so few here that an index would be dearer.
        nodes = [node for node in _walk(root) if node["Actual Loops"] and node.get("Relation Name") not in _HEADS]
        self.plans.append(Plan(nodes, buffers))
        return list(await self._connection.fetch(query, *arguments))


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from _walk(inner)


_CONSTRAINTS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
     WHERE conrelid = 'events'::regclass AND contype IN ('p', 'u')
"""
_INDEXES = """
    SELECT indexrelid::regclass::text, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') FROM pg_index
     WHERE indrelid = 'events'::regclass
"""


async def _fill(url: str) -> str:
    """Fill a database, and build the migrations' indexes afterwards, which takes a quarter of the time."""
    await prepare(url)
    async with opened(url, patience=150) as postgres, postgres.connection() as connection:
        await Log(postgres).add_partitions(DAY_MS, 3 * DAY_MS)
        constraints = await connection.fetch(_CONSTRAINTS)
        for name, _ in constraints:
            await connection.execute(f"ALTER TABLE events DROP CONSTRAINT {name}")
        indexes = await connection.fetch(_INDEXES)
        for name, _ in indexes:
            await connection.execute(f"DROP INDEX {name}")
        await connection.execute(_FILL)
        for name, definition in constraints:
            await connection.execute(f"ALTER TABLE events ADD CONSTRAINT {name} {definition}")
        for _, definition in indexes:
            await connection.execute(definition)
        await connection.execute(_INDEX_WORDS)
        await connection.execute("ANALYZE")
        assert await connection.fetchval("SELECT count(*) FROM events") == EVENTS
        return str(await connection.fetchval("SELECT id FROM sessions WHERE title = 'longest'"))


@pytest.fixture(scope="module")
def filled(servers: Servers) -> Iterator[tuple[str, str]]:
    """Give a database with a million events, and its longest session."""
    with fresh_database(servers.database_url) as url:
        yield url, asyncio.run(_fill(url))


@pytest.fixture
async def connection(filled: tuple[str, str]) -> AsyncIterator[Connection]:
    async with opened(filled[0], patience=30) as postgres, postgres.connection() as connection:
        yield connection


@pytest.fixture(params=["force_generic_plan", "force_custom_plan"])
async def spy(request: pytest.FixtureRequest, connection: Connection) -> Spy:
    await connection.execute(f"SET plan_cache_mode = {request.param}")
    return Spy(connection)


def log_of(spy: Spy) -> Log:
    return Log(spy)  # type: ignore[arg-type] # it has what a log asks for


@pytest.fixture
def longest(filled: tuple[str, str]) -> str:
    return filled[1]


BY_INDEX = {"Index Scan", "Subquery Scan"}
Read = Callable[[Log, str], Any]
READS: dict[str, Read] = {
    "after the beginning": lambda log, session: log.after(session, 0, 200),
    "after the middle": lambda log, session: log.after(session, MIDDLE, 200),
    "after almost all": lambda log, session: log.after(session, LONGEST - 200, 200),
    "before the end": lambda log, session: log.before_in(session, EPOCH, LONGEST + 1, 200),
    "before the middle": lambda log, session: log.before_in(session, EPOCH, MIDDLE, 200),
    "before almost all": lambda log, session: log.before_in(session, EPOCH, 201, 200),
    "after, in an epoch": lambda log, session: log.after_in(session, EPOCH, MIDDLE, 200),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_a_page_is_read_by_index_in_one_partition(spy: Spy, longest: str, read: Read) -> None:
    page = await read(log_of(spy), longest)
    assert len(page) == 200
    [plan] = spy.plans
    assert plan.kinds() <= BY_INDEX
    assert len(plan.tables()) == 1
    # Some 4 blocks deep are the indexes; each event looks once for edits, and once for deletions.
    assert plan.buffers < 200 * 10


@pytest.mark.parametrize("seq", [2, MIDDLE, LONGEST])
async def test_one_event_is_read_by_index(spy: Spy, longest: str, seq: int) -> None:
    log = log_of(spy)
    assert await log.event(longest, seq) is not None
    assert await log.original(longest, seq) is not None
    for plan in spy.plans:
        assert plan.kinds() <= BY_INDEX
        assert plan.buffers < 30


async def test_the_changes_of_a_message_are_found_by_index(spy: Spy, longest: str) -> None:
    log = log_of(spy)
    assert [change.seq for change in await log.changes(longest, MIDDLE + 50, 100)] == [MIDDLE + 100]
    assert [change.kind for change in await log.changes(longest, MIDDLE + 996, 100)] == ["chat.deleted"]
    for plan in spy.plans:
        assert plan.kinds() <= BY_INDEX
        assert plan.buffers < 30


async def test_a_rare_word_is_found_by_the_index_of_words(spy: Spy, longest: str) -> None:
    found = await log_of(spy).search(longest, "w123", LONGEST, 50)
    assert [record.seq for record in found.records] == [LONGEST - 5000 * n + 123 - 5000 for n in range(50)]
    assert found.behind == TAIL
    [plan] = spy.plans
    assert "Bitmap Index Scan" in plan.kinds()
    assert "Seq Scan" not in plan.kinds()
    assert plan.buffers < 140 * 20
    # Of the events, the tail alone is looked at, by the primary key.
    [tail] = [node for node in plan.nodes if "Rows Removed by Filter" in node and "kind" in node["Filter"]]
    assert tail["Actual Rows"] + tail["Rows Removed by Filter"] == TAIL
    assert tail["Node Type"] in ("Index Scan", "Bitmap Heap Scan")


async def test_a_word_that_everyone_uses_has_few_messages_merged(spy: Spy, longest: str) -> None:
    found = await log_of(spy).search(longest, "hello", LONGEST, 50)
    assert len(found.records) == 50
    [plan] = spy.plans
    by_key = [node for node in plan.nodes if node["Node Type"] == "Index Scan"]
    assert by_key
    assert all(node["Actual Loops"] <= 100 for node in by_key)


async def test_each_session_is_read_in_the_partition_of_its_day(spy: Spy, connection: Connection) -> None:
    rows = await connection.fetch("SELECT id FROM sessions WHERE title = 'show' ORDER BY id")
    for (session,) in (rows[0], rows[SESSIONS // 2], rows[-1]):
        assert len(await log_of(spy).after(str(session), 5000, 50)) == 50
    assert all(plan.kinds() <= BY_INDEX and plan.buffers < 50 * 10 for plan in spy.plans)
    assert [len(plan.tables()) for plan in spy.plans] == [1, 1, 1]
    assert len({*spy.plans[0].tables(), *spy.plans[1].tables(), *spy.plans[2].tables()}) == 3
