"""Slow readers: some read nothing any more. What do the others notice, and what becomes of those?"""

from collections.abc import Iterable, Sequence
from functools import partial
from time import monotonic_ns, sleep
from typing import Annotated, Final

from msgspec import Meta, Struct, structs

from bench.conductor import Measured, measure
from bench.crew import Crew, crew
from bench.options import Rate, Seconds
from bench.orders import Go
from bench.pace import SECOND, Window
from bench.run import Place, connect_seconds, plans, target
from bench.scenarios import fanout
from bench.tally import Latencies, Percentiles
from bench.target import Target

_CLOSES: Final = 'stagewire_closes_total{code="4001"}'
_LOOK_NS: Final = SECOND // 2


class Options(fanout.Options, frozen=True, kw_only=True):
    """The load of a fan-out, in `rounds` of twice `seconds`: first all read, then `stalled` more do not."""

    rate: Rate = 200
    seconds: Seconds = 20
    stalled: Annotated[int, Meta(ge=1, le=1_000, description="viewers that stop reading")] = 1
    rounds: Annotated[int, Meta(ge=1, le=20, description="measurements without them, and as many with them")] = 2


class Results(Struct, frozen=True, kw_only=True):
    """The figures of the others, over all rounds without (`before`) and with (`beside`) stalled readers.

    `closed_after` is from when readers stop until the server has closed them with 4001, as its metrics say; whoever
    is not closed in a round, the round was too short for what the kernel keeps.
    """

    connections: int
    stalled: int
    deliveries_per_s: float
    before_ms: Percentiles | None
    beside_ms: Percentiles | None
    p99_ratio: float | None
    server_cpu_before_percent: float | None
    server_cpu_beside_percent: float | None
    server_rss_before_mib: float | None
    server_rss_beside_mib: float | None
    closed_with_4001: int
    closed_after_ms: Percentiles | None
    missing: int
    duplicated: int
    out_of_order: int
    not_acked: int
    connections_lost: int


class Round(Struct, frozen=True):
    """One measurement without stalled readers, one with them, and after which times these were closed, in ns."""

    before: Measured
    beside: Measured
    closed_after: list[int]


class _Closes:
    """Watches over a measurement how many readers the server gives up, and when."""

    def __init__(self, server: Target) -> None:
        self.after: list[int] = []
        self._server = server
        self._before = self._count()

    def watch(self, window: Window) -> None:
        """Look about twice a second, until the end of the window."""
        while monotonic_ns() < window.end - _LOOK_NS:
            sleep(_LOOK_NS / SECOND)
            new = self._count() - self._before - len(self.after)
            self.after += [monotonic_ns() - window.start] * new

    def _count(self) -> int:
        return round(self._server.counters().get(_CLOSES, 0))


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    connections = options.viewers + options.stalled
    with target(place, connections) as server:
        sessions = [server.live_session()]
        with crew(plans(server, sessions, divide(options)), within=connect_seconds(connections)) as workers:
            return summarise(options, [_round(options, server, sessions, workers) for _ in range(options.rounds)])


def divide(options: Options) -> list[dict[str, int]]:
    """Divide the clients as for a fan-out; those who stall sit with the first of the crowd."""
    first, *others = fanout.divide(options)
    return [{**first, "stalled": options.stalled}, *others]


def _round(options: Options, server: Target, sessions: list[str], workers: Crew) -> Round:
    before, _ = _measure(options, server, sessions, workers, stall=False)
    beside, closes = _measure(options, server, sessions, workers, stall=True)
    return Round(before, beside, closes.after)


def _measure(
    options: Options, server: Target, sessions: list[str], workers: Crew, *, stall: bool
) -> tuple[Measured, _Closes]:
    closes = _Closes(server)
    # Watched in both: to be asked costs the server something.
    return measure(server, sessions, workers, partial(load, options, stall=stall), closes.watch), closes


def load(options: Options, *, stall: bool) -> Go:
    """Give what the load processes do."""
    return structs.replace(fanout.load(options), stall=stall)


def summarise(options: Options, rounds: Sequence[Round]) -> Results:
    """Compare the rounds without stalled readers and with them."""
    before = [fanout.summarise(options.viewers, each.before) for each in rounds]
    beside = [fanout.summarise(options.viewers, each.beside) for each in rounds]
    before_ms, beside_ms = (_latencies(each) for each in zip(*((r.before, r.beside) for r in rounds), strict=True))
    after = Latencies()
    for late in (late for each in rounds for late in each.closed_after):
        after.record(late)
    last = beside[-1]
    return Results(
        connections=options.viewers,
        stalled=options.stalled,
        deliveries_per_s=sum(each.deliveries_per_s for each in beside) / len(beside),
        before_ms=before_ms,
        beside_ms=beside_ms,
        p99_ratio=beside_ms.p99 / before_ms.p99 if before_ms and beside_ms else None,
        server_cpu_before_percent=_mean(each.server_cpu_percent for each in before),
        server_cpu_beside_percent=_mean(each.server_cpu_percent for each in beside),
        server_rss_before_mib=before[0].server_rss_mib,
        server_rss_beside_mib=last.server_rss_mib,
        closed_with_4001=after.count,
        closed_after_ms=after.percentiles(),
        missing=last.missing,
        duplicated=last.duplicated,
        out_of_order=last.out_of_order,
        not_acked=sum(each.not_acked for each in (*before, *beside)),
        connections_lost=last.connections_lost,
    )


def _latencies(measured: Iterable[Measured]) -> Percentiles | None:
    return Latencies.merged(result.latencies for each in measured for result in each.results).percentiles()


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def broken(results: Results) -> list[str]:
    """Name the promises that were not kept. A p99 is compared by whoever knows how quiet the machine was."""
    return fanout.broken(results)
