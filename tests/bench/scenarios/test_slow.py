import pytest

from bench.pace import SECOND
from bench.scenarios import slow
from bench.scenarios.slow import Options, Round
from tests.bench.seen import measured, result, sent


def test_those_who_stall_come_on_top() -> None:
    parts = slow.divide(Options(viewers=1000, rate=200, processes=2, stalled=3))
    assert parts == [
        {"viewers": 480, "stalled": 3},
        {"viewers": 480},
        {"senders": 20, "samples": 20, "size": 100},
    ]


def test_nobody_stalls_in_the_rounds_before() -> None:
    options = Options(rate=10, seconds=3, warmup=1)
    assert [slow.load(options, stall=stall).stall for stall in (False, True)] == [False, True]


def test_the_rounds_with_stalled_readers_are_compared_with_those_without() -> None:
    before = measured(result(deliveries=100, late_ms=(10, 10)), acts={"chat": sent(unanswered=1)})
    beside = measured(result(deliveries=100, late_ms=(12, 12), missing=2), acts={"chat": sent()})
    rounds = [Round(before, beside, [9 * SECOND]), Round(before, beside, [11 * SECOND])]
    results = slow.summarise(Options(viewers=10), rounds)
    assert results.deliveries_per_s == 50
    assert results.p99_ratio == pytest.approx(1.2, abs=0.01)
    assert results.closed_with_4001 == 2
    assert results.closed_after_ms is not None
    assert results.closed_after_ms.max == pytest.approx(11_000, rel=0.001)
    assert results.server_cpu_beside_percent is None
    assert slow.broken(results) == ["2 deliveries missing", "2 messages without an answer"]


def test_without_samples_nothing_is_compared() -> None:
    silent = measured(result(late_ms=()))
    results = slow.summarise(Options(viewers=10), [Round(silent, silent, [])])
    assert (results.p99_ratio, results.closed_after_ms) == (None, None)
