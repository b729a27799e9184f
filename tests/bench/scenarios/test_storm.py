import pytest

from bench.looks import Look
from bench.machine import Usage
from bench.orders import Back
from bench.pace import SECOND
from bench.scenarios import storm
from bench.scenarios.storm import Options
from tests.bench.seen import latencies, measured, result, sent


def look(at: int, uses: float, appends: float = 0, memory: float = 0) -> Look:
    counters = {
        "stagewire_postgres_pool_wait_seconds_count": uses,
        "stagewire_commit_seconds_count": appends,
        'stagewire_joins_total{source="memory"}': memory,
    }
    return Look(at * SECOND, counters)


class Looks(storm.Looks):
    """Looks at no server."""

    def __init__(
        self, calm: Look, before: Look, after: Look, back: int | None = None, settled: Look | None = None
    ) -> None:
        self.calm, self.before, self.after, self.back = calm, before, after, back
        self.settled = settled or after


def test_everybody_but_the_senders_is_cut() -> None:
    assert storm.divide(Options(viewers=1000, processes=2)) == [
        {"viewers": 490},
        {"viewers": 490},
        {"senders": 2, "samples": 18, "size": 100},
    ]
    go = storm.load(Options(spread=500, seconds=9))
    assert go.storm is not None
    assert (go.storm.at, go.storm.until, go.storm.cut, go.storm.spread) == (
        go.window.start + SECOND // 2,
        go.window.end,
        True,
        500_000_000,
    )


def test_what_the_beats_and_the_appends_use_is_not_charged_to_the_storm() -> None:
    # 2 uses a second in the calm, besides the appends.
    calm, before = look(0, 100, appends=50), look(5, 130, appends=70)
    assert storm.uses_of_storm(Looks(calm, before, look(15, 170, appends=90))) == 0
    assert storm.uses_of_storm(Looks(calm, before, look(15, 180, appends=90))) == 10


def test_nor_is_the_time_that_the_calm_takes() -> None:
    # A tenth of a core in the calm, and two seconds more for a thousand who come back.
    before, settled, after = (
        Look(at * SECOND, {}, Usage(at * SECOND, cpu, 0, 0)) for at, cpu in ((0, 5.0), (10, 8.0), (15, 8.5))
    )
    assert storm.cpu_of_resume(Looks(before, before, after, settled=settled), 1000) == pytest.approx(2000)
    assert storm.cpu_of_resume(Looks(before, look(0, 0), after, settled=settled), 1000) is None


def test_after_a_kill_the_counters_begin_anew() -> None:
    calm, before = look(0, 1000), look(5, 1010)
    assert storm.uses_of_storm(Looks(calm, before, look(15, 25), back=1)) == 5
    # Also where the new server has counted more than the old one.
    assert storm.uses_of_storm(Looks(calm, before, look(15, 1035), back=1)) == 1015


def test_a_storm_adds_up() -> None:
    back = Back(took=latencies(100, 200), in_vain=4)
    seen = measured(result(resets=1, lost=1), messages=10, acts={"chat": sent(acked=12)}, back=back)
    looks = Looks(look(0, 0), look(5, 10), look(15, 40, memory=2))
    results = storm.summarise(Options(), seen, looks)
    assert (results.resumed, results.attempts_in_vain, results.resumed_from_memory) == (2, 4, 2)
    assert results.resumed_ms is not None
    assert results.resumed_ms.max == pytest.approx(200, rel=0.01)
    assert results.postgres_uses_per_resume == 5
    assert results.server_back_ms is None
    assert storm.broken(results) == [
        "1 connections lost",
        "1 had to begin anew",
        "2 acked messages lost",
    ]


def test_a_killed_server_took_its_time() -> None:
    back = Back(took=latencies(100), in_vain=0)
    looks = Looks(look(0, 0), look(5, 10, memory=50), look(15, 40, memory=3), back=1_500_000_000)
    results = storm.summarise(Options(kill=True), measured(result(), back=back), looks)
    assert (results.server_back_ms, results.resumed_from_memory) == (1500, 3)
