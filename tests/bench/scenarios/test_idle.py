from bench.machine import Usage
from bench.scenarios import idle


def test_growth_is_what_the_connections_cost() -> None:
    before, after = Usage(0, 0, 60 * 1024, 50 * 1024), Usage(0, 0, 70 * 1024, 55 * 1024)
    results = idle.summarise(1024, (before, 0.001), (after, 0.004))
    assert results.server_rss_before_mib == 60
    assert results.server_rss_mib == 70
    assert results.server_rss_growth_mib == 10
    assert results.server_rss_per_connection_kib == 10
    assert results.server_pss_growth_mib == 5
    assert (results.server_cpu_before_percent, results.server_cpu_percent) == (0.1, 0.4)
    assert idle.broken(results) == []
