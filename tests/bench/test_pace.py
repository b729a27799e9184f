from hypothesis import given
from hypothesis import strategies as st

from bench.pace import SECOND, Flight, Schedule, Window, shares

schedules = st.builds(
    Schedule,
    start=st.integers(0, 10**18),
    rate=st.integers(1, 100_000),
    count=st.integers(0, 10_000_000),
)


def test_messages_are_due_at_even_steps() -> None:
    schedule = Schedule(start=5 * SECOND, rate=4, count=100)
    assert [schedule.due(n) for n in (0, 1, 4)] == [5 * SECOND, 5 * SECOND + SECOND // 4, 6 * SECOND]


def test_a_late_sender_finds_all_that_should_have_been_sent() -> None:
    schedule = Schedule(start=0, rate=1000, count=500)
    assert schedule.reached(-1) == 0
    assert schedule.reached(0) == 1
    assert schedule.reached(100 * SECOND // 1000) == 101
    assert schedule.reached(3600 * SECOND) == 500


@given(schedules, st.integers(0, 10_000_000))
def test_a_message_is_reached_when_it_is_due_and_not_before(schedule: Schedule, number: int) -> None:
    due = schedule.due(number)
    assert schedule.reached(due + 1) >= min(number + 1, schedule.count)
    assert schedule.reached(due - 1) <= number


def test_a_period_may_be_longer_than_a_second() -> None:
    schedule = Schedule(start=0, rate=3, count=10, period=60 * SECOND)
    assert [schedule.due(n) for n in (0, 1, 3)] == [0, 20 * SECOND, 60 * SECOND]
    assert [schedule.reached(at) for at in (0, 20 * SECOND - 1, 20 * SECOND)] == [1, 1, 2]


def test_a_closed_loop_keeps_so_many_on_their_way() -> None:
    flight = Flight(start=10, end=20, size=5)
    assert [flight.free(now, pending=2) for now in (9, 10, 19, 20)] == [0, 3, 3, 0]
    assert [flight.free(15, pending) for pending in (0, 5, 6)] == [5, 0, 0]


def test_a_window_has_its_start_and_not_its_end() -> None:
    window = Window(10, 20)
    assert [time in window for time in (9, 10, 19, 20)] == [False, True, True, False]


@given(st.integers(0, 10_000), st.integers(1, 64))
def test_shares_are_even_and_whole(total: int, parts: int) -> None:
    divided = shares(total, parts)
    assert sum(divided) == total
    assert len(divided) == parts
    assert max(divided) - min(divided) <= 1
