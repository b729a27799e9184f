import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.quality import NOISE_MS, Measured, Quality, Thresholds, measure, spoil, worth_telling

LIMITS = Thresholds(good=150, fair=400)
GOOD, FAIR, POOR = Quality
ROUND_TRIPS = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("rtt", "quality"), [(0, GOOD), (150, GOOD), (151, FAIR), (400, FAIR), (401, POOR), (60_000, POOR)]
)
def test_what_a_round_trip_says(rtt: int, quality: Quality) -> None:
    assert measure(rtt, LIMITS, behind=False) == Measured(quality, rtt)
    assert measure(rtt, LIMITS, behind=True) == Measured(POOR, rtt)


def test_without_an_answer_it_is_poor_and_the_last_round_trip_is_all_that_is_known() -> None:
    assert spoil(None) == Measured(POOR, None)
    assert spoil(Measured(GOOD, 40)) == Measured(POOR, 40)


@pytest.mark.parametrize(
    ("told", "new", "worth"),
    [
        (None, Measured(GOOD, 40), True),
        (None, Measured(POOR), True),
        (Measured(POOR), Measured(POOR), False),
        (Measured(POOR), Measured(POOR, 500), True),
        (Measured(GOOD, 40), Measured(POOR, 40), True),
        (Measured(GOOD, 100), Measured(GOOD, 150), False),
        (Measured(GOOD, 100), Measured(FAIR, 151), True),
        (Measured(GOOD, 40), Measured(GOOD, 61), True),
        (Measured(GOOD, 61), Measured(GOOD, 30), True),
        (Measured(GOOD, 61), Measured(GOOD, 31), False),
        # On a fast network, a millisecond more is twice as much, and nothing to tell.
        (Measured(GOOD, 1), Measured(GOOD, 1 + NOISE_MS), False),
    ],
)
def test_what_is_worth_telling(told: Measured | None, new: Measured, worth: bool) -> None:
    assert worth_telling(told, new) is worth


@given(st.lists(st.tuples(ROUND_TRIPS, st.booleans()), min_size=1))
def test_who_is_told_only_what_is_worth_it_is_never_far_from_the_truth(trips: list[tuple[int, bool]]) -> None:
    told = None
    for rtt, behind in trips:
        new = measure(rtt, LIMITS, behind=behind)
        if worth_telling(told, new):
            told = new
        assert told is not None
        assert told.quality is new.quality
        assert told.rtt is not None
        assert abs(told.rtt - rtt) <= max(told.rtt / 2, NOISE_MS)
