import asyncio
import json
from collections.abc import Sequence
from functools import reduce
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.agora_notices import AgoraNotices, Seen, Taken
from persistence.postgres import Postgres
from persistence.sessions import Sessions
from realtime.domain.agora import Sighting, latest
from tests.persistence.conftest import opened, prepare
from tests.support.sessions import number_of
from tokens.agora_notices import Event

HOUR_MS = 3_600_000
IDS = count()


def seen(session: str, uid: int, event: Event, seq: int, notice: str | None = None, ts: int = 100) -> Seen:
    """Give a notice, with an id of its own unless one is given."""
    found = Sighting(seq, ts, event)
    return Seen(notice or f"notice:{next(IDS)}", session, uid, seq, ts, event, found.standing)


@pytest.fixture
def notices(postgres: Postgres) -> AgoraNotices:
    return AgoraNotices(postgres)


@pytest.fixture
async def alice(postgres: Postgres, session: str) -> int:
    """Give the number of the host."""
    return await number_of(postgres, session, "alice")


@pytest.fixture
async def bob(postgres: Postgres, session: str) -> int:
    """Give the number of a viewer."""
    return await number_of(postgres, session, "bob")


async def standings(postgres: Postgres, session: str) -> dict[int, str]:
    rows = await postgres.rows("SELECT uid, standing FROM agora_presence WHERE session = $1", session)
    return {row["uid"]: row["standing"] for row in rows}


async def end(postgres: Postgres, session: str) -> None:
    await postgres.rows("UPDATE sessions SET state = 'ended' WHERE id = $1", session)


async def rows_of(postgres: Postgres, table: str) -> int:
    [row] = await postgres.rows(f"SELECT count(*) FROM {table}")
    return int(row[0])


async def take(notices: AgoraNotices, *batch: Seen) -> list[str]:
    return [taken.outcome for taken in await notices.take(batch)]


async def test_a_viewer_comes_and_goes(notices: AgoraNotices, session: str, bob: int) -> None:
    [came] = await notices.take([seen(session, bob, Event.AUDIENCE_JOINED, 1)])
    assert came == Taken("applied", "bob", False, "scheduled", None, "audience")
    [left] = await notices.take([seen(session, bob, Event.AUDIENCE_LEFT, 2)])
    assert left == Taken("applied", "bob", False, "scheduled", "audience", "absent")


async def test_what_is_told_of_a_host_is_for_the_caller_to_confirm(
    notices: AgoraNotices, session: str, alice: int
) -> None:
    joined = seen(session, alice, Event.BROADCASTER_JOINED, 1)
    for outcome in ("applied", "duplicate"):
        [taken] = await notices.take([joined])
        assert taken == Taken(outcome, "alice", True, "scheduled", None, "broadcaster")
    assert await notices.told(session, alice, "broadcaster") == "broadcaster"
    [again] = await notices.take([joined])
    assert (again.told, again.standing) == ("broadcaster", "broadcaster")
    [left] = await notices.take([seen(session, alice, Event.BROADCASTER_LEFT, 2)])
    assert (left.told, left.standing) == ("broadcaster", "absent")
    assert await notices.told(session, alice, "broadcaster") == "absent"


async def test_a_notice_counts_once(notices: AgoraNotices, postgres: Postgres, session: str, bob: int) -> None:
    joined = seen(session, bob, Event.AUDIENCE_JOINED, 1)
    assert await take(notices, joined, joined) == ["applied", "duplicate"]
    assert await take(notices, joined) == ["duplicate"]
    # Another notice of the same event.
    assert await take(notices, seen(session, bob, Event.AUDIENCE_JOINED, 1)) == ["stale"]
    # An id that is known stays what it was, whatever it says now.
    assert await take(notices, seen(session, bob, Event.AUDIENCE_LEFT, 9, joined.id)) == ["duplicate"]
    assert await standings(postgres, session) == {bob: "audience"}


async def test_a_late_notice_overrides_nothing(
    notices: AgoraNotices, postgres: Postgres, session: str, alice: int, bob: int
) -> None:
    batch = [
        seen(session, bob, Event.AUDIENCE_LEFT, 5),
        seen(session, bob, Event.AUDIENCE_JOINED, 4),
        seen(session, alice, Event.BROADCASTER_JOINED, 4),
    ]
    assert await take(notices, *batch) == ["applied", "stale", "applied"]
    assert await take(notices, seen(session, bob, Event.BECAME_BROADCASTER, 3)) == ["stale"]
    assert await standings(postgres, session) == {bob: "absent", alice: "broadcaster"}


async def test_what_is_about_nobody_here_leaves_nothing(
    notices: AgoraNotices, postgres: Postgres, session: str, bob: int
) -> None:
    elsewhere = "01890000-0000-7000-8000-000000000000"
    before = await rows_of(postgres, "agora_notices")
    stranger = bob % 2**32 + 1
    batch = [
        seen(elsewhere, bob, Event.AUDIENCE_JOINED, 1),
        seen(session, stranger, Event.AUDIENCE_JOINED, 1),
        seen(session, 0, Event.AUDIENCE_JOINED, 1),
    ]
    assert await notices.take(batch) == [Taken("ignored", None, None, None, None, None)] * 3
    await end(postgres, session)
    assert await take(notices, seen(session, bob, Event.AUDIENCE_JOINED, 1)) == ["ignored"]
    assert await rows_of(postgres, "agora_notices") == before
    assert await standings(postgres, session) == {}


async def test_numbers_as_large_as_they_come(notices: AgoraNotices, session: str, bob: int) -> None:
    assert await take(notices, seen(session, bob, Event.AUDIENCE_JOINED, 2**63 - 1, ts=2**40)) == ["applied"]


EVENTS = st.tuples(st.sampled_from(["alice", "bob"]), st.sampled_from(Event), st.integers(0, 4), st.integers(0, 2))


@given(st.lists(EVENTS, min_size=1, max_size=12), st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_repetition_and_node_gives_what_the_pure_merge_gives(
    migrated: str, story: list[Any], data: st.DataObject
) -> None:
    told = story + data.draw(st.lists(st.sampled_from(story), max_size=4))
    order = data.draw(st.permutations(range(len(told))))
    cuts = data.draw(st.integers(1, 5))

    async def run() -> None:
        async with opened(migrated) as postgres:
            session = (await Sessions(postgres).create("alice", "A show")).id
            uids = {name: await number_of(postgres, session, name) for name in ("alice", "bob")}
            # The same event again comes as the same notice.
            batch = [
                seen(session, uids[name], event, seq, f"{json.dumps([name, event, seq, ts])}".replace(" ", ""), ts)
                for name, event, seq, ts in (told[n] for n in order)
            ]
            nodes = [AgoraNotices(postgres) for _ in range(cuts)]
            await asyncio.gather(*(node.take(batch[n::cuts]) for n, node in enumerate(nodes) if batch[n::cuts]))
            assert await standings(postgres, session) == expected(story, uids)

    asyncio.run(run())


def expected(story: Sequence[Any], uids: dict[str, int]) -> dict[int, str]:
    """Give what the pure merge makes of a story."""
    found = {}
    for name, uid in uids.items():
        mine = [Sighting(seq, ts, event) for who, event, seq, ts in story if who == name]
        last = reduce(latest, mine, None)
        if last is not None:
            found[uid] = str(last.standing)
    return found


async def test_nodes_that_take_the_same_notices_at_once_take_each_once(
    notices: AgoraNotices, postgres: Postgres, session: str
) -> None:
    uids = [await number_of(postgres, session, f"user{n}") for n in range(20)]
    batch = [seen(session, uid, Event.AUDIENCE_JOINED, 1) for uid in uids]
    nodes = await asyncio.gather(*(take(AgoraNotices(postgres), *(batch[::step] * 2)) for step in (1, -1, 1, -1)))
    outcomes = [outcome for node in nodes for outcome in node]
    assert sorted(outcomes) == ["applied"] * 20 + ["duplicate"] * 140


async def test_what_is_old_is_swept(empty_url: str) -> None:
    await prepare(empty_url)
    async with opened(empty_url) as postgres:
        notices, sessions = AgoraNotices(postgres), Sessions(postgres)
        over, on = [(await sessions.create("alice", "A show")).id for _ in range(2)]
        for session in (over, on):
            uid = await number_of(postgres, session, "bob")
            await notices.take([seen(session, uid, Event.AUDIENCE_JOINED, n) for n in range(3)])
        await end(postgres, over)
        assert await notices.sweep(HOUR_MS, 100) == 1
        assert (await standings(postgres, over), await rows_of(postgres, "agora_notices")) == ({}, 6)
        await postgres.rows("UPDATE agora_notices SET at = at - $1 WHERE session = $2", HOUR_MS, on)
        assert [await notices.sweep(HOUR_MS, 2) for _ in range(3)] == [2, 1, 0]
        assert await rows_of(postgres, "agora_notices") == 3
        assert len(await standings(postgres, on)) == 1
        # With the id gone, the number still tells that it is old.
        uid = await number_of(postgres, on, "bob")
        assert await take(notices, seen(on, uid, Event.AUDIENCE_JOINED, 2)) == ["stale"]


async def test_nothing_is_left_of_a_session_that_is_deleted(
    notices: AgoraNotices, postgres: Postgres, session: str, bob: int
) -> None:
    await notices.take([seen(session, bob, Event.AUDIENCE_JOINED, 1)])
    await postgres.rows("DELETE FROM sessions WHERE id = $1", session)
    assert await standings(postgres, session) == {}
    assert await notices.told(session, bob, "absent") == "absent"


async def test_rows_are_found_by_their_keys_however_many_there_are(migrated: str, session: str) -> None:
    async with opened(migrated, connections=1) as postgres:

        async def scans() -> int:
            await postgres.rows("SELECT pg_stat_force_next_flush()")
            [row] = await postgres.rows(
                "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname ~ '^agora_' OR relname = 'sessions'"
            )
            return int(row[0])

        uid = await number_of(postgres, session, "bob")
        # Of a table that is known to be small, reading all is cheapest; the plan outlives that.
        await postgres.rows("ANALYZE agora_uids, agora_presence, agora_notices, sessions")
        before = await scans()
        for n in range(8):
            await take(AgoraNotices(postgres), seen(session, uid, Event.AUDIENCE_JOINED, n))
        assert await scans() == before
