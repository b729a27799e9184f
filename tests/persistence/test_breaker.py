"""The circuit breaker: pure, so every path of it is here."""

from hypothesis import given
from hypothesis import strategies as st

from persistence.breaker import Breaker, State


def opened(limit: int = 3, pause: float = 2.0, now: float = 100.0) -> Breaker:
    """Give a breaker that has just opened."""
    breaker = Breaker(limit, pause)
    assert [breaker.failed(now) for _ in range(limit)] == [False] * (limit - 1) + [True]
    return breaker


def test_it_begins_closed() -> None:
    breaker = Breaker(3, 2.0)
    assert breaker.closed
    assert breaker.state is State.CLOSED
    assert breaker.wait(0.0) == 0.0


def test_failures_in_a_row_open_it() -> None:
    breaker = opened()
    assert not breaker.closed
    assert breaker.state is State.OPEN


def test_an_answer_in_between_begins_the_count_anew() -> None:
    breaker = Breaker(3, 2.0)
    for now in range(10):
        assert not breaker.failed(float(now))
        assert not breaker.failed(float(now))
        breaker.succeeded()
    assert breaker.closed


def test_one_failure_is_enough_where_that_is_the_limit() -> None:
    assert Breaker(1, 2.0).failed(0.0)


def test_the_next_probe_is_due_after_the_pause() -> None:
    breaker = opened(now=100.0)
    assert [breaker.wait(now) for now in (100.0, 100.5, 102.0, 150.0)] == [2.0, 1.5, 0.0, 0.0]


def test_failures_from_before_change_nothing() -> None:
    breaker = opened(now=100.0)
    assert [breaker.failed(101.0) for _ in range(9)] == [False] * 9
    assert breaker.wait(101.0) == 1.0
    breaker.probe()
    assert not breaker.failed(102.0)
    assert breaker.state is State.PROBING


def test_an_answer_from_before_does_not_close_it() -> None:
    breaker = opened()
    breaker.succeeded()
    assert not breaker.closed


def test_nothing_goes_through_while_a_probe_is_on_its_way() -> None:
    breaker = opened(now=100.0)
    breaker.probe()
    assert breaker.state is State.PROBING
    assert not breaker.closed
    assert [breaker.wait(now) for now in (101.0, 150.0)] == [2.0, 2.0]


def test_a_probe_that_goes_well_closes_it_and_the_count_begins_anew() -> None:
    breaker = opened()
    breaker.probe()
    breaker.probed(103.0, well=True)
    assert breaker.closed
    assert [breaker.failed(104.0) for _ in range(3)] == [False, False, True]


def test_a_probe_that_fails_opens_it_for_another_pause() -> None:
    breaker = opened()
    breaker.probe()
    breaker.probed(110.0, well=False)
    assert breaker.state is State.OPEN
    assert breaker.wait(111.0) == 1.0


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
def test_it_opens_exactly_where_the_last_answers_all_failed(answers: list[bool], limit: int) -> None:
    breaker = Breaker(limit, 1.0)
    for place, well in enumerate(answers, 1):
        opens = False
        if well:
            breaker.succeeded()
        else:
            opens = breaker.failed(float(place))
        last = answers[max(0, place - limit) : place]
        assert opens == (len(last) == limit and not any(last))
        if opens:
            break
