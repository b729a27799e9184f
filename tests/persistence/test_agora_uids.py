"""Who has which number at Agora."""

import asyncio
from uuid import uuid4

import pytest

from persistence.agora_uids import AgoraUids, Holder
from persistence.changes import Changes, Outcome, Update
from persistence.errors import Rejected
from persistence.freezes import FrozenUsers
from persistence.postgres import Postgres
from persistence.sessions import Sessions
from tests.persistence.conftest import opened
from tests.support.sessions import move, number_of


async def test_numbers_are_found_where_they_were_given_out(postgres: Postgres) -> None:
    sessions, uids = Sessions(postgres), AgoraUids(postgres)
    one, two, empty = [(await sessions.create("alice", "A show")).id for _ in range(3)]
    user = uuid4().hex
    given = {session: await number_of(postgres, session, user) for session in (two, one)}
    await number_of(postgres, one, "bob")
    assert [await uids.any(session) for session in (one, two, empty, str(uuid4()))] == [True, True, False, False]
    held = {session: Holder(session, uid, joins=True, publishes=False) for session, uid in given.items()}
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
    numbers = [await number_of(postgres, session, who) for who in ("alice", user)]

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


async def test_agora_knows_each_user_by_one_number(migrated: str, session: str) -> None:
    users = [f"user{n}" for n in range(12)]
    async with opened(migrated) as one, opened(migrated) as two:
        calls = [(user, pool) for user in users for pool in (one, two, one, two)]
        given = await asyncio.gather(*(number_of(pool, session, user) for user, pool in calls))
        uids: dict[str, set[int]] = {user: set() for user in users}
        for (user, _), uid in zip(calls, given, strict=True):
            uids[user].add(uid)
        assert all(len(of_one) == 1 for of_one in uids.values())
        assert len(set(given)) == len(users)
        assert all(1 <= uid <= 2**32 - 1 for uid in given)
        for user in users:
            assert {await number_of(two, session, user)} == uids[user]


async def test_two_nodes_draw_numbers_for_a_crowd_at_once(migrated: str, session: str) -> None:
    crowd = sorted((session, f"fan{n}") for n in range(400))
    async with opened(migrated) as one, opened(migrated) as two:
        first, second = await asyncio.gather(*(AgoraUids(pool).give(crowd) for pool in (one, two)))
        assert first == second
        assert len(set(first)) == 400
        assert await AgoraUids(one).give(crowd[::-1]) == first[::-1]


async def test_a_number_that_is_taken_is_drawn_again(postgres: Postgres, session: str) -> None:
    async with postgres.connection() as connection:
        given = []
        for user in ("alice", "bob", "eve"):
            # The same seed draws the same number first.
            await connection.execute("SELECT setseed(0.5)")
            given.append(await connection.fetchval("SELECT agora_uid($1, $2)", session, user))
    assert len(set(given)) == 3


@pytest.mark.parametrize("uid", [0, -1, 2**32])
async def test_no_other_number_is_kept(postgres: Postgres, session: str, uid: int) -> None:
    # To Agora, 0 is anyone.
    with pytest.raises(Rejected, match="agora_uids_uid_check"):
        await postgres.rows("INSERT INTO agora_uids VALUES ($1, 'alice', $2)", session, uid)


async def test_another_session_may_use_the_same_number(postgres: Postgres, session: str) -> None:
    other = (await Sessions(postgres).create("alice", "Another")).id
    async with postgres.connection() as connection:
        given = []
        for where in (session, other):
            await connection.execute("SELECT setseed(0.25)")
            given.append(await connection.fetchval("SELECT agora_uid($1, 'bob')", where))
    assert given[0] == given[1]


async def test_nobody_has_a_number_in_a_session_that_does_not_exist(postgres: Postgres) -> None:
    with pytest.raises(Rejected):
        await number_of(postgres, str(uuid4()), "bob")
