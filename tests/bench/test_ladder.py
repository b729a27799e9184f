import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bench.ladder import ATTEMPTS, PRECISION, Ladder, strain
from bench.scenarios.fanout import Results
from bench.tally import Percentiles
from tests.bench.samples import FIGURES


def climb(ladder: Ladder, limit: int) -> list[int]:
    tried = []
    while rate := ladder.next():
        tried.append(rate)
        ladder.take(rate, rate <= limit)
    return tried


def test_rates_double_and_then_close_in() -> None:
    ladder = Ladder(100, 10_000)
    assert climb(ladder, 450) == [100, 200, 400, 800, 800, 600, 600, 500, 500, 450, 475, 475]
    assert ladder.best == 450


def test_what_fails_once_may_be_the_neighbours() -> None:
    ladder = Ladder(100, 300)
    for rate, sustained in ((100, True), (200, False), (200, True), (300, True)):
        assert ladder.next() == rate
        ladder.take(rate, sustained)
    assert (ladder.next(), ladder.best) == (None, 300)


def test_nothing_may_be_sustained_at_all() -> None:
    ladder = Ladder(4, 100)
    assert climb(ladder, 0) == [4, 4, 2, 2, 1, 1]
    assert ladder.best == 0


@given(st.integers(1, 1000), st.integers(0, 20_000))
def test_the_answer_is_near_the_limit(first: int, limit: int) -> None:
    ladder = Ladder(first, 10_000)
    tried = climb(ladder, limit)
    assert ladder.best <= limit
    assert ladder.best == 10_000 or limit - ladder.best <= max(1, PRECISION * ladder.best)
    assert max(tried.count(rate) for rate in tried) <= ATTEMPTS


LATE = Percentiles(10, 51, 60, 70)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (FIGURES, ""),
        (structs.replace(FIGURES, lateness_of_senders_ms=None), ""),
        (structs.replace(FIGURES, missing=2, refused=1), "3 deliveries or messages that went wrong and 0 lost"),
        (structs.replace(FIGURES, connections_lost=1), "0 deliveries or messages that went wrong and 1 lost"),
        (structs.replace(FIGURES, lateness_of_senders_ms=LATE), "senders that were late: p99 51 ms"),
        (structs.replace(FIGURES, latency_ms=None), "nothing that was timed"),
        (structs.replace(FIGURES, latency_ms=Percentiles(1, 201, 202, 203)), "a p99 of 201 ms"),
    ],
)
def test_why_a_load_is_not_sustained(found: Results, why: str) -> None:
    said = strain(found, 200)
    assert said.startswith(why)
    assert bool(said) == bool(why)
