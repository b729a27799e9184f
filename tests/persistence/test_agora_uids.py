"""Who has which number at Agora."""

from uuid import uuid4

from persistence.agora_uids import AgoraUids, Holder
from persistence.changes import Changes, Outcome, Update
from persistence.freezes import FrozenUsers
from persistence.postgres import Postgres
from persistence.sessions import Sessions
from tests.support.sessions import move


async def test_numbers_are_found_where_they_were_given_out(postgres: Postgres) -> None:
    sessions, uids = Sessions(postgres), AgoraUids(postgres)
    one, two, empty = [(await sessions.create("alice", "A show")).id for _ in range(3)]
    user = uuid4().hex
    given = {session: await sessions.agora_uid(session, user) for session in (two, one)}
    await sessions.agora_uid(one, "bob")
    assert [await uids.any(session) for session in (one, two, empty, str(uuid4()))] == [True, True, False, False]
    held = {session: Holder(session, user, uid, joins=True, publishes=False) for session, uid in given.items()}
    assert await uids.holders(user) == [held[one], held[two]]
    assert [await uids.holders(user, session) for session in (two, empty)] == [[held[two]], []]
    assert await uids.holder(one, given[one]) == held[one]
    assert await uids.holder(two, given[one]) is None
    await move(postgres, one, 1, "ended", "session.ended")
    assert await uids.holders(user) == [held[two]]
    assert await uids.holder(one, given[one]) is None
    assert await uids.holders(uuid4().hex) == []


async def test_what_somebody_may_do_follows_all_that_counts(postgres: Postgres) -> None:
    sessions, changes, uids = Sessions(postgres), Changes(postgres), AgoraUids(postgres)
    session = (await sessions.create("alice", "A show")).id
    user = uuid4().hex
    numbers = [await sessions.agora_uid(session, who) for who in ("alice", user)]

    async def may() -> tuple[bool, bool]:
        host, other = [await uids.holder(session, uid) for uid in numbers]
        assert host is not None
        assert host.publishes
        assert other is not None
        return other.joins, other.publishes

    assert await may() == (True, False)
    update = Update(session, 1, "alice", "A show", '{"private":true}', '{"private":true}', None)
    assert (await changes.update(update)).outcome is Outcome.NEW
    assert await may() == (False, False)
    assert (await changes.name(session, 2, "alice", user, "moderator", None)).outcome is Outcome.NEW
    assert await may() == (True, False)
    assert (await changes.name(session, 3, "alice", user, "cohost", None)).outcome is Outcome.NEW
    assert await may() == (True, True)
    for frozen, then in ((True, (False, False)), (False, (True, True))):
        await FrozenUsers(postgres).change(user, frozen=frozen, by="root", reason="spam", address="")
        assert await may() == then


async def test_those_of_a_user_are_found_by_an_index(postgres: Postgres) -> None:
    async with postgres.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch("EXPLAIN SELECT FROM agora_uids WHERE member = 'bob'")
    assert "agora_uids_by_member" in str(plan)
