"""Who may come to private sessions, and who has asked to."""

import asyncio
import json
from uuid import uuid4

import pytest

from persistence.changes import Outcome
from persistence.guests import Guests
from persistence.listing import Listing, Wanted
from persistence.log import Entry, Log
from persistence.postgres import Postgres
from persistence.sessions import Sessions
from tests.persistence.conftest import opened
from tests.support.sessions import move

MANY = 100


async def private(postgres: Postgres) -> str:
    return (await Sessions(postgres).create("alice", "A show", settings='{"private": true}')).id


async def test_guests_are_let_in_and_not_any_more(postgres: Postgres) -> None:
    session, guests, sessions = await private(postgres), Guests(postgres), Sessions(postgres)
    first = await guests.change(session, "alice", ["bob", "eve", "bob"], ["zoe"], MANY)
    assert (sorted(first.allowed), first.removed, first.asked) == (["bob", "eve"], [], [])
    assert first.told.event is not None
    assert (first.told.outcome, first.told.event.seq, first.told.event.kind) == (Outcome.NEW, 2, "session.guests")
    body = json.loads(first.told.event.body)
    assert (sorted(body["allowed"]), body["removed"], body["version"]) == (["bob", "eve"], [], 2)
    assert await sessions.allowed(session) == {"bob", "eve"}
    second = await guests.change(session, "alice", ["bob", "joe"], ["eve"], MANY)
    assert (second.allowed, second.removed) == (["joe"], ["eve"])
    assert await sessions.allowed(session) == {"bob", "joe"}
    same = await guests.change(session, "alice", ["bob"], ["eve"], MANY)
    assert (same.told.outcome, same.told.event, same.allowed, same.removed) == (Outcome.SAME, None, [], [])
    stored = await sessions.get(session)
    assert stored is not None
    assert (stored.version, stored.head.seq) == (3, 3)


async def test_only_so_many_are_let_in(postgres: Postgres) -> None:
    session, guests = await private(postgres), Guests(postgres)
    await guests.change(session, "alice", ["a", "b"], [], 2)
    assert (await guests.change(session, "alice", ["c"], [], 2)).told.outcome is Outcome.FULL
    assert (await guests.change(session, "alice", ["c"], ["a"], 2)).told.outcome is Outcome.NEW
    # Who is there already, or goes, is never too many.
    assert (await guests.change(session, "alice", ["b", "c"], [], 1)).told.outcome is Outcome.SAME
    assert (await guests.change(session, "alice", [], ["b"], 0)).told.outcome is Outcome.NEW
    assert await Sessions(postgres).allowed(session) == {"c"}


async def test_who_asks_waits_for_an_answer(postgres: Postgres) -> None:
    session, guests = await private(postgres), Guests(postgres)
    asked = await guests.ask(session, "bob", 2)
    assert asked is not None
    assert (asked.user, asked.standing) == ("bob", "asked")
    assert await guests.ask(session, "bob", 2) == asked == await guests.find(session, "bob")
    assert await guests.ask(session, "eve", 2) is not None
    assert await guests.ask(session, "zoe", 2) is None
    assert await guests.ask(session, "bob", 2) == asked
    await guests.decline(session, "eve")
    declined = await guests.find(session, "eve")
    assert declined is not None
    assert declined.standing == "declined"
    assert await guests.ask(session, "eve", 2) == declined
    changed = await guests.change(session, "alice", ["bob", "eve", "joe"], [], MANY)
    assert (changed.asked, sorted(changed.allowed)) == (["bob"], ["bob", "eve", "joe"])
    # Declined is only who asks.
    await guests.decline(session, "bob")
    assert (await guests.find(session, "bob") or asked).standing == "allowed"
    await guests.change(session, "alice", [], ["bob"], MANY)
    assert await guests.find(session, "bob") is None


async def test_whom_a_session_is_there_for(postgres: Postgres, session: str) -> None:
    guests = Guests(postgres)
    hidden = await private(postgres)
    await guests.change(hidden, "alice", ["bob"], [], MANY)
    await guests.ask(hidden, "eve", MANY)
    async with postgres.connection() as connection:
        await connection.execute("INSERT INTO members VALUES ($1, 'carl', 'cohost')", hidden)
    for user, admitted in {"alice": True, "bob": True, "carl": True, "eve": False, "zoe": False}.items():
        assert await guests.admits(hidden, user) is admitted
        assert await guests.admits(session, user) is True
        listed = [one.id for one in await Listing(postgres).find(Wanted(states=["scheduled"], viewer=user), 200)]
        assert (hidden in listed, session in listed) == (admitted, True)
    assert hidden in [one.id for one in await Listing(postgres).find(Wanted(states=["scheduled"]), 200)]
    assert await guests.admits(str(uuid4()), "alice") is False


async def test_writers_are_those_for_whom_it_still_is_there(postgres: Postgres) -> None:
    session, guests, log = await private(postgres), Guests(postgres), Log(postgres)
    key = uuid4()
    await log.append([Entry(session, user, key, "chat.posted", "{}") for user in ("bob", "eve")])
    await guests.change(session, "alice", ["eve"], [], MANY)
    assert await log.writers(session, ["bob", "eve", "zoe"]) == {"eve"}
    assert await log.knows(session, "bob", key)
    assert not await log.knows(session, "bob", uuid4())
    assert not await log.knows(session, "zoe", key)


async def test_pages_of_guests(postgres: Postgres) -> None:
    session, guests = await private(postgres), Guests(postgres)
    await guests.change(session, "alice", ["b", "d", "a"], [], MANY)
    await guests.ask(session, "c", MANY)

    async def names(standing: str | None, after: str, limit: int) -> list[str]:
        return [guest.user for guest in await guests.page(session, standing, after, limit)]

    assert await names(None, "", 10) == ["a", "b", "c", "d"]
    assert await names(None, "b", 1) == ["c"]
    assert await names("allowed", "a", 10) == ["b", "d"]
    assert await names("declined", "", 10) == []


@pytest.mark.parametrize("state", ["missing", "closed"])
async def test_nothing_is_changed_without_an_open_session(postgres: Postgres, session: str, state: str) -> None:
    where = session if state == "closed" else str(uuid4())
    await move(postgres, session, 1, "ended", "session.ended")
    assert (await Guests(postgres).change(where, "alice", ["bob"], [], MANY)).told.outcome == state
    assert await Sessions(postgres).allowed(where) == set()


async def test_all_that_happens_at_once_comes_one_after_the_other(migrated: str) -> None:
    """Messages, moves, guests and requests take their locks in one order: none waits for another in a circle."""
    async with opened(migrated) as one, opened(migrated) as two:
        session = await private(one)
        users = [f"u{n}" for n in range(8)]
        for _ in range(5):
            await asyncio.gather(
                *(Guests(pool).change(session, "alice", users, [], MANY) for pool in (one, two)),
                *(Guests(pool).change(session, "alice", [], users[::-1], MANY) for pool in (one, two)),
                *(Guests(pool).ask(session, user, MANY) for user in users for pool in (one, two)),
                *(Log(pool).append([Entry(session, "bob", uuid4(), "chat.posted", "{}")]) for pool in (one, two)),
            )
        events = await Log(one).after(session, 0, 1000)
        stored = await Sessions(one).get(session)
        assert stored is not None
        assert [event.seq for event in events] == list(range(1, stored.head.seq + 1))
        allowed: set[str] = set()
        for event in events:
            if event.kind == "session.guests":
                body = json.loads(event.body)
                allowed = (allowed | set(body["allowed"])) - set(body["removed"])
        assert allowed == await Sessions(two).allowed(session)
