import pytest
from msgspec import structs

from bench.machine import Usage
from bench.pace import SECOND
from bench.scenarios import mixed, soak
from bench.scenarios.soak import Look, Options, Reading
from tests.bench.seen import measured, result

SHOW = mixed.summarise(mixed.Options(), measured(result()), "live")


def looks(seconds: int, growth: float) -> list[Look]:
    return [Look(float(at), 100 + growth * at / seconds, 50, 120, 1.5, 10) for at in range(0, seconds, 10)]


def test_a_look_compares_two_readings() -> None:
    before = Reading(Usage(10 * SECOND, 1.0, 2048, 1024), 100, 1.0, 100)
    now = Reading(Usage(20 * SECOND, 2.0, 4096, 2048), 101, 1.02, 110)
    found = soak.look(0, before, now)
    assert (found.at_s, found.rss_mib, found.pss_mib, found.files, found.cpu_percent) == (20, 4, 2, 101, 10)
    assert found.lag_ms == pytest.approx(2)


def test_memory_counts_from_when_it_has_settled() -> None:
    results = soak.summarise(Options(seconds=3600), looks(3600, 12), SHOW)
    assert results.settled_after_s == 300
    assert results.rss is not None
    assert results.rss.per_hour == pytest.approx(12)
    assert soak.broken(results) == ["memory grew by 9.8 %, 5 % promised"]
    assert soak.broken(soak.summarise(Options(seconds=3600), looks(3600, 1), SHOW)) == []


def test_a_short_run_promises_nothing() -> None:
    results = soak.summarise(Options(seconds=60), looks(60, 50), SHOW)
    assert results.settled_after_s == 20
    assert soak.broken(results) == []
    assert soak.broken(soak.summarise(Options(seconds=60), [], SHOW)) == []


def test_it_is_told_in_two_tables_and_two_plots() -> None:
    results = soak.summarise(Options(seconds=600), looks(600, 6), SHOW)
    followed, show = soak.tables(structs.replace(results, lag=None))
    assert [row[0] for row in followed.rows] == ["rss", "pss", "files", "lag", "cpu"]
    assert show.rows
    assert len(soak.plots(results)) == 2
