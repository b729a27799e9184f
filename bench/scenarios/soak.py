"""Soak: a show that goes on for hours. Do memory, open files and the event loop's lag stay where they are?"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from bench.errors import BenchError
from bench.machine import Usage, cpu_share, usage
from bench.pace import SECOND, Window
from bench.plots import Lines, Plot
from bench.progress import sleep_until
from bench.run import Place, target
from bench.scenarios import mixed
from bench.tables import Cell, Quantity, Table, table_of
from bench.target import Target
from bench.trend import Trend, trend

# Memories that fill up, and then stay full, do so in this time: the ring of a session, say.
SETTLING_SECONDS: Final = 300
# Of a run that is shorter, the first part.
_SETTLING_PART: Final = 1 / 3
MOST_GROWTH_PERCENT: Final = 5.0
_LAG: Final = "stagewire_loop_lag_seconds"


class Options(mixed.Options, frozen=True, kw_only=True):
    """The load: the show of `mixed`, with a look at the server every so many seconds."""

    seconds: Annotated[int, Meta(ge=2, le=86_400, description="seconds that are measured")] = 1800
    every: Annotated[int, Meta(ge=1, le=600, description="seconds between looks at the server")] = 10


class Look(Struct, frozen=True):
    """The server at a moment: seconds since the beginning, and what it takes.

    The lag is the mean since the look before, of how late the event loop ran a timer.
    """

    at_s: float
    rss_mib: float
    pss_mib: float
    files: int
    lag_ms: float
    cpu_percent: float


class Reading(Struct, frozen=True):
    """What a process has taken so far, its open files, and its event loop's lag: a sum of seconds, and of what."""

    used: Usage
    files: int
    lag: float
    lags: float


class Results(Struct, frozen=True, kw_only=True):
    """The figures: how each of memory, open files and lag went after the settling, and what the show came to."""

    settled_after_s: float
    rss: Trend | None
    pss: Trend | None
    files: Trend | None
    lag: Trend | None
    cpu: Trend | None
    show: mixed.Results
    looks: list[Look]


class _Watch:
    """Looks at the server again and again."""

    def __init__(self, options: Options, server: Target, pid: int) -> None:
        self.looks: list[Look] = []
        self._every = options.every * SECOND
        self._server = server
        self._pid = pid

    def watch(self, window: Window) -> None:
        """Look, until the window's end."""
        before = self._read()
        for moment in range(window.start + self._every, window.end, self._every):
            sleep_until(moment, "soaking")
            now = self._read()
            self.looks.append(look(window.start, before, now))
            before = now

    def _read(self) -> Reading:
        used, counters = usage(self._pid), self._server.counters()
        files = len(list(Path(f"/proc/{self._pid}/fd").iterdir()))
        return Reading(used, files, counters[f"{_LAG}_sum"], counters[f"{_LAG}_count"])


def look(start: int, before: Reading, now: Reading) -> Look:
    """Compare two readings; `start` is the beginning, in nanoseconds."""
    return Look(
        at_s=(now.used.at - start) / SECOND,
        rss_mib=now.used.rss / 1024,
        pss_mib=now.used.pss / 1024,
        files=now.files,
        lag_ms=1000 * (now.lag - before.lag) / max(1, now.lags - before.lags),
        cpu_percent=100 * cpu_share(before.used, now.used),
    )


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    with target(place, options.viewers) as server:
        if server.pid is None:
            raise BenchError("soak watches the server's process: name it with --pid")
        watch = _Watch(options, server, server.pid)
        return summarise(options, watch.looks, mixed.summarise(options, *mixed.show(options, server, watch.watch)))


def summarise(options: Options, looks: list[Look], show: mixed.Results) -> Results:
    """Follow each figure from when things have settled."""
    settled = min(SETTLING_SECONDS, options.seconds * _SETTLING_PART)

    def follow(value: Callable[[Look], float]) -> Trend | None:
        return trend([(each.at_s, value(each)) for each in looks], settled)

    return Results(
        settled_after_s=settled,
        rss=follow(lambda each: each.rss_mib),
        pss=follow(lambda each: each.pss_mib),
        files=follow(lambda each: each.files),
        lag=follow(lambda each: each.lag_ms),
        cpu=follow(lambda each: each.cpu_percent),
        show=show,
        looks=looks,
    )


def tables(results: Results) -> list[Table]:
    """Give what went how, and then the show."""
    units = {"rss": "MiB", "pss": "MiB", "files": "", "lag": "ms", "cpu": "%"}
    rows = [_row(name, getattr(results, name), unit) for name, unit in units.items()]
    told = f"after {results.settled_after_s:.0f} s"
    return [Table(("", "at first", "at last", "change", "per hour"), rows, told), table_of(results.show)]


def _row(name: str, found: Trend | None, unit: str) -> tuple[Cell, ...]:
    if found is None:
        return (name, *(Quantity(None),) * 4)
    per_hour = Quantity(found.per_hour, unit)
    return name, Quantity(found.first, unit), Quantity(found.last, unit), Quantity(found.percent, "%"), per_hour


def plots(results: Results) -> list[Plot]:
    """Give memory, and what else is followed, by the time."""
    memory = {"RSS": [(each.at_s, each.rss_mib) for each in results.looks]}
    others = {
        "open files": [(each.at_s, float(each.files)) for each in results.looks],
        "lag, µs": [(each.at_s, each.lag_ms * 1000) for each in results.looks],
        "CPU, % of a core": [(each.at_s, each.cpu_percent) for each in results.looks],
    }
    return [
        Lines("Memory of the server", "seconds", "MiB", memory, logarithmic=False),
        Lines("Open files, lag and CPU of the server", "seconds", "", others, logarithmic=False),
    ]


def broken(results: Results) -> list[str]:
    """Name the promises that were not kept. A run that is too short to settle promises nothing of memory."""
    found = mixed.broken(results.show)
    rss = results.rss
    if rss is not None and results.settled_after_s >= SETTLING_SECONDS and rss.percent > MOST_GROWTH_PERCENT:
        found.append(f"memory grew by {rss.percent:.1f} %, {MOST_GROWTH_PERCENT:g} % promised")
    return found
