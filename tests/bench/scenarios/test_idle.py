from msgspec import structs

from bench.machine import Usage
from bench.pace import SECOND
from bench.scenarios import idle
from bench.scenarios.idle import Rest


def test_growth_is_what_the_connections_cost() -> None:
    before = Rest(Usage(0, 1.0, 1, 1), Usage(10 * SECOND, 1.01, 60 * 1024, 50 * 1024))
    after = Rest(Usage(20 * SECOND, 2.0, 1, 1), Usage(30 * SECOND, 2.04, 70 * 1024, 55 * 1024))
    results = idle.summarise(1024, before, after, 0)
    assert results.server_rss_before_mib == 60
    assert results.server_rss_mib == 70
    assert results.server_rss_growth_mib == 10
    assert results.server_rss_per_connection_kib == 10
    assert results.server_pss_growth_mib == 5
    assert [round(share, 3) for share in (results.server_cpu_before_percent, results.server_cpu_percent)] == [0.1, 0.4]
    assert idle.broken(results) == []
    assert idle.broken(structs.replace(results, connections_lost=2)) == ["2 connections lost"]
