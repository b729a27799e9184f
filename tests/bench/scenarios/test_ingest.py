import pytest

from bench.looks import Look
from bench.pace import Flight, Schedule
from bench.scenarios import ingest
from bench.scenarios.ingest import Options, Wrote
from tests.bench.seen import measured, result, sent


def test_it_goes_as_fast_as_it_is_answered_unless_there_is_a_rate() -> None:
    closed = ingest.load(Options(flight=7)).acts["chat"]
    assert isinstance(closed, Flight)
    assert closed.size == 7
    opened = ingest.load(Options(rate=100, seconds=2, warmup=1)).acts["chat"]
    assert isinstance(opened, Schedule)
    assert (opened.rate, opened.count) == (100, 300)


def test_the_mean_batch_is_of_the_measurement() -> None:
    before = Look(0, {"stagewire_batch_events_sum": 100.0, "stagewire_batch_events_count": 50.0})
    after = Look(1, {**before.counters, "stagewire_batch_events_sum": 300.0, "stagewire_batch_events_count": 55.0})
    assert ingest.written(before, after) == Wrote(40, None)
    assert ingest.written(before, Look(1, {**before.counters, "stagewire_words_behind": 7.0})) == Wrote(0, 7)


def test_acks_of_the_window_are_compared_with_what_the_database_can_do() -> None:
    seen = measured(result(), messages=900, acts={"chat": sent(5, acked=900, in_window=600)})
    results = ingest.summarise(Options(sessions=8, seconds=2), seen, Wrote(40, 7), 600)
    assert results.acked_per_s == 300
    assert results.ratio_to_asyncpg == 0.5
    assert (results.batch, results.words_behind) == (40, 7)
    assert results.server_cpu_per_message_us is None
    assert results.ack_ms is not None
    assert results.ack_ms.p50 == pytest.approx(5, rel=0.01)
    assert ingest.summarise(Options(), seen, Wrote(40, None), None).ratio_to_asyncpg is None
