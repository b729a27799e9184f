"""What a thousand idle viewers cost: a promise to operators, so it is kept in the suite."""

from pathlib import Path

import msgspec

from bench.__main__ import main


def test_a_thousand_idle_viewers_cost_twelve_mebibytes_and_no_cpu(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    assert main(["idle", "--viewers=1000", "--seconds=3", "--settle=1", "--json", str(path)]) == 0
    results = msgspec.json.decode(path.read_bytes())["results"]
    assert results["connections"] == 1000
    assert 1 < results["server_rss_growth_mib"] <= 12
    # Of one core; a server that nobody talks to takes as much.
    assert results["server_cpu_percent"] - results["server_cpu_before_percent"] < 3
