import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.codes import Close
from stagewire_client.policy import (
    SENTENCES,
    End,
    Reason,
    State,
    Status,
    Verdict,
    after,
    delay_of,
    reason_of,
    status_of,
    verdict_of,
)
from stagewire_client.settings import Settings

SETTINGS = Settings()
CODES = st.integers(1000, 4999)
RANDOMS = st.floats(0, 1)


@pytest.mark.parametrize(("attempt", "bound"), [(0, 0.5), (1, 1), (2, 2), (5, 16), (6, 20), (7, 20), (10**9, 20)])
def test_the_bound_of_the_delay_doubles_from_half_a_second_to_twenty(attempt: int, bound: float) -> None:
    assert delay_of(attempt, 1.0, SETTINGS) == bound
    assert delay_of(attempt, 0.5, SETTINGS) == bound / 2
    assert delay_of(attempt, 0.0, SETTINGS) == 0


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (1000, Verdict.RESUME),
        (1006, Verdict.RESUME),
        (4000, Verdict.RESUME),
        (4299, Verdict.RESUME),
        (4300, Verdict.REFRESH),
        (4399, Verdict.REFRESH),
        (4400, Verdict.FINAL),
        (4999, Verdict.FINAL),
    ],
)
def test_the_range_of_a_close_code_says_what_to_do(code: int, verdict: Verdict) -> None:
    assert verdict_of(code) is verdict


@pytest.mark.parametrize("close", [close for close in Close if close >= Close.DRAIN])
def test_no_code_of_the_server_is_taken_for_a_lost_connection(close: Close) -> None:
    assert reason_of(close, was_online=True) is not Reason.LOST


@pytest.mark.parametrize(
    ("code", "was_online", "reason"),
    [
        (1006, True, Reason.LOST),
        (1006, False, Reason.UNREACHABLE),
        (4123, True, Reason.LOST),
        (1002, True, Reason.PROTOCOL),
        (4413, True, Reason.PROTOCOL),
        (4500, True, Reason.PROTOCOL),
    ],
)
def test_other_codes_are_told_by_their_range(code: int, was_online: bool, reason: Reason) -> None:
    assert reason_of(code, was_online=was_online) is reason


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)
    assert Status(state=State.FAILED, reason=Reason.FROZEN).sentence == "You have been kept out."


@given(CODES, st.integers(0, 50), RANDOMS, st.floats(0, 100))
def test_whatever_ends_not_for_good_is_tried_again_within_bounds(
    code: int, attempts: int, random: float, asked: float
) -> None:
    step = after(End(code=code, retry_after=asked), attempts, random, SETTINGS)
    resumes = code == 4429 and asked > 0
    assert (step.delay is None) == (code >= 4400 and not resumes)
    assert step.stale == (code >= 4300 and not resumes)
    assert step.attempts == attempts + 1
    if step.delay is not None:
        assert asked <= step.delay <= max(asked, 20.0)


def test_a_connection_that_held_begins_with_a_short_delay_again() -> None:
    assert after(End(online=10.0), 6, 1.0, SETTINGS).delay == 0.5
    assert after(End(online=9.9), 6, 1.0, SETTINGS).delay == 20.0


def test_who_was_told_when_to_come_back_does_so_at_once() -> None:
    assert after(End(code=4000, drained=True, online=1.0), 3, 1.0, SETTINGS).delay == 0
    assert after(End(code=4000, online=1.0), 3, 1.0, SETTINGS).delay == 4.0
    # A server that has died instead has shed all of its clients at once.
    assert after(End(code=1006, drained=True, online=1.0), 3, 1.0, SETTINGS).delay == 4.0


def test_who_came_too_often_comes_back_when_it_was_told_to() -> None:
    step = after(End(code=4429, retry_after=2.5), 0, 1.0, SETTINGS)
    assert (step.reason, step.delay, step.stale) == (Reason.FLOOD, 2.5, False)
    assert after(End(code=4429, online=5.0), 0, 1.0, SETTINGS).delay is None


def test_a_reason_that_is_known_better_is_told() -> None:
    step = after(End(reason=Reason.TOKEN, final=True), 0, 1.0, SETTINGS)
    assert (step.reason, step.delay) == (Reason.TOKEN, None)


def test_a_failure_that_lasts_is_told() -> None:
    steps = [after(End(), attempts, 1.0, SETTINGS) for attempts in range(5)]
    assert [status_of(step, None, 0, SETTINGS).lasting for step in steps] == [False, False, False, True, True]
    assert [status_of(steps[0], None, away, SETTINGS).lasting for away in (9.9, 10)] == [False, True]
    status = status_of(steps[0], 1006, 0, SETTINGS)
    assert (status.state, status.retry_in, status.close_code, status.online) == (State.OFFLINE, 0.5, 1006, False)
    final = status_of(after(End(code=4403), 0, 1.0, SETTINGS), 4403, 0, SETTINGS)
    assert (final.state, final.reason, final.lasting) == (State.FAILED, Reason.FROZEN, True)


def test_a_degraded_connection_is_online() -> None:
    assert Status(state=State.DEGRADED).online
    assert Status(state=State.ONLINE).online
    assert not Status(state=State.CONNECTING).online
