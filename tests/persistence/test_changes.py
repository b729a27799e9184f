"""Changes of a session besides its state: each an event, of a version, and once for each key."""

import asyncio
import json
from uuid import uuid4

import pytest

from persistence.changes import Changed, Changes, Outcome, Update
from persistence.errors import Rejected
from persistence.log import Entry, Log
from persistence.postgres import Postgres
from persistence.sessions import Moved, Session, Sessions
from tests.persistence.conftest import opened
from tests.support.sessions import move, try_to_move


async def found(postgres: Postgres, session: str) -> Session:
    stored = await Sessions(postgres).get(session)
    assert stored is not None
    return stored


async def test_an_update_is_stored_and_told(postgres: Postgres, session: str) -> None:
    told = await Changes(postgres).update(
        Update(session, 1, "alice", "Other", '{"chat": "nobody"}', '{"title": "Other"}')
    )
    assert (told.outcome, told.event is not None) == (Outcome.NEW, True)
    assert told.event is not None
    assert (told.event.seq, told.event.kind, told.event.sender) == (2, "session.updated", "alice")
    assert json.loads(told.event.body) == {"state": "scheduled", "version": 2, "changes": {"title": "Other"}}
    stored = await found(postgres, session)
    assert (stored.title, json.loads(stored.settings), stored.version) == ("Other", {"chat": "nobody"}, 2)
    assert (stored.head.seq, stored.head.epoch) == (2, told.epoch)
    assert await Log(postgres).after(session, 1, 10) == [told.event]


async def test_a_session_is_created_with_settings(postgres: Postgres) -> None:
    made = await Sessions(postgres).create("alice", "A show", settings='{"private": true}')
    assert json.loads(made.settings) == {"private": True}
    assert json.loads((await Sessions(postgres).create("alice", "A show")).settings) == {}


async def test_a_key_creates_one_session(migrated: str) -> None:
    key, limits = uuid4(), {"grace": 0}
    async with opened(migrated) as one, opened(migrated) as two:

        async def create(pool: Postgres, title: str, settings: str) -> Session:
            return await Sessions(pool).create("alice", title, limits, (), key, settings)

        made = await asyncio.gather(*(create(pool, "A show", '{"links": false}') for pool in [one, two] * 4))
        assert len({session.id for session in made}) == 1
        session = made[0].id
        # What was set since then is no reason to doubt it.
        await Changes(one).update(Update(session, 1, "alice", "Other", '{"links": true}', "{}"))
        assert (await create(two, "A show", '{"links": false}')).title == "Other"
        for title, settings in (("Other", '{"links": true}'), ("A show", "{}"), ("Another", '{"links": false}')):
            with pytest.raises(Rejected):
                await create(two, title, settings)
        assert json.loads((await found(one, session)).settings) == {"links": True}


async def test_members_are_named_and_named_again(postgres: Postgres, session: str) -> None:
    changes = Changes(postgres)
    for version, (user, role, members) in enumerate(
        [
            ("bob", "cohost", {"bob": "cohost"}),
            ("eve", "moderator", {"bob": "cohost", "eve": "moderator"}),
            ("bob", "moderator", {"bob": "moderator", "eve": "moderator"}),
            ("bob", "viewer", {"eve": "moderator"}),
            ("zoe", "viewer", {"eve": "moderator"}),
        ],
        1,
    ):
        told = await changes.name(session, version, "alice", user, role)
        assert told.event is not None
        body = {"state": "scheduled", "version": version + 1, "user": user, "role": role}
        assert (told.event.kind, json.loads(told.event.body)) == ("session.role", body)
        assert (await found(postgres, session)).members == members


async def test_another_version_changes_nothing(postgres: Postgres, session: str) -> None:
    before = await found(postgres, session)
    for version in (0, 2):
        assert (
            await Changes(postgres).update(Update(session, version, "alice", "x", "{}", "{}"))
        ).outcome is Outcome.STALE
        assert (await Changes(postgres).name(session, version, "alice", "bob", "cohost")).outcome is Outcome.STALE
    assert await found(postgres, session) == before


async def test_a_key_is_known(postgres: Postgres, session: str) -> None:
    changes, key = Changes(postgres), uuid4()
    first = await changes.update(Update(session, 1, "alice", "x", "{}", '{"chat": "all", "title": "x"}', key))
    again = await changes.update(Update(session, 1, "alice", "x", "{}", '{"title": "x", "chat": "all"}', key))
    assert (again.outcome, again.event) == (Outcome.REPEAT, first.event)
    for other in ('{"title": "x"}', '{"title": "x", "chat": "all", "links": true}', '{"title": "y", "chat": "all"}'):
        assert (await changes.update(Update(session, 2, "alice", "x", "{}", other, key))).outcome is Outcome.CONFLICT
    assert (await changes.name(session, 2, "alice", "bob", "cohost", key)).outcome is Outcome.CONFLICT
    # Another user's key is another one; and the chat's keys are of the same kind.
    assert (await changes.name(session, 2, "root", "bob", "cohost", key)).outcome is Outcome.NEW
    said = Entry(session, "alice", uuid4(), "chat.posted", "{}")
    await Log(postgres).append([said])
    assert (await changes.name(session, 3, "alice", "bob", "cohost", said.key)).outcome is Outcome.CONFLICT
    [answer] = await Log(postgres).append([Entry(session, "alice", key, "chat.posted", "{}")])
    assert answer.outcome.value == "conflict"


async def test_nothing_is_changed_after_the_end_but_known(postgres: Postgres, session: str) -> None:
    changes, key = Changes(postgres), uuid4()
    first = await changes.name(session, 1, "alice", "bob", "cohost", key)
    await move(postgres, session, 2, "ended", "session.ended")
    before = await found(postgres, session)
    assert (await changes.update(Update(session, 3, "alice", "x", "{}", "{}"))).outcome is Outcome.CLOSED
    assert (await changes.name(session, 3, "alice", "eve", "cohost")).outcome is Outcome.CLOSED
    assert (await changes.name(session, 3, "alice", "bob", "cohost", key)).event == first.event
    assert await found(postgres, session) == before


async def test_a_session_that_does_not_exist(postgres: Postgres) -> None:
    nowhere = str(uuid4())
    assert (await Changes(postgres).update(Update(nowhere, 1, "alice", "x", "{}", "{}"))).outcome is Outcome.MISSING
    assert (await Changes(postgres).name(nowhere, 1, "alice", "bob", "cohost", uuid4())).outcome is Outcome.MISSING


async def test_what_postgres_cannot_hold(postgres: Postgres, session: str) -> None:
    for bad in ('{"a": "\\u0000"}', '{"a": "\\ud800"}', "{"):
        with pytest.raises(Rejected):
            await Changes(postgres).update(Update(session, 1, "alice", "x", bad, "{}"))
    with pytest.raises(Rejected):
        await Changes(postgres).name(session, 1, "alice", "bob", "host")
    assert (await found(postgres, session)).version == 1


async def test_of_many_who_change_a_version_one_does(migrated: str, session: str) -> None:
    async with opened(migrated) as one, opened(migrated) as two:
        told: list[Changed | Moved] = await asyncio.gather(
            *(
                Changes(pool).update(Update(session, 1, f"user{n}", "x", "{}", "{}"))
                for n, pool in enumerate([one, two] * 4)
            ),
            *(Changes(pool).name(session, 1, f"user{n}", "bob", "cohost") for n, pool in enumerate([one, two] * 4)),
            try_to_move(one, session, 1, "live", "session.started"),
        )
        assert [one.outcome.value for one in told].count("new") == 1
        assert ((await found(one, session)).version, (await found(one, session)).head.seq) == (2, 2)


async def test_of_the_same_key_at_once_one_is_new(migrated: str, session: str) -> None:
    key = uuid4()
    async with opened(migrated) as one, opened(migrated) as two:
        told = await asyncio.gather(
            *(
                Changes(pool).update(Update(session, 1, "alice", "x", "{}", '{"title": "x"}', key))
                for pool in [one, two] * 4
            )
        )
        assert sorted(one.outcome for one in told) == ["new", *["repeat"] * 7]
        assert len({one.event for one in told}) == 1
