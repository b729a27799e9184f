import pytest

from bench.capacity import (
    GIB,
    MOST_VIEWERS,
    Costs,
    Load,
    Memory,
    Pace,
    appends,
    flush_seconds,
    flushes,
    hints,
    latest,
    least,
    most,
    viewers_per_gib,
    work,
)

TICK = 0.08
PACE = Pace(tick=TICK, append=0.005, lanes=4, fill=20)
COSTS = Costs(
    second=0.005, append=400e-6, message=40e-6, hint=200e-6, heard=10e-6, write=5e-6, delivery=0.2e-6, viewer=1e-6
)


def test_seldom_messages_have_a_flush_each() -> None:
    load = Load(viewers=1000, rate=5)
    assert flushes(load, COSTS, PACE) == 5
    assert flush_seconds(load, COSTS, PACE) == pytest.approx(1000 * 5.2e-6)
    assert latest(load, COSTS, PACE) == pytest.approx(3 * 1000 * 5.2e-6)


def test_a_busy_session_flushes_for_half_of_the_time() -> None:
    load = Load(viewers=1000, rate=1000)
    found = flushes(load, COSTS, PACE)
    # A flush and a wait that is as long make a round.
    assert found * 2 * flush_seconds(load, COSTS, PACE) == pytest.approx(1)
    done = work(load, COSTS, PACE)
    assert done.writes + done.deliveries == pytest.approx(0.5)


def test_a_flush_that_takes_longer_than_the_tick_is_followed_by_a_tick() -> None:
    load = Load(viewers=20_000, rate=50)
    found, took = flushes(load, COSTS, PACE), flush_seconds(load, COSTS, PACE)
    assert took > TICK
    assert found * (took + TICK) == pytest.approx(1)
    assert latest(load, COSTS, PACE) == pytest.approx(2 * took + TICK)
    done = work(load, COSTS, PACE)
    assert done.writes + done.deliveries == pytest.approx(took / (took + TICK))


def test_a_core_that_has_no_time_left_says_so() -> None:
    assert work(Load(viewers=100_000, rate=200), COSTS, PACE).whole > 1


def test_rooms_share_the_rounds() -> None:
    quiet = Load(viewers=10_000, sessions=1000, rate=1)
    assert flushes(quiet, COSTS, PACE) == 1
    busy = Load(viewers=10_000, sessions=1000, rate=100)
    assert flushes(busy, COSTS, PACE) < 20
    assert flush_seconds(quiet, COSTS, PACE) == pytest.approx(10 * 5.2e-6)


def test_work_is_the_sum_of_its_parts() -> None:
    done = work(Load(viewers=100, sessions=10, rate=2, elsewhere=0.75), COSTS, PACE)
    assert done.second == 0.005
    assert done.appends == pytest.approx(5 * 400e-6)
    assert done.messages == pytest.approx(20 * 0.25 * 40e-6)
    assert done.hints == pytest.approx(3 * 5 * 200e-6)
    assert done.heard == pytest.approx(20 * 0.75 * 10e-6)
    assert done.writes == pytest.approx(200 * 5e-6)
    assert done.deliveries == pytest.approx(200 * 0.2e-6)
    assert done.viewers == pytest.approx(100 * 1e-6)
    assert done.whole == pytest.approx(sum(getattr(done, name) for name in done.__struct_fields__))


def test_seldom_messages_have_an_append_each_and_a_lane_has_one_at_a_time() -> None:
    assert appends(Load(viewers=10, rate=50), PACE) == 50
    assert appends(Load(viewers=10, rate=1000), PACE) == pytest.approx(200)
    assert appends(Load(viewers=10, rate=1000, elsewhere=0.9), PACE) == pytest.approx(100)
    # One lane is filled before another is used: 50 messages come in the time of an append.
    assert appends(Load(viewers=10, sessions=1000, rate=10), PACE) == pytest.approx(500)
    assert appends(Load(viewers=10, sessions=1000, rate=100), PACE) == pytest.approx(800)
    assert appends(Load(viewers=5, sessions=0.5, rate=10), PACE) == 5
    assert appends(Load(viewers=10, rate=1000), Pace(tick=TICK, append=0, lanes=4, fill=20)) == 1000


def test_each_append_of_another_node_is_a_hint() -> None:
    assert hints(Load(viewers=10, rate=50), PACE) == 0
    # Four nodes: each appends by itself, and hears of three.
    assert hints(Load(viewers=10, rate=40, elsewhere=0.75), PACE) == pytest.approx(30)
    assert hints(Load(viewers=10, rate=4000, elsewhere=0.75), PACE) == pytest.approx(600)
    # Where all is stored by one other node, there is one.
    assert hints(Load(viewers=10, rate=50, elsewhere=1), PACE) == 50
    assert hints(Load(viewers=10, rate=1000, elsewhere=1), PACE) == pytest.approx(200)


def test_nothing_said_and_nobody_there_is_nothing_written() -> None:
    assert flushes(Load(viewers=10), COSTS, PACE) == 0
    assert flush_seconds(Load(viewers=10), COSTS, PACE) == pytest.approx(10 * 5e-6)
    assert flushes(Load(viewers=0, rate=7), COSTS, PACE) == 7


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


def test_memory_is_for_connections_and_for_what_sessions_keep() -> None:
    memory = Memory(process=64 << 20, viewer=8192, session=10_000, event=350)
    one = viewers_per_gib(memory, 1000, None)
    assert one == (GIB - (64 << 20) - 360_000) // 8192
    rooms = viewers_per_gib(memory, 1000, 10)
    assert rooms == int((GIB - (64 << 20)) / (8192 + 36_000))
    assert viewers_per_gib(Memory(2 * GIB, 1, 1, 1), 1000, 10) == 0
    assert viewers_per_gib(Memory(0, 0, 0, 0), 1000, None) == MOST_VIEWERS
    assert viewers_per_gib(Memory(0, 0, 0, 0), 1000, 10) == MOST_VIEWERS
