"""Lists of sessions: what is found, page by page, and that it is found by index among many."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from persistence.embedded import Servers
from persistence.listing import Listing, Wanted
from persistence.postgres import Connection, Postgres
from persistence.sessions import Session, Sessions
from tests.persistence.conftest import opened, prepare
from tests.support.databases import fresh_database

STATES = ("scheduled", "live", "paused", "interrupted", "ended")
HOSTS = ("alice", "bob", "carol")
TITLES = (
    "Autumn coats",
    "COATS & boots",
    "Großer Ausverkauf",
    "50% off_everything",
    r"back\slash",
    "'; --",
    "Été à Paris",
)
SESSIONS = 200_000


async def _make(url: str) -> list[Session]:
    async with opened(url) as postgres:
        sessions, made = Sessions(postgres), []
        for host, title, state in itertools.product(HOSTS, TITLES, STATES):
            session = await sessions.create(host, title)
            await postgres.rows("UPDATE sessions SET state = $2 WHERE id = $1", session.id, state)
            stored = await sessions.get(session.id)
            assert stored is not None
            made.append(stored)
    return made[::-1]


@pytest.fixture(scope="module")
def many(migrated: str) -> list[Session]:
    """Give sessions of every kind, the newest first."""
    return asyncio.run(_make(migrated))


@pytest.mark.parametrize("states", [STATES, ("live",), ("paused", "ended"), ("nonsense",), ()])
@pytest.mark.parametrize("host", [None, "bob", "nobody"])
@pytest.mark.parametrize(
    "parts",
    [(), ("coat",), ("BOOTS", "coats"), ("off", "%"), ("_",), ("\\",), ("ß",), ("été",), ("a",), ("'",), ("x", "coat")],
)
async def test_what_is_found_is_what_is_wanted(
    postgres: Postgres, many: list[Session], states: tuple[str, ...], host: str | None, parts: tuple[str, ...]
) -> None:
    expected = [
        session
        for session in many
        if session.state in states
        and host in (None, session.host)
        and all(part.lower() in session.title.lower() for part in parts)
    ]
    wanted = Wanted(states=states, host=host, parts=parts)
    assert await Listing(postgres).find(wanted, 1000) == expected
    assert await Listing(postgres).find(wanted, 3) == expected[:3]


async def test_pages_follow_each_other_while_others_create_sessions(postgres: Postgres, many: list[Session]) -> None:
    listing, found, before = Listing(postgres), [], None
    while page := await listing.find(Wanted(states=STATES, before=before), 10):
        found += page
        before = page[-1].id
        await Sessions(postgres).create("alice", "One more")
    assert found == many


async def _fill(url: str) -> None:
    await prepare(url)
    async with opened(url, patience=60) as postgres:
        await postgres.rows(
            f"""
            INSERT INTO sessions (host, title, state, created_at)
            SELECT 'host' || n % 1000,
                   'A show of ' || md5(n::text) || CASE WHEN n % 50000 = 7 THEN ' umbrellas' ELSE '' END,
                   CASE WHEN n % 20000 = 3 THEN 'live' ELSE 'ended' END, 1
              FROM generate_series(1, {SESSIONS}) n
            """
        )
        await postgres.rows("ANALYZE sessions")


@pytest.fixture(scope="module")
def filled(servers: Servers) -> Iterator[str]:
    """Give a database with very many sessions."""
    with fresh_database(servers.database_url) as url:
        asyncio.run(_fill(url))
        yield url


@pytest.fixture
async def connection(filled: str) -> AsyncIterator[Connection]:
    async with opened(filled) as postgres, postgres.connection() as connection:
        yield connection


@pytest.mark.parametrize(
    ("states", "host", "patterns", "count"),
    [
        (STATES, None, [], 50),
        (["live"], None, [], 10),
        (["live", "ended"], None, [], 50),
        (STATES, "host7", [], 50),
        (["live"], "host3", [], 10),
        (STATES, None, ["%umbrella%"], 4),
        (["ended"], None, ["%show%"], 50),
        (STATES, None, ["%SHOW%", "%umbrellas%"], 4),
        (["live"], None, ["%show%"], 10),
        (STATES, None, ["%parasol%"], 0),
        (STATES, "host7", ["%umbrella%"], 4),
    ],
)
async def test_among_many_they_are_found_by_index(
    connection: Connection, states: list[str], host: str | None, patterns: list[str], count: int
) -> None:
    find = "SELECT find_sessions($1, $2, $3, NULL, 50, 'bob')"
    arguments = list(states), host, patterns
    assert len(await connection.fetch(find, *arguments)) == count
    # The function hides its plan, but not what it reads: the table alone has some 3,000 blocks.
    blocks = await connection.fetchval("SELECT pg_relation_size('sessions') / 8192")
    explained = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT json) {find}", *arguments)
    plan = json.loads(explained)[0]["Plan"]
    assert blocks > 2500
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 400, plan
