from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.course import Course, Span
from realtime.domain.session import State

# States of a session, each with how long it lasts.
LIVES = st.lists(st.tuples(st.sampled_from(State), st.integers(0, 50)), max_size=10)


def lived(life: list[tuple[State, int]], until: int) -> int:
    """Count the milliseconds up to `until` in which a session was live, one by one."""
    moments = [state for state, duration in life for _ in range(duration)]
    # The last state goes on for ever.
    moments += [life[-1][0] if life else State.SCHEDULED] * max(0, until - len(moments))
    return moments[:until].count(State.LIVE)


def course_of(life: list[tuple[State, int]]) -> Course:
    course, at = Course(), 0
    for state, duration in life:
        course.enter(state, at)
        at += duration
    return course


@given(life=LIVES, at=st.integers(0, 600))
def test_the_clock_shows_how_long_the_session_has_been_live(life: list[tuple[State, int]], at: int) -> None:
    assert course_of(life).media_at(at) == lived(life, at)


@given(life=LIVES, later=LIVES, data=st.data())
def test_what_comes_later_changes_nothing_of_what_was(
    life: list[tuple[State, int]], later: list[tuple[State, int]], data: st.DataObject
) -> None:
    end = sum(duration for _, duration in life)
    at = data.draw(st.integers(0, end))
    assert course_of(life).media_at(at) == course_of(life + later).media_at(at)


@given(life=LIVES, at=st.integers(0, 600))
def test_a_course_that_is_read_again_is_the_same(life: list[tuple[State, int]], at: int) -> None:
    course, now = course_of(life), 0
    spans: list[Span] = []
    for state, duration in life:
        if not spans or spans[-1].state != state:
            spans.append(Span(state, now, course.media_at(now)))
        now += duration
    assert Course(spans).media_at(at) == course.media_at(at)
    assert Course(spans).last == course.last or not spans


def test_before_the_beginning_the_clock_stands_at_zero() -> None:
    course = Course([Span("scheduled", 100, 0), Span("live", 200, 0), Span("paused", 250, 50)])
    assert [course.media_at(at) for at in (0, 99, 150, 200, 230, 250, 900)] == [0, 0, 0, 0, 30, 50, 50]


@given(life=LIVES)
def test_what_is_spent_is_without_gaps(life: list[tuple[State, int]]) -> None:
    spent = course_of(life).spent()
    assert all(span.began <= span.ended for span in spent)
    assert all(one.ended == other.began and one.state != other.state for one, other in pairwise(spent))
    last = course_of(life).last
    assert sum(s.ended - s.began for s in spent if s.state == State.LIVE) == last.media_at(last.began)


def test_a_course_without_spans() -> None:
    assert Course().spent() == []
    assert Course().media_at(7) == 0
    assert Course().last.state == "scheduled"
