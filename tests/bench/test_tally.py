import random

from hypothesis import given
from hypothesis import strategies as st

from bench.tally import LONGEST_US, Latencies, Order


def follow(position: int, seqs: list[int]) -> Order:
    order = Order(position)
    for seq in seqs:
        order.take(seq)
    return order


def figures(order: Order, head: int) -> tuple[int, int, int]:
    return order.missing(head), order.duplicated, order.out_of_order


def test_consecutive_seqs_are_in_order() -> None:
    assert figures(follow(40, [41, 42, 43]), 43) == (0, 0, 0)


def test_what_did_not_come_is_missing() -> None:
    assert figures(follow(40, [41, 44]), 46) == (4, 0, 0)
    assert figures(follow(40, []), 40) == (0, 0, 0)


def test_what_came_twice_is_duplicated() -> None:
    assert figures(follow(40, [41, 41, 40, 42]), 42) == (0, 2, 0)


def test_what_came_late_is_out_of_order_and_not_missing() -> None:
    assert figures(follow(0, [1, 4, 2, 3, 2, 5]), 5) == (0, 1, 2)


@given(st.lists(st.integers(1, 30)))
def test_every_arrival_is_accounted_for(seqs: list[int]) -> None:
    order = follow(0, seqs)
    assert order.missing(30) == 30 - len(set(seqs))
    assert order.duplicated == len(seqs) - len(set(seqs))


def test_percentiles_are_in_milliseconds() -> None:
    latencies = Latencies()
    values = list(range(1, 1001))
    random.Random(1).shuffle(values)
    for value in values:
        latencies.record(value * 1_000_000)
    found = latencies.percentiles()
    assert found is not None
    for got, wanted in zip((found.p50, found.p99, found.p999, found.max), (500, 990, 999, 1000), strict=True):
        assert abs(got - wanted) <= wanted / 1000


def test_histograms_of_several_processes_add_up() -> None:
    parts = [Latencies(), Latencies(), Latencies()]
    parts[0].record(1_000_000)
    parts[1].record(9_000_000)
    whole = Latencies.merged(part.encode() for part in parts)
    found = whole.percentiles()
    assert found is not None
    assert whole.count == 2
    assert round(found.p50) == 1
    assert round(found.max) == 9


def test_the_impossible_and_the_endless_are_kept_within_bounds() -> None:
    latencies = Latencies()
    latencies.record(-5)
    latencies.record(10**18)
    found = latencies.percentiles()
    assert found is not None
    assert latencies.count == 2
    assert found.max >= LONGEST_US / 1000


def test_nothing_recorded_has_no_percentiles() -> None:
    assert Latencies().percentiles() is None
