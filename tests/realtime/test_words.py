"""The index over words is kept up behind the chat: at once where there is much, on a beat where there is little."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.errors import Rejected, Unavailable
from persistence.log import Entry, Log
from persistence.postgres import PoolSettings, Postgres
from persistence.words import Indexed
from realtime.settings import Settings
from realtime.telemetry import metrics
from realtime.words import PRESSING, SESSIONS, Words
from tests.realtime.test_watch_times import count_of
from tests.support.databases import connected
from tests.support.nodes import RunningNode, serving, token
from tests.support.relay import relayed
from tests.support.waiting import until

TAIL = 5
# Nothing is indexed by the beat.
EAGER: dict[str, Any] = {"words_tail": TAIL, "words_beat": 3600.0}


@pytest.fixture
async def postgres(migrated: str) -> AsyncIterator[Postgres]:
    pool = Postgres(PoolSettings(migrated, 2))
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def left(postgres: Postgres, session: str) -> int:
    """Count the events of a session that are not indexed."""
    return (await Log(postgres).search(session, "anything", 1 << 50, 1)).behind


async def said(node: RunningNode, session: str, *texts: str) -> None:
    async with node.client("ann") as ann:
        await ann.join(session)
        for text in texts:
            assert (await ann.say(session, text))["type"] == "ack"


async def searched(node: RunningNode, session: str, words: str) -> list[int]:
    found = await node.request("GET", f"/v1/sessions/{session}/search", token("bob"), params={"q": words})
    assert found.status_code == 200, found.text
    return [event["seq"] for event in found.json()["events"]]


async def test_what_is_long_is_indexed_at_once_and_counted(postgres: Postgres, migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **EAGER) as node:
        before = count_of(metrics.WORDS_INDEXED)
        session, quiet = await node.session(), await node.session()
        await said(node, quiet, *["coat"] * (TAIL - 1))
        assert node.node.words.behind == TAIL - 1
        await said(node, session, *["coat"] * TAIL)
        await until(lambda: node.node.words.behind == TAIL - 1)
        # With the creation and the start.
        assert count_of(metrics.WORDS_INDEXED) - before == TAIL + 2
        assert await left(postgres, session) == 0
        assert await left(postgres, quiet) == TAIL + 1
        assert len(await searched(node, session, "coat")) == TAIL
        assert len(await searched(node, quiet, "coat")) == TAIL - 1


async def test_what_is_short_is_indexed_on_the_beat(postgres: Postgres, migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, words_beat=0.1) as node:
        sessions = [await node.session() for _ in range(3)]
        for session in sessions:
            await said(node, session, "coat")
        await until(lambda: node.node.words.behind == 0)
        assert [await left(postgres, session) for session in sessions] == [0, 0, 0]


async def test_a_search_finds_what_a_node_that_died_has_left_behind(
    postgres: Postgres, migrated: str, redis_url: str
) -> None:
    async with serving(migrated, redis_url, **EAGER) as node:
        session = await node.session()
        entries = [Entry(session, "ann", uuid4(), "chat.posted", '{"text":"coat"}') for _ in range(TAIL)]
        await Log(postgres).append(entries)
        assert node.node.words.behind == 0
        assert len(await searched(node, session, "coat")) == TAIL
        await until(lambda: node.node.words.behind == 0)
        assert await left(postgres, session) == 0
        assert len(await searched(node, session, "coat")) == TAIL


async def test_a_search_that_takes_too_long_has_the_session_indexed_as_well(
    postgres: Postgres, migrated: str, redis_url: str
) -> None:
    async with serving(migrated, redis_url, database_timeout=0.5, **EAGER) as node:
        session, short = await node.session(), await node.session()
        await Log(postgres).append([Entry(session, "ann", uuid4(), "chat.posted", "{}") for _ in range(TAIL)])
        async with connected(migrated) as other, other.transaction():
            # As if it went over a million events.
            await other.execute("LOCK words IN ACCESS EXCLUSIVE MODE")
            for each in (session, short):
                found = await node.request("GET", f"/v1/sessions/{each}/search", token("bob"), params={"q": "coat"})
                assert found.status_code == 503
        assert node.node.words.behind == TAIL + 4
        await until(lambda: node.node.words.behind == 2)
        assert await left(postgres, session) == 0


async def test_postgres_that_is_away_is_waited_for(postgres: Postgres, migrated: str, redis_url: str) -> None:
    async with relayed(migrated) as relay, serving(relay.url, redis_url, database_timeout=0.5, **EAGER) as node:
        session = await node.session()
        await said(node, session, *["coat"] * (TAIL - 1))
        await relay.cut()
        node.node.words.appended(session, 1)
        await asyncio.sleep(0.2)
        assert node.node.words.behind == TAIL
        await relay.listen()
        await until(lambda: node.node.words.behind == 0)
        assert await left(postgres, session) == 0


async def test_a_node_stops_in_the_middle_of_it(postgres: Postgres, migrated: str, redis_url: str) -> None:
    async with connected(migrated) as other, other.transaction():
        async with serving(migrated, redis_url, **EAGER) as node:
            session = await node.session()
            await other.execute("LOCK words IN ACCESS EXCLUSIVE MODE")
            await said(node, session, *["coat"] * TAIL)
            stops = monotonic()
        assert monotonic() - stops < 2
    # What was on its way may have been done all the same.
    assert await left(postgres, session) in (0, TAIL + 2)
    assert len((await Log(postgres).search(session, "coat", 1 << 50, 50)).records) == TAIL


class Told:
    """Stands for an index, and answers as it is told."""

    def __init__(self, answer: Callable[[Sequence[str]], dict[str, Indexed]] = lambda _: {}) -> None:
        self.answer = answer
        self.asked: list[list[str]] = []
        self.takes = 0.0
        self.spans: list[tuple[float, float]] = []

    async def index(self, sessions: Sequence[str], most: int) -> dict[str, Indexed]:
        """Index nothing."""
        assert most > 0
        began = monotonic()
        self.asked.append(list(sessions))
        await asyncio.sleep(self.takes)
        self.spans.append((began, monotonic()))
        return self.answer(sessions)


def words_of(told: Told, **settings: Any) -> Words:
    return Words(told, Settings(**{**EAGER, **settings}))  # type: ignore[arg-type] # it has what is asked of an index


@asynccontextmanager
async def running(words: Words) -> AsyncIterator[None]:
    task = asyncio.create_task(words.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize(("left", "times"), [(TAIL, 4), (PRESSING + 1, 1)])
async def test_it_rests_for_longer_than_it_works_unless_there_is_much(left: int, times: int) -> None:
    told = Told(lambda sessions: {session: Indexed(1, left) for session in sessions})
    told.takes = 0.05
    words = words_of(told)
    words.appended("a", left)
    async with running(words):
        await until(lambda: len(told.spans) == 3)
    [(_, first), (second, third), (fourth, _)] = told.spans
    for rest in (second - first, fourth - third):
        # Clocks of different grain meet here.
        assert 0.05 * times - 0.005 <= rest < 0.05 * times + 0.15


async def test_who_could_not_be_finished_lets_the_others_go_first() -> None:
    told = Told(lambda sessions: {sessions[0]: Indexed(10, 3), sessions[1]: Indexed(5, 0)})
    words = words_of(told)
    for session in ("a", "b"):
        words.appended(session, TAIL)
    assert await words.index()
    # Little, but there was more than one call could do.
    assert words.behind == 3
    words.appended("c", TAIL)
    words.appended("a", 1)
    told.answer = lambda _: {}
    assert await words.index()
    assert told.asked == [["a", "b"], ["a", "c"]]
    assert words.behind == 0


async def test_what_comes_meanwhile_is_not_taken_for_indexed() -> None:
    told = Told(lambda _: {"a": Indexed(TAIL, 0)})
    told.takes = 0.05
    words = words_of(told)
    words.appended("a", TAIL)
    indexing = asyncio.create_task(words.index())
    await until(lambda: bool(told.asked))
    words.appended("a", 2)
    words.appended("b", 1)
    await indexing
    assert words.behind == 3


async def test_of_very_many_sessions_some_are_asked_at_a_time() -> None:
    told = Told()
    words = words_of(told)
    for n in range(SESSIONS + 1):
        words.appended(str(n), TAIL)
    assert await words.index()
    assert await words.index()
    assert [len(asked) for asked in told.asked] == [SESSIONS, 1]
    assert words.behind == 0


async def test_what_can_not_be_indexed_stands_in_nobody_s_way() -> None:
    def refuse(_: Sequence[str]) -> dict[str, Indexed]:
        raise Rejected("no such words")

    told = Told(refuse)
    words = words_of(told)
    words.appended("a", TAIL)
    assert await words.index()
    assert words.behind == 0


async def test_what_could_not_be_asked_is_kept() -> None:
    def fail(_: Sequence[str]) -> dict[str, Indexed]:
        raise Unavailable("away")

    told = Told(fail)
    words = words_of(told)
    words.appended("a", TAIL)
    assert not await words.index()
    assert words.behind == TAIL
    told.answer = lambda _: {"a": Indexed(TAIL, 0)}
    assert await words.index()
    assert words.behind == 0


async def test_a_search_that_knows_of_less_changes_nothing() -> None:
    words = words_of(Told())
    words.searched("a", 0)
    assert words.behind == 0
    words.appended("a", 3)
    words.searched("a", 2)
    assert words.behind == 3
    words.searched("a", 4)
    assert words.behind == 4


SESSION = st.sampled_from("abcdefgh")
ACTS = st.one_of(
    st.tuples(st.just("appended"), SESSION, st.integers(1, 7)),
    st.tuples(st.just("searched"), SESSION, st.integers(0, 7)),
    st.tuples(st.just("index"), st.integers(0, 7), st.booleans()),
)


@given(st.lists(ACTS, max_size=40), st.integers(1, 6))
async def test_whatever_happens_memory_is_bounded_and_nothing_long_is_left(acts: list[Any], limit: int) -> None:
    told = Told()
    words = words_of(told, words_sessions=limit)
    for kind, what, number in acts:
        if kind != "index":
            getattr(words, kind)(what, number)
        elif words._due:
            # Some call is at its end before all is done, and some is left to another node.
            told.answer = lambda asked, n=what, known=number: {s: Indexed(1, n) for s in asked[:: 1 + known]}  # type: ignore[misc] # of a loop
            assert await words.index()
        assert len(words._behind) <= limit
        assert words._due.keys() <= words._behind.keys()
        assert all(behind > 0 for behind in words._behind.values())
        assert {session for session, behind in words._behind.items() if behind >= TAIL} <= words._due.keys()
        assert words._wake.is_set() or not words._due
