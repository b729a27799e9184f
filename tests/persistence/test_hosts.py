"""Leases of hosts, and transitions of their sessions at the same moment."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from persistence.postgres import Postgres
from persistence.sessions import Host, Move, Moved, Outcome, Renewed, Sessions
from realtime.domain.session import TIMERS, State
from tests.persistence.conftest import opened, until
from tests.support.sessions import move

LEASE_MS = 60_000
LIMITS = {"grace": 0, "away": 60_000}


@pytest.fixture
async def live(postgres: Postgres) -> Host:
    """Give a host of a live session."""
    sessions = Sessions(postgres, "node", LEASE_MS)
    host = Host((await sessions.create("ann", "A show", LIMITS)).id, "c1", "ann")
    await move(postgres, host.session, 1, "live", "session.started", "ann")
    assert await sessions.claim(host, owner=True) is not None
    return host


@asynccontextmanager
async def locked(postgres: Postgres, table: str, session: str) -> AsyncIterator[None]:
    """Have the rows of a session locked."""
    async with postgres.connection() as connection, connection.transaction():
        await connection.execute(f"SELECT FROM {table} WHERE session = $1 FOR UPDATE", session)
        yield


async def waiting(postgres: Postgres, count: int) -> None:
    """Wait until so many wait for a lock."""

    async def are() -> bool:
        query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return len(await postgres.rows(query)) == count

    await until(are)


async def moved(postgres: Postgres, session: str, to: State, version: int = 2, **more: Any) -> Moved:
    return await Sessions(postgres).move(
        Move(session=session, version=version, to=to, kind=f"session.{to}", by="ann", timers=TIMERS[to], **more)
    )


async def left(postgres: Postgres, session: str) -> list[Any]:
    """Give what is left of a session's hosts and timers."""
    rows = await postgres.rows(
        "SELECT connection FROM hosts WHERE session = $1 UNION ALL SELECT kind FROM timers WHERE session = $1", session
    )
    return [row[0] for row in rows]


def works(sessions: Sessions, host: Host) -> dict[str, Callable[[], Coroutine[Any, Any, Any]]]:
    """Give what may come at the same moment as a transition."""
    return {
        "renew": lambda: sessions.renew([host]),
        "lose": lambda: sessions.lose(host.session, host.connection),
        "video": lambda: sessions.on_video(host.session, there=False),
    }


@pytest.mark.parametrize("what", ["renew", "video"])
async def test_nothing_is_left_by_who_comes_at_the_moment_of_the_end(migrated: str, live: Host, what: str) -> None:
    async with opened(migrated, 5) as postgres:
        sessions = Sessions(postgres, "node", LEASE_MS)
        async with locked(postgres, "timers", live.session):
            ending = asyncio.create_task(moved(postgres, live.session, State.ENDED))
            await waiting(postgres, 1)
            working = asyncio.create_task(works(sessions, Host(live.session, "c0", "ann"))[what]())
            await waiting(postgres, 2)
        assert (await ending).outcome is Outcome.NEW
        await working
        assert await left(postgres, live.session) == []


@pytest.mark.parametrize(("what", "outcome"), [("renew", Outcome.FENCED), ("lose", Outcome.NEW)])
async def test_a_timer_that_misses_a_host_and_the_host_do_not_wait_for_each_other(
    migrated: str, live: Host, what: str, outcome: Outcome
) -> None:
    async with opened(migrated, 5) as postgres:
        # Its node could not renew for a long time; but other nodes were heard of.
        await postgres.rows("UPDATE hosts SET until = until - 600000 WHERE session = $1", live.session)
        await postgres.rows("UPDATE timers SET due = due - 600000 WHERE session = $1", live.session)
        [lost] = [timer for timer in await Sessions(postgres, "node", 10**15).due(10, 1000) if timer.kind == "lost"]
        async with locked(postgres, "hosts", live.session):
            working = asyncio.create_task(works(Sessions(postgres, "node", LEASE_MS), live)[what]())
            await waiting(postgres, 1)
            missing = asyncio.create_task(moved(postgres, live.session, State.INTERRUPTED, timer=lost))
            await waiting(postgres, 2)
        await working
        assert (await missing).outcome is outcome


async def test_whoever_is_no_host_any_more_has_no_lease_to_renew(postgres: Postgres, live: Host) -> None:
    sessions = Sessions(postgres, "node", LEASE_MS)
    carol = Host(live.session, "c2", "carol")
    await postgres.rows("INSERT INTO members VALUES ($1, 'carol', 'cohost')", live.session)
    await sessions.renew([carol])
    assert await left(postgres, live.session) == ["c1", "c2", "lost"]
    await postgres.rows("DELETE FROM members WHERE session = $1", live.session)
    await postgres.rows("DELETE FROM hosts WHERE session = $1", live.session)
    await moved(postgres, live.session, State.INTERRUPTED)
    # Nor does that end an interruption.
    assert await sessions.renew([carol]) == Renewed()
    assert await left(postgres, live.session) == ["away"]
    assert await sessions.renew([carol, live]) == Renewed(interrupted=[live.session])
    await moved(postgres, live.session, State.ENDED, 3)
    assert await sessions.renew([carol, live]) == Renewed(ended=frozenset([live.session]))
    assert await left(postgres, live.session) == []


@pytest.mark.parametrize(
    ("how", "missed"), [({"reason": "host_returned"}, True), ({"term": 1}, True), ({"reason": "over HTTP"}, False)]
)
async def test_a_host_who_is_lost_while_the_session_goes_on_for_that_host_is_missed(
    postgres: Postgres, live: Host, how: dict[str, Any], missed: bool
) -> None:
    sessions = Sessions(postgres, "node", LEASE_MS)
    await postgres.rows("UPDATE sessions SET limits = limits || '{\"grace\": 10000}' WHERE id = $1", live.session)
    await postgres.rows("DELETE FROM hosts WHERE session = $1", live.session)
    await moved(postgres, live.session, State.INTERRUPTED)
    await sessions.claim(live, owner=True)
    await sessions.lose(live.session, live.connection)
    assert (await moved(postgres, live.session, State.LIVE, 3, **how)).outcome is Outcome.NEW
    assert ("lost" in await left(postgres, live.session)) is missed
