"""Storm: everybody loses the server at once, and comes back with a position. How soon, how completely, at what cost?"""

import time
from functools import partial
from typing import Annotated, Final

from msgspec import Meta, Struct, structs

from bench.conductor import Measured, Timetable, measure
from bench.crew import crew
from bench.errors import BenchError
from bench.looks import Look
from bench.options import MOST_VIEWERS, Processes, Size
from bench.orders import Go, Storm
from bench.pace import SECOND, Window, shares
from bench.progress import sleep_until
from bench.run import Place, connect_seconds, plans, target
from bench.scenarios import fanout
from bench.tables import counted
from bench.tally import Latencies, Percentiles
from bench.target import Target

_SENDERS: Final = 2
_SAMPLES: Final = 18
_MS: Final = 1_000_000
# The loss comes so much after the beginning of the window: what the look there takes is not part of it.
_LOOKING_NS: Final = SECOND // 2
# Each use of a connection to Postgres waits for one, if only for no time; each append is one of them.
_USES: Final = "stagewire_postgres_pool_wait_seconds_count"
_APPENDS: Final = "stagewire_commit_seconds_count"
_JOINS: Final = 'stagewire_joins_total{source="%s"}'


class Options(Struct, frozen=True, kw_only=True):
    """The load: `viewers` of one session who lose the server, while `rate` messages/s go on as well as they can."""

    viewers: Annotated[int, Meta(ge=20, le=MOST_VIEWERS, description="connections that join the session")] = 1000
    rate: Annotated[int, Meta(ge=1, le=1_000, description="messages per second")] = 2
    seconds: Annotated[int, Meta(ge=2, le=600, description="seconds that are measured")] = 15
    warmup: Annotated[int, Meta(ge=1, le=60, description="seconds of load before the loss")] = 3
    spread: Annotated[int, Meta(ge=0, le=60_000, description="ms over which clients spread their first attempt")] = 1000
    kill: Annotated[bool, Meta(description="kill the server and start it again; else sockets are cut")] = False
    processes: Processes = 1
    size: Size = 100


class Results(Struct, frozen=True, kw_only=True):
    """The figures. Times are from the loss on, in milliseconds; after a kill, the server took `server_back` of it.

    `postgres_uses_per_resume` are those beyond what the node's beats and appends use anyway, and
    `server_cpu_per_resume_us` is what all this took beyond that of the calm in the last third. `resumed_from_memory`
    counts the joins that were given what they had missed, or had missed nothing; `began_anew` those that could not be.
    """

    connections: int
    resumed: int
    resumed_ms: Percentiles | None
    server_back_ms: float | None
    attempts_in_vain: int
    postgres_uses_per_resume: float
    resumed_from_memory: int
    began_anew: int
    messages: int
    server_cpu_per_resume_us: float | None
    server_cpu_percent: float | None
    server_core_busy_percent: float | None
    other_cores_busy_percent: float | None
    server_rss_mib: float | None
    missing: int
    duplicated: int
    out_of_order: int
    acked_and_lost: int
    not_acked: int
    connections_lost: int


def loss(window: Window) -> int:
    """Give the moment of the loss."""
    return window.start + _LOOKING_NS


def joins(look: Look, source: str) -> int:
    """Count the joins until then by where missed events came from."""
    return round(look.counters.get(_JOINS % source, 0))


class Looks:
    """The server before the storm, and at its end; after a kill another one, `back` after so many ns, counts anew."""

    def __init__(self, server: Target, *, kill: bool) -> None:
        self.back: int | None = None
        self._server = server
        self._kill = kill
        self.calm = self.before = self.settled = self.after = Look.now(server)

    def watch(self, window: Window) -> None:
        """Look at both ends of the window; see to the loss, where it is up to us."""
        self.before = Look.now(self._server)
        if self._kill:
            assert self._server.again is not None
            sleep_until(loss(window), "waiting for the loss")
            self._server.again()
            self.back = time.monotonic_ns() - loss(window)
        sleep_until(window.end - (window.end - window.start) // 3, "waiting for all to be back")
        self.settled = Look.now(self._server)
        sleep_until(window.end - _MS, "looking what the calm after it takes")
        self.after = Look.now(self._server)


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    with target(place, options.viewers) as started:
        if options.kill and started.again is None:
            raise BenchError("--kill is for a server that is started for the run")
        # Whom it kills it cannot measure.
        server = structs.replace(started, pid=None if options.kill else started.pid)
        sessions = [server.live_session()]
        with crew(plans(server, sessions, divide(options)), within=connect_seconds(options.viewers)) as workers:
            looks = Looks(server, kill=options.kill)
            measured = measure(server, sessions, workers, partial(load, options), looks.watch)
            return summarise(options, measured, looks)


def divide(options: Options) -> list[dict[str, int]]:
    """Divide the clients: viewers over the processes, senders and samples in one of their own."""
    crowd = [{"viewers": share} for share in shares(options.viewers - _SENDERS - _SAMPLES, options.processes) if share]
    return [*crowd, {"senders": _SENDERS, "samples": _SAMPLES, "size": options.size}]


def load(options: Options) -> Go:
    """Give what the load processes do."""
    times = Timetable.now(options.warmup, options.seconds)
    window = times.window
    storm = Storm(loss(window), window.end, cut=not options.kill, spread=options.spread * _MS)
    return Go({"chat": times.often(options.rate)}, window, storm=storm)


def summarise(options: Options, measured: Measured, looks: Looks) -> Results:
    """Add up what the processes saw, and what it cost the server."""
    seen = fanout.summarise(options.viewers, measured)
    back = [done.back for done in measured.done if done.back is not None]
    took = Latencies.merged(each.took for each in back)
    acked = sum(sent.acked for done in measured.done for sent in done.sent.values())
    return Results(
        connections=options.viewers,
        resumed=took.count,
        resumed_ms=took.percentiles(),
        server_back_ms=looks.back / _MS if looks.back is not None else None,
        attempts_in_vain=sum(each.in_vain for each in back),
        postgres_uses_per_resume=uses_of_storm(looks) / max(1, took.count),
        resumed_from_memory=sum(_gained(looks, source) for source in ("memory", "nothing")),
        began_anew=sum(result.resets for result in measured.results),
        messages=measured.messages,
        server_cpu_per_resume_us=cpu_of_resume(looks, took.count),
        server_cpu_percent=seen.server_cpu_percent,
        server_core_busy_percent=seen.server_core_busy_percent,
        other_cores_busy_percent=seen.other_cores_busy_percent,
        server_rss_mib=seen.server_rss_mib,
        missing=seen.missing,
        duplicated=seen.duplicated,
        out_of_order=seen.out_of_order,
        acked_and_lost=max(0, acked - measured.messages),
        not_acked=seen.not_acked,
        connections_lost=seen.connections_lost,
    )


def uses_of_storm(looks: Looks) -> float:
    """Give how often Postgres was used more than in the calm before, at its rate, without the appends."""
    calm, before, after = looks.calm, looks.before, looks.after
    rate = (_uses(before) - _uses(calm)) / max(1, before.at - calm.at)
    return _uses(after) - (_uses(before) if looks.back is None else 0) - rate * (after.at - before.at)


def _uses(look: Look) -> float:
    return look.counters[_USES] - look.counters[_APPENDS]


def cpu_of_resume(looks: Looks, resumed: int) -> float | None:
    """Give how many microseconds the server took for each until it had settled, beyond the rate of the time after."""
    before, settled, after = (look.used for look in (looks.before, looks.settled, looks.after))
    if before is None or settled is None or after is None:
        return None
    rate = (after.cpu - settled.cpu) / max(1, after.at - settled.at)
    return (settled.cpu - before.cpu - rate * (settled.at - before.at)) * 1e6 / max(1, resumed)


def _gained(looks: Looks, source: str) -> int:
    return joins(looks.after, source) - (joins(looks.before, source) if looks.back is None else 0)


def broken(results: Results) -> list[str]:
    """Name the promises that were not kept."""
    counts = {"had to begin anew": results.began_anew, "acked messages lost": results.acked_and_lost}
    return fanout.broken(results) + counted(counts)
