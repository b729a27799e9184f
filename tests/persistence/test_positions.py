"""Users' positions on a real Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator
from random import Random

import pytest
import redis as blocking

from persistence.errors import Unavailable
from persistence.positions import Known, Place, Positions
from persistence.redis import Redis, connect
from tests.support.processes import free_port

LONG = 60_000
KEY = "sw:{s}:positions"


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url, connections=4, timeout=2) as made:
        yield made


@pytest.fixture
def positions(client: Redis) -> Positions:
    return Positions(client, LONG)


async def put(positions: Positions, seq: int, epoch: str = "e", silent_ms: int = 0) -> Known | None:
    """Write bob's place, and give what stood there before."""
    [before] = await positions.write("s", [Place("bob", epoch, seq, silent_ms)])
    return before


async def test_nothing_is_known_at_first(positions: Positions) -> None:
    assert await positions.read("s", "bob") is None
    assert await positions.write("s", []) == []
    assert await put(positions, 7) is None
    assert await positions.read("s", "bob") == ("e", 7)
    assert await positions.read("s", "eve") is None
    assert await positions.read("other", "bob") is None


@pytest.mark.parametrize(
    ("writes", "kept"),
    [
        ([("e", 7), ("e", 8)], ("e", 8)),
        ([("e", 7), ("e", 6)], ("e", 7)),
        ([("e", 7), ("e", 0)], ("e", 7)),
        ([("e", 0)], None),
        ([("e", 0), ("e", 1)], ("e", 1)),
        ([("e", 0), ("f", 1)], ("f", 1)),
        ([("e", 7), ("f", 0)], ("e", 7)),
        ([("e", 7), ("f", 3)], ("f", 3)),
        ([("e", 7), ("f", 9), ("f", 2)], ("f", 9)),
        ([("e", 7), ("f", 3), ("e", 1)], ("e", 1)),
        ([("e", 2**53 - 1), ("e", 2**53 - 2)], ("e", 2**53 - 1)),
        ([("with:colons\nand lines", 5), ("with:colons\nand lines", 4)], ("with:colons\nand lines", 5)),
    ],
)
async def test_a_position_only_moves_up_and_another_epoch_replaces_it(
    positions: Positions, writes: list[tuple[str, int]], kept: tuple[str, int] | None
) -> None:
    for epoch, seq in writes:
        await put(positions, seq, epoch)
    assert await positions.read("s", "bob") == kept


async def test_a_write_tells_what_stood_there_before_it(positions: Positions) -> None:
    await positions.write("s", [Place("ann", "e", 3, 0), Place("bob", "e", 4, 0)])
    before = await positions.write("s", [Place("bob", "f", 1, 0), Place("eve", "f", 1, 0), Place("ann", "e", 9, 0)])
    assert [(known.epoch, known.seq) if known else None for known in before] == [("e", 4), None, ("e", 3)]


async def test_silence_is_measured_by_the_servers_clock(positions: Positions) -> None:
    await put(positions, 1, silent_ms=5000)
    began = time.monotonic()
    await asyncio.sleep(0.05)
    known = await put(positions, 2, silent_ms=9000)
    passed = (time.monotonic() - began) * 1000
    assert known is not None
    assert 5000 + 50 <= known.silent_ms <= 5000 + passed + 50
    # Who was heard of last counts, whoever comes later with something older.
    known = await put(positions, 3, silent_ms=0)
    assert known is not None
    assert known.silent_ms < 5000 + passed + 1000
    known = await put(positions, 3, silent_ms=3_600_000)
    assert known is not None
    assert known.silent_ms < 1000
    known = await put(positions, 3)
    assert known is not None
    assert known.silent_ms < 1000


async def test_positions_are_kept_for_their_lifetime_after_the_last_write(client: Redis, positions: Positions) -> None:
    await put(positions, 1)
    assert 0 < await client.pttl(KEY) <= LONG
    await client.pexpire(KEY, 10)
    await put(positions, 2)
    assert await client.pttl(KEY) > LONG / 2
    brief = Positions(client, 30)
    await put(brief, 3)
    await asyncio.sleep(0.06)
    assert await positions.read("s", "bob") is None


async def test_writers_at_once_leave_the_furthest_position(redis_url: str) -> None:
    """Each write sees a position that is no further than its own write leaves it."""
    random = Random(3)

    async def write(own: Positions, seqs: list[int]) -> None:
        furthest = 0
        for seq in seqs:
            known = await put(own, seq)
            assert known is None or known.seq >= furthest
            furthest = max(furthest, seq)

    async with connect(redis_url, connections=4, timeout=2) as one, connect(redis_url, connections=4, timeout=2) as two:
        plans = [random.sample(range(1000), 40) for _ in range(6)]
        writers = [Positions(client, LONG) for client in [one, two] * 3]
        await asyncio.gather(*(write(own, seqs) for own, seqs in zip(writers, plans, strict=True)))
        assert await writers[0].read("s", "bob") == ("e", max(map(max, plans)))


async def test_many_users_in_one_write(positions: Positions) -> None:
    users = [Place(f"user{n}", "e", n, 0) for n in range(500)]
    assert await positions.write("s", users) == [None] * 500
    assert [known.seq for known in await positions.write("s", users) if known] == list(range(500))


async def test_a_script_that_the_server_has_forgotten(redis_url: str, positions: Positions) -> None:
    await put(positions, 1)
    with blocking.Redis.from_url(redis_url) as control:
        control.script_flush()
    await put(positions, 2)
    assert await positions.read("s", "bob") == ("e", 2)


async def test_a_redis_that_cannot_be_reached() -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}", connections=2, timeout=1) as client:
        positions = Positions(client, LONG)
        with pytest.raises(Unavailable):
            await put(positions, 1)
        with pytest.raises(Unavailable):
            await positions.read("s", "bob")
