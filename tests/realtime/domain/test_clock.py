from hypothesis import assume, given
from hypothesis import strategies as st

from realtime.domain.clock import Absence, Offset, age_of, better, from_hello, from_pong

TIMES = st.integers(0, 2**41)
SKEWS = st.integers(-(10**9), 10**9)


@given(TIMES, SKEWS, st.integers(0, 60_000), st.integers(0, 60_000))
def test_a_round_trip_measures_a_clock_to_half_of_it(pinged: int, skew: int, there: int, back: int) -> None:
    """The client's clock is `skew` behind; the ping travels `there`, the pong `back`."""
    offset = from_pong(pinged, pinged + there - skew, pinged + there + back)
    assert abs(offset.ms - skew) <= offset.error + 1


@given(TIMES, SKEWS, st.integers(0, 5_000))
def test_a_hello_measures_a_clock_to_the_time_it_travelled(sent: int, skew: int, there: int) -> None:
    offset = from_hello(sent - skew, sent + there)
    assert abs(offset.ms - skew) <= offset.error


def test_the_better_estimate_is_kept_until_it_has_drifted() -> None:
    quick, slow = from_pong(1_000, 0, 1_010), from_pong(2_000, 0, 2_400)
    assert better(None, slow) == slow
    assert better(slow, quick) == quick
    assert better(quick, slow) == quick
    much_later = Offset(0, 200.0, at=2_000 + 3_000_000)
    assert better(quick, much_later) == much_later


def test_only_who_was_away_writes_into_the_past() -> None:
    exact, away = Offset(0, 0.0, 0), Absence(lost=100, back=200)
    assert age_of(150, exact, away, 210) == 60
    assert age_of(150, exact, None, 210) == 0
    assert age_of(150, None, away, 210) == 0
    assert age_of(None, exact, away, 210) == 0
    assert age_of(205, exact, away, 210) == 0
    assert age_of(50, exact, away, 210) == 110


@given(TIMES, SKEWS, TIMES, TIMES, TIMES)
def test_an_offline_message_belongs_within_the_absence(sent_at: int, skew: int, lost: int, back: int, now: int) -> None:
    assume(lost <= back <= now)
    at = now - age_of(sent_at, Offset(skew, 0.0, 0), Absence(lost, back), now)
    assert lost <= at <= now
    assert at == now or at <= back
