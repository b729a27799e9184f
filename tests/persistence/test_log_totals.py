import asyncio
from uuid import uuid4

from persistence.log import Entry, Log
from persistence.log_totals import LogsTotalled, LogTotals
from persistence.postgres import Postgres
from tests.persistence.test_retention import World, world
from tests.support.sessions import move

__all__ = ["world"]


async def chat(postgres: Postgres, session: str, *senders: str) -> None:
    await Log(postgres).append([Entry(session, who, uuid4(), "chat.posted", '{"text": "hi"}') for who in senders])


async def kept(postgres: Postgres, session: str) -> int:
    return len(await postgres.rows("SELECT FROM log_totals WHERE session = $1", session))


async def test_a_log_is_counted_once_it_is_closed(postgres: Postgres, session: str) -> None:
    totals = LogsTotalled(postgres)
    await chat(postgres, session, "bob", "ann", "bob")
    edit = Entry(session, "eve", uuid4(), "chat.edited", '{"seq": 2, "text": "ho"}')
    await Log(postgres).append([edit])
    assert await totals.of(session) is None
    assert await kept(postgres, session) == 0
    await move(postgres, session, 1, "ended", "session.ended")
    assert await kept(postgres, session) == 0
    found = await asyncio.gather(*(totals.of(session) for _ in range(4)))
    assert found == [LogTotals(messages=3, chatters=2)] * 4
    assert await kept(postgres, session) == 1
    assert await totals.of(str(uuid4())) is None


async def test_what_a_log_comes_to_outlives_it(world: World) -> None:
    await world.partition(10)
    asked, unasked = await world.session(9.5, 9), await world.session(9.5, 9)
    totals = LogsTotalled(world.postgres)
    await world.postgres.rows("UPDATE events SET sender = 'ann' WHERE session = $1 AND seq = 2", unasked)
    assert await totals.of(asked) == LogTotals(messages=3, chatters=1)
    [span] = await world.drop_all(keep_days=7)
    assert span.dropped
    assert await world.events(unasked) == 0
    assert await totals.of(asked) == LogTotals(messages=3, chatters=1)
    assert await totals.of(unasked) == LogTotals(messages=3, chatters=2)


async def test_a_session_that_was_deleted_keeps_no_partition(world: World) -> None:
    await world.partition(10)
    gone = await world.session(9.5, 9)
    await world.postgres.rows("DELETE FROM sessions WHERE id = $1", gone)
    [span] = await world.drop_all(keep_days=7)
    assert span.dropped
