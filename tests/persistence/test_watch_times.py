"""Watch times in Postgres: what nodes say of the same time is counted once."""

import asyncio
import time
from uuid import uuid4

import pytest

from persistence.postgres import Postgres
from persistence.watch_times import Peak, Totals, Watched, WatchTimes


def watched(session: str, member: str, began: int, ended: int, played: int | None = None) -> Watched:
    """Give that a user watched from so many milliseconds ago to so many."""
    return Watched(session, member, began, ended, began, ended, began - ended if played is None else played)


@pytest.fixture
def times(postgres: Postgres) -> WatchTimes:
    return WatchTimes(postgres)


@pytest.fixture
def session() -> str:
    return str(uuid4())


async def row(postgres: Postgres, session: str, member: str) -> tuple[int, int, int, int]:
    """Give how long ago the user came and went, milliseconds watched, and how long ago that ended."""
    found = await postgres.row(
        "SELECT now_ms() - first_at, now_ms() - last_at, watched_ms, now_ms() - watched_until"
        " FROM watch_times WHERE session = $1::uuid AND member = $2",
        session,
        member,
    )
    assert found is not None
    return tuple(found)


async def test_a_session_of_which_nothing_is_known(times: WatchTimes, session: str) -> None:
    assert await times.of(session) == Totals(0, 0, 0, None)
    await times.add([])
    await times.add_peaks([])


async def test_who_only_joined_counts_as_one_who_was_there(times: WatchTimes, postgres: Postgres, session: str) -> None:
    await times.add([Watched(session, "bob", 9000, 4000, 9000, 9000, 0)])
    assert await times.of(session) == Totals(1, 0)
    first, last, played, _ = await row(postgres, session, "bob")
    assert (9000 <= first < 10_000, 4000 <= last < 5000, played) == (True, True, 0)
    await times.add([watched(session, "bob", 3000, 1000)])
    assert await times.of(session) == Totals(1, 2000)
    first, last, _, ended = await row(postgres, session, "bob")
    assert (9000 <= first < 10_000, 1000 <= last < 2000, 1000 <= ended < 2000) == (True, True, True)


async def test_sessions_and_users_are_apart(times: WatchTimes, session: str) -> None:
    other = str(uuid4())
    await times.add(
        [watched(session, "bob", 3000, 1000), watched(other, "bob", 500, 0), watched(session, "eve", 90, 0)]
    )
    assert (await times.of(session), await times.of(other)) == (Totals(2, 2090), Totals(1, 500))


async def test_the_same_again_changes_nothing(times: WatchTimes, session: str) -> None:
    await times.add([watched(session, "bob", 5000, 2000)])
    # It was written a moment later: as much earlier it seems to have been, which the clipping leaves.
    await times.add([watched(session, "bob", 5000, 2000)])
    assert 3000 <= (await times.of(session)).watched_ms < 3100


async def test_beats_add_up(times: WatchTimes, session: str) -> None:
    began = last = time.monotonic()
    waited = 0.0
    for _ in range(5):
        await asyncio.sleep(0.02)
        now = time.monotonic()
        await times.add([watched(session, "bob", round((now - last) * 1000), 0)])
        waited += time.monotonic() - now
        last = now
    total = (last - began) * 1000
    # Where one was on its way for longer than the next, that one begins before its end.
    assert total - waited * 1000 - 5 <= (await times.of(session)).watched_ms <= total + 5


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param((8000, 2000), 6000, id="the same"),
        pytest.param((9000, 6000), 6000, id="before the end of the other"),
        pytest.param((7000, 1000), 7000, id="overlapping"),
        pytest.param((2000, 500), 7500, id="right after"),
        pytest.param((1500, 500), 7000, id="later"),
        pytest.param((5000, 4000), 6000, id="inside"),
    ],
)
async def test_two_devices_at_a_time_count_once(
    times: WatchTimes, session: str, second: tuple[int, int], expected: int
) -> None:
    await times.add([watched(session, "bob", 8000, 2000)])
    await times.add([watched(session, "bob", *second)])
    assert (await times.of(session)).watched_ms == pytest.approx(expected, abs=100)


async def test_pauses_in_a_stretch_are_not_added(times: WatchTimes, session: str) -> None:
    await times.add([watched(session, "bob", 9000, 4000, played=2000)])
    await times.add([watched(session, "bob", 4000, 1000, played=1000)])
    assert (await times.of(session)).watched_ms == 3000


async def test_who_watched_before_and_was_seen_since_keeps_the_time(times: WatchTimes, session: str) -> None:
    await times.add([watched(session, "bob", 9000, 4000)])
    await times.add([Watched(session, "bob", 3000, 1000, 3000, 3000, 0)])
    # Another node, late with what it saw at the same time as the first.
    await times.add([watched(session, "bob", 8000, 5000)])
    assert await times.of(session) == Totals(1, 5000)


async def test_nodes_that_write_the_same_users_at_once_wait_for_each_other(times: WatchTimes, session: str) -> None:
    there = [watched(session, f"u{n}", 1000, 0) for n in range(500)]
    writes = [times.add(there if n % 2 else there[::-1]) for n in range(8)]
    async with asyncio.timeout(20):
        await asyncio.gather(*writes)
    totals = await times.of(session)
    assert totals.users == 500
    assert totals.watched_ms >= 500 * 1000


async def test_the_greatest_peak_stays_with_its_time(times: WatchTimes, postgres: Postgres, session: str) -> None:
    for users, age in ((5, 9000), (7, 6000), (7, 3000), (6, 0)):
        await times.add_peaks([Peak(session, users, age), Peak(str(uuid4()), 99, 0)])
    totals = await times.of(session)
    now = await postgres.row("SELECT now_ms()")
    assert now is not None
    assert totals.peak == 7
    assert totals.peak_at is not None
    assert 6000 <= now[0] - totals.peak_at < 7000
