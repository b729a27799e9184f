"""The wheel, against a plain table of what is due when."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.wheel import SLACK, Wheel

THINGS = st.integers(0, 9)
SECONDS = st.integers(0, 30)
STEPS = st.lists(
    st.tuples(st.just("put"), THINGS, SECONDS)
    | st.tuples(st.just("remove"), THINGS, SECONDS)
    | st.tuples(st.just("take"), st.integers(1, 4), SECONDS)
)


@given(STEPS)
def test_it_gives_what_is_due_the_earliest_first_and_once(steps: list[tuple[str, int, int]]) -> None:
    wheel, due_at = Wheel[int](), dict[int, int]()
    for what, number, second in steps:
        if what == "put":
            wheel.put(number, second)
            due_at[number] = second
        elif what == "remove":
            wheel.remove(number)
            due_at.pop(number, None)
        else:
            taken = wheel.take(second, number)
            due = [thing for thing in due_at if due_at[thing] <= second]
            assert len(set(taken)) == len(taken) == min(number, len(due))
            assert [due_at[thing] for thing in taken] == sorted(due_at[thing] for thing in due)[:number]
            for thing in taken:
                del due_at[thing]
        assert len(wheel) == len(due_at)


def test_seconds_that_hold_nothing_any_more_are_forgotten() -> None:
    wheel = Wheel[str]()
    for second in range(1000):
        wheel.put("one", second)
        # Also long before they come.
        assert len(wheel._at) == 1
        assert len(wheel._seconds) <= 2 + SLACK
    assert wheel.take(998, 5) == []
    assert wheel.take(999, 5) == ["one"]
    assert wheel.take(2000, 5) == []
    assert (len(wheel), wheel._at, wheel._seconds) == (0, {}, [])
