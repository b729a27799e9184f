import pytest

from bench.capacity import (
    GIB,
    MOST_NODES,
    MOST_VIEWERS,
    Costs,
    Load,
    Memory,
    flush_seconds,
    flushes,
    latest,
    least,
    most,
    viewers_per_gib,
    work,
)

TICK = 0.08
COSTS = Costs(second=0.005, message=40e-6, heard=10e-6, write=5e-6, delivery=0.2e-6, viewer=1e-6)


def test_seldom_messages_have_a_flush_each() -> None:
    load = Load(viewers=1000, rate=5)
    assert flushes(load, COSTS, TICK) == 5
    assert flush_seconds(load, COSTS, TICK) == pytest.approx(1000 * 5.2e-6)
    assert latest(load, COSTS, TICK) == pytest.approx(2 * 1000 * 5.2e-6)


def test_a_busy_session_flushes_for_half_of_the_time() -> None:
    load = Load(viewers=1000, rate=1000)
    found = flushes(load, COSTS, TICK)
    # A flush and a wait that is as long make a round.
    assert found * 2 * flush_seconds(load, COSTS, TICK) == pytest.approx(1)
    done = work(load, COSTS, TICK)
    assert done.writes + done.deliveries == pytest.approx(0.5)


def test_a_flush_that_takes_longer_than_the_tick_is_followed_by_a_tick() -> None:
    load = Load(viewers=20_000, rate=50)
    found, took = flushes(load, COSTS, TICK), flush_seconds(load, COSTS, TICK)
    assert took > TICK
    assert found * (took + TICK) == pytest.approx(1)
    assert latest(load, COSTS, TICK) == pytest.approx(took + TICK)
    done = work(load, COSTS, TICK)
    assert done.writes + done.deliveries == pytest.approx(took / (took + TICK))


def test_a_core_that_has_no_time_left_says_so() -> None:
    assert work(Load(viewers=100_000, rate=200), COSTS, TICK).whole > 1


def test_rooms_share_the_rounds() -> None:
    quiet = Load(viewers=10_000, sessions=1000, rate=1)
    assert flushes(quiet, COSTS, TICK) == 1
    busy = Load(viewers=10_000, sessions=1000, rate=100)
    assert flushes(busy, COSTS, TICK) < 20
    assert flush_seconds(quiet, COSTS, TICK) == pytest.approx(10 * 5.2e-6)


def test_work_is_the_sum_of_its_parts() -> None:
    done = work(Load(viewers=100, sessions=10, rate=2, elsewhere=0.75), COSTS, TICK)
    assert done.second == 0.005
    assert done.messages == pytest.approx(20 * 0.25 * 40e-6)
    assert done.heard == pytest.approx(20 * 0.75 * 10e-6)
    assert done.writes == pytest.approx(200 * 5e-6)
    assert done.deliveries == pytest.approx(200 * 0.2e-6)
    assert done.viewers == pytest.approx(100 * 1e-6)
    assert done.whole == pytest.approx(sum(getattr(done, name) for name in done.__struct_fields__))


def test_nothing_said_and_nobody_there_is_nothing_written() -> None:
    assert flushes(Load(viewers=10), COSTS, TICK) == 0
    assert flush_seconds(Load(viewers=10), COSTS, TICK) == pytest.approx(10 * 5e-6)
    assert flushes(Load(viewers=0, rate=7), COSTS, TICK) == 7


@pytest.mark.parametrize("answer", [0, 1, 7, 99, 100])
def test_the_most_that_fits_is_found(answer: int) -> None:
    assert most(lambda number: number <= answer, 100) == answer


@pytest.mark.parametrize("answer", [1, 2, 50, 100])
def test_the_least_that_fits_is_found(answer: int) -> None:
    assert least(lambda number: number >= answer, 100) == answer


def test_there_may_be_none_and_there_may_be_no_end() -> None:
    assert least(lambda _: False) is None
    assert least(lambda _: True) == 1
    assert most(lambda _: True) == MOST_VIEWERS
    assert MOST_NODES > 1


def test_memory_is_for_connections_and_for_what_sessions_keep() -> None:
    memory = Memory(process=64 << 20, viewer=8192, session=10_000, event=350)
    one = viewers_per_gib(memory, 1000, None)
    assert one == (GIB - (64 << 20) - 360_000) // 8192
    rooms = viewers_per_gib(memory, 1000, 10)
    assert rooms == int((GIB - (64 << 20)) / (8192 + 36_000))
    assert viewers_per_gib(Memory(2 * GIB, 1, 1, 1), 1000, 10) == 0
    assert viewers_per_gib(Memory(0, 0, 0, 0), 1000, None) == MOST_VIEWERS
