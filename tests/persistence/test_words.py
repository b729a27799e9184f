"""The index over words on a real Postgres: it follows the log, and whatever it has yet, a search finds the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence import migrate
from persistence.log import Log, Record
from persistence.postgres import Postgres
from persistence.retention import Retention
from persistence.sessions import Sessions
from persistence.words import Indexed, WordIndex
from tests.persistence.conftest import DAY_MS, opened
from tests.persistence.test_search import NEWEST, delete, edit, found, say
from tests.persistence.test_told_events import FIRST, append, few, merged
from tests.support.chats import chats
from tests.support.databases import connected
from tests.support.sessions import move

ALL = 10_000


async def behind(log: Log, session: str) -> int:
    """Tell how many events are not indexed, as a search sees it."""
    return (await log.search(session, "anything", NEWEST, 1)).behind


async def stored(postgres: Postgres, session: str) -> list[int]:
    """Give the messages of the rows of the index, ascending."""
    return [row[0] for row in await postgres.rows("SELECT message FROM words WHERE session = $1 ORDER BY 1", session)]


async def test_the_index_follows_the_log(postgres: Postgres, session: str) -> None:
    log, index = Log(postgres), WordIndex(postgres)
    [one, _] = await say(log, session, "a red coat", "shoes")
    await edit(log, session, one, "a green coat")
    await delete(log, session, one)
    assert await behind(log, session) == 5
    # The creation of the session is an event, too.
    assert await index.index([session], 2) == {session: Indexed(2, 3)}
    assert await stored(postgres, session) == [2]
    assert await behind(log, session) == 3
    assert await index.index([session], ALL) == {session: Indexed(3, 0)}
    assert await stored(postgres, session) == [2, 2, 3]
    # Again, it changes nothing.
    assert await index.index([session], ALL) == {session: Indexed(0, 0)}
    assert await stored(postgres, session) == [2, 2, 3]
    assert await behind(log, session) == 0


async def test_the_first_sessions_come_first(postgres: Postgres) -> None:
    log, index = Log(postgres), WordIndex(postgres)
    sessions = [(await Sessions(postgres).create("alice", "A show")).id for _ in range(4)]
    for session in sessions[:3]:
        await say(log, session, "one", "two")
    asked = [sessions[2], str(uuid4()), sessions[0], sessions[3], sessions[1]]
    assert await index.index(asked, 5) == {
        sessions[2]: Indexed(3, 0),
        sessions[0]: Indexed(2, 1),
        sessions[3]: Indexed(0, 1),
        sessions[1]: Indexed(0, 3),
    }
    assert await index.index(asked, ALL) == {
        sessions[2]: Indexed(0, 0),
        sessions[0]: Indexed(1, 0),
        sessions[3]: Indexed(1, 0),
        sessions[1]: Indexed(3, 0),
    }
    assert [await stored(postgres, session) for session in sessions] == [[2, 3]] * 3 + [[]]


async def test_a_thousand_sessions_take_one_call(postgres: Postgres) -> None:
    rows = await postgres.rows(
        "WITH made AS (INSERT INTO sessions (host, title, created_at)"
        " SELECT 'ann', 'A show', 1 FROM generate_series(1, 1000) RETURNING id)"
        " INSERT INTO log_heads (session, seq) SELECT id, 1 FROM made RETURNING session"
    )
    ids = [str(session) for (session,) in rows]
    assert await WordIndex(postgres).index(ids, ALL) == dict.fromkeys(ids, Indexed(1, 0))


@asynccontextmanager
async def at_it(url: str, session: str) -> AsyncIterator["asyncio.Future[None]"]:
    """Be a node that indexes a session, and takes its time; it fails unless the future is given a result."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with connected(url) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT index_words(ARRAY[$1::uuid], 10000)", session)
        try:
            yield done
        finally:
            await (transaction.commit() if done.done() else transaction.rollback())


async def test_what_another_node_is_at_is_left_to_it(postgres: Postgres, session: str, migrated: str) -> None:
    log, index = Log(postgres), WordIndex(postgres)
    other = (await Sessions(postgres).create("alice", "Another")).id
    await index.index([session], ALL)
    await say(log, session, "coat", "shoes")
    async with at_it(migrated, session) as done:
        assert await index.index([session, other], ALL) == {session: Indexed(0, 2), other: Indexed(1, 0)}
        # What it has not committed yet is found by looking.
        assert await found(log, session, "coat") == [2]
        done.set_result(None)
    assert await index.index([session], ALL) == {session: Indexed(0, 0)}
    assert await stored(postgres, session) == [2, 3]


async def test_a_node_that_dies_in_between_leaves_nothing_half_done(
    postgres: Postgres, session: str, migrated: str
) -> None:
    log, index = Log(postgres), WordIndex(postgres)
    await say(log, session, "coat", "shoes")
    async with at_it(migrated, session):
        pass
    assert await stored(postgres, session) == []
    assert await found(log, session, "coat") == [2]
    assert await index.index([session], ALL) == {session: Indexed(3, 0)}
    assert await stored(postgres, session) == [2, 3]


async def test_many_nodes_at_once_index_everything_once(postgres: Postgres, migrated: str) -> None:
    log, sessions = Log(postgres), [(await Sessions(postgres).create("alice", "A show")).id for _ in range(3)]
    written = 0

    async def write() -> None:
        nonlocal written
        for session in sessions * 20:
            await say(log, session, "coat")
        written = 20

    async def index(index: WordIndex, order: list[str]) -> None:
        done = False
        while not done:
            was_written = bool(written)
            left = await index.index(order, 7)
            done = was_written and not any(one.behind for one in left.values())

    async with opened(migrated) as other:
        await asyncio.gather(
            write(),
            index(WordIndex(postgres), sessions),
            index(WordIndex(other), sessions[::-1]),
            index(WordIndex(other), sessions),
        )
    for session in sessions:
        assert await stored(postgres, session) == list(range(2, 22))
        assert await found(log, session, "coat") == list(range(21, 1, -1))


async def test_both_sides_of_the_border_are_searched(postgres: Postgres, session: str) -> None:
    log, index = Log(postgres), WordIndex(postgres)
    early = await say(log, session, "coat", "red coat", "old coat", "shoes")
    await index.index([session], ALL)
    late = await say(log, session, "new coat", "hat")
    # What the index has may have been changed beyond the border.
    await edit(log, session, early[0], "now a hat")
    await edit(log, session, early[3], "now a coat")
    await delete(log, session, early[2])
    assert await found(log, session, "coat") == [late[0], early[3], early[1]]
    assert await found(log, session, "hat") == [late[1], early[0]]
    assert await found(log, session, "coat", before=late[0]) == [early[3], early[1]]
    assert await found(log, session, "coat", limit=1) == [late[0]]
    assert await found(log, session, "-coat") == [late[1], early[0]]
    assert await behind(log, session) == 5


async def test_what_is_no_chat_is_passed_over(postgres: Postgres, session: str) -> None:
    log, index = Log(postgres), WordIndex(postgres)
    await move(postgres, session, 1, "live", "session.started")
    assert await index.index([session], ALL) == {session: Indexed(2, 0)}
    assert await stored(postgres, session) == []
    assert await found(log, session, "live or scheduled or -live") == []


async def test_texts_of_any_length_are_indexed(postgres: Postgres, session: str) -> None:
    """What an append has taken must not stop the index, whatever it is."""
    log, index = Log(postgres), WordIndex(postgres)
    # A tsvector has room for a MiB.
    words = "coat " + " ".join(f"{n:x}-ж{n:o}-字{n:b}" for n in range(70_000))
    assert len(words.encode()) > 2 << 20
    [said] = await say(log, session, words)
    await say(log, session, "𐐀" * 300_000, "x" * 900_000)
    assert await found(log, session, "coat") == [said]
    assert await index.index([session], ALL) == {session: Indexed(4, 0)}
    assert await found(log, session, "coat") == [said]


async def test_another_life_of_a_log_goes_on_being_indexed(postgres: Postgres, session: str) -> None:
    log, index = Log(postgres), WordIndex(postgres)
    await say(log, session, "coat")
    await index.index([session], ALL)
    await Retention(postgres).begin_anew()
    await say(log, session, "coat")
    assert await index.index([session], ALL) == {session: Indexed(1, 0)}
    assert await found(log, session, "coat") == [3, 2]


def _plain(told: list[dict[str, object]], words: set[str]) -> list[int]:
    """Search as anybody would who has all events told again."""
    texts = {event["seq"]: str(event["body"].get("text", "")) for event in told if event["kind"] == "chat.posted"}  # type: ignore[attr-defined] # bodies are objects
    return sorted((int(str(seq)) for seq, text in texts.items() if words <= set(text.split())), reverse=True)


@few
@given(chats(FIRST, 20), st.data())
async def test_whatever_is_indexed_what_is_found_is_what_is_told(
    postgres: Postgres, records: list[Record], data: st.DataObject
) -> None:
    log, index = Log(postgres), WordIndex(postgres)
    session = (await Sessions(postgres).create("alice", "A show")).id
    appended: list[Record] = []
    while records:
        cut = data.draw(st.integers(1, len(records)))
        appended += await append(log, session, records[:cut])
        records = records[cut:]
        await index.index([session], data.draw(st.integers(0, 8)))
        told = merged(session, appended)
        for words in [{"text"}, *({"of", str(one.seq)} for one in appended)]:
            assert await found(log, session, " ".join(words)) == _plain(told, words)


# Migrating


async def _migrated_up_to(postgres: Postgres, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [step for step in migrate.migrations() if step.name < name]
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "migrations", lambda: steps)
        await migrate.migrate(postgres)


async def test_what_is_stored_already_is_indexed_by_the_migration(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(empty_url) as postgres:
        await _migrated_up_to(postgres, "0014", monkeypatch)
        log = Log(postgres)
        await log.add_partitions(DAY_MS, DAY_MS)
        session, empty = [(await Sessions(postgres).create("alice", "A show")).id for _ in range(2)]
        said = await say(log, session, "coat", "red coat", "shoes")
        await edit(log, session, said[2], "a coat now")
        await delete(log, session, said[0])
        assert await migrate.migrate(postgres) == ["0014_words.sql"]
        assert await behind(log, session) == await behind(log, empty) == 0
        assert await stored(postgres, session) == [2, 3, 4, 4]
        assert await found(log, session, "coat") == [said[2], said[1]]
        [late] = await say(log, session, "late coat")
        assert await found(log, session, "coat") == [late, said[2], said[1]]
        assert await WordIndex(postgres).index([session], ALL) == {session: Indexed(1, 0)}
        # Partitions are made for both from here on.
        assert await log.add_partitions(DAY_MS, 9 * DAY_MS) >= 8
        assert await _spans(postgres, "words") == await _spans(postgres, "events")


async def _spans(postgres: Postgres, table: str) -> list[str]:
    return [
        row[0]
        for row in await postgres.rows(
            "SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = $1::text::regclass ORDER BY 1",
            table,
        )
    ]
