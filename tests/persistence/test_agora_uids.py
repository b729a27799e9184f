"""Who has which number at Agora."""

from uuid import uuid4

from persistence.agora_uids import AgoraUids
from persistence.postgres import Postgres
from persistence.sessions import Sessions
from tests.support.sessions import move


async def test_numbers_are_found_where_they_were_given_out(postgres: Postgres) -> None:
    sessions, uids = Sessions(postgres), AgoraUids(postgres)
    one, two, empty = [(await sessions.create("alice", "A show")).id for _ in range(3)]
    user = uuid4().hex
    given = {session: await sessions.agora_uid(session, user) for session in (two, one)}
    await sessions.agora_uid(one, "bob")
    assert [await uids.find(session, user) for session in (one, two, empty)] == [given[one], given[two], None]
    assert [await uids.hosts(one, member) for member in ("alice", user)] == [True, False]
    assert [await uids.any(session) for session in (one, two, empty, str(uuid4()))] == [True, True, False, False]
    assert await uids.of_user(user) == sorted(given.items())
    await move(postgres, one, 1, "ended", "session.ended")
    assert await uids.of_user(user) == [(two, given[two])]
    assert await uids.of_user(uuid4().hex) == []


async def test_those_of_a_user_are_found_by_an_index(postgres: Postgres) -> None:
    async with postgres.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch("EXPLAIN SELECT FROM agora_uids WHERE member = 'bob'")
    assert "agora_uids_by_member" in str(plan)
