from pathlib import Path

from msgspec import Struct

from bench import plots
from bench.plots import Bars, Lines
from bench.tally import Percentiles


class Results(Struct, frozen=True):
    connections: int
    latency_ms: Percentiles | None
    ack_ms: Percentiles | None


def test_percentiles_of_results_are_plotted() -> None:
    (bars,) = plots.latencies_of(Results(5, Percentiles(1, 2, 3, 4), None))
    assert bars == Bars(
        "Latencies", "ms", ["latency"], {"p50": [1], "p99": [2], "p999": [3], "max": [4]}, logarithmic=True
    )
    assert plots.latencies_of(Results(5, None, None)) == []


def test_plots_are_pictures(tmp_path: Path) -> None:
    bars = Bars("A", "ms", ["x", "y"], {"p50": [1.0, None], "p99": [2.0, 3.0]}, logarithmic=True)
    alone = Bars("B", "µs", ["x"], {"cpu": [1.0]})
    lines = Lines("C", "messages/s", "µs", {"x": [(1, 2), (10, 1)]})
    over_time = Lines("D", "s", "MiB", {"x": [(1, 2), (2, 0)]}, logarithmic=False)
    fitted = Lines("E", "viewers", "%", {"curve": [(1, 2), (2, 3)]}, dots={"seen": [(1, 2.5)]})
    made: list[plots.Plot] = [bars, alone, lines, over_time, fitted]
    for number, plot in enumerate(made):
        path = tmp_path / f"{number}.png"
        plots.draw(plot, path)
        assert path.read_bytes().startswith(b"\x89PNG")
