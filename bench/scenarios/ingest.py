"""Ingest: messages into a few sessions. How many a second are durable and acked, and what could the database do?"""

import os
from functools import partial
from typing import Annotated, Final

from msgspec import Meta, Struct

from bench.conductor import Measured, Timetable, measure
from bench.crew import crew
from bench.orders import Go
from bench.pace import SECOND, Flight, Window
from bench.progress import sleep_until
from bench.run import Place, connect_seconds, plans, target
from bench.scenarios import fanout
from bench.scenarios.fanout import broken
from bench.target import Target
from bench.writing import Writing, write_alone
from realtime import environment

__all__ = ["Options", "Results", "broken", "run"]

_BATCHES: Final = "stagewire_batch_events"
_BEHIND: Final = "stagewire_words_behind"
# Before the end, so that what it takes is over by then.
_LOOK_NS: Final = SECOND // 10


class Options(Struct, frozen=True, kw_only=True):
    """The load: `senders`, dealt to `sessions`, each with `flight` messages on their way; or `rate` a second in all."""

    sessions: Annotated[int, Meta(ge=1, le=1_000, description="sessions")] = 8
    senders: Annotated[int, Meta(ge=1, le=10_000, description="connections that send, over all sessions")] = 32
    flight: Annotated[int, Meta(ge=1, le=1_000, description="messages of each on their way at a time")] = 60
    rate: Annotated[int, Meta(ge=0, le=100_000, description="messages per second instead, answered or not")] = 0
    seconds: Annotated[int, Meta(ge=1, le=600, description="length of the measurement")] = 10
    warmup: Annotated[int, Meta(ge=0, le=60, description="seconds of load before it")] = 2
    size: Annotated[int, Meta(ge=1, le=1_000, description="characters of a message")] = 100

    @property
    def samples(self) -> int:
        """Count those who check everything: one, for each takes as much as a sender."""
        return 1


class Results(fanout.Results, frozen=True, kw_only=True):
    """The figures of a fan-out; and the messages that were acked, and what asyncpg wrote alone, per second.

    `batch` is how many messages the server wrote at a time, in the mean, and asyncpg likewise. `words_behind` are the
    messages that were not indexed for the search at the end of the load.
    """

    sessions: int
    acked_per_s: float
    server_cpu_per_message_us: float | None
    batch: float
    words_behind: float | None
    asyncpg_per_s: float | None
    ratio_to_asyncpg: float | None


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    connections = options.senders + options.samples
    with target(place, connections) as server:
        sessions = [server.live_session() for _ in range(options.sessions)]
        with crew(plans(server, sessions, divide(options)), within=connect_seconds(connections)) as workers:
            before, at_end = server.counters(), dict[str, float]()
            measured = measure(server, sessions, workers, partial(load, options), partial(_look, server, at_end))
            wrote = Wrote(mean_batch(before, server.counters()), at_end.get(_BEHIND))
        return summarise(options, measured, wrote, _alone(options, server, wrote.batch))


def _look(server: Target, seen: dict[str, float], window: Window) -> None:
    """Look at the server's metrics when the load is about to end."""
    sleep_until(window.end - _LOOK_NS, "measuring")
    seen.update(server.counters())


def divide(options: Options) -> list[dict[str, int]]:
    """Give the one process that is enough."""
    return [{"senders": options.senders, "samples": options.samples, "size": options.size}]


def load(options: Options) -> Go:
    """Give what the load process does."""
    times = Timetable.now(options.warmup, options.seconds)
    loop = times.often(options.rate) if options.rate else Flight(times.start, times.window.end, options.flight)
    return Go({"chat": loop}, times.window)


def mean_batch(before: dict[str, float], after: dict[str, float]) -> float:
    """Give how many events the server has appended at a time between two looks at its metrics."""
    events, batches = (after[f"{_BATCHES}_{part}"] - before[f"{_BATCHES}_{part}"] for part in ("sum", "count"))
    return events / max(1, batches)


def _alone(options: Options, server: Target, batch: float) -> float | None:
    """Write the same batches with asyncpg alone, on the server's core, into sessions that nobody follows."""
    if server.database_url is None or server.cores is None:
        return None
    lanes = environment.load(os.environ).batch_lanes
    sessions = [server.live_session() for _ in range(options.sessions)]
    return write_alone(
        Writing(server.database_url, sessions, lanes, max(1, round(batch)), options.size, options.seconds),
        server.cores.server,
    )


class Wrote(Struct, frozen=True):
    """What the server's metrics tell: the events of a batch, in the mean, and those not indexed at the end."""

    batch: float
    words_behind: float | None


def summarise(options: Options, measured: Measured, wrote: Wrote, alone: float | None) -> Results:
    """Add up what the load process saw, and compare."""
    figures = fanout.figures(options.senders + options.samples, measured)
    window = measured.results[0].window
    seconds = (window.end - window.start) / SECOND
    acked = sum(sent.acked_in_window for done in measured.done for sent in done.sent.values()) / seconds
    percent = figures["server_cpu_percent"]
    return Results(
        **figures,
        sessions=options.sessions,
        acked_per_s=acked,
        server_cpu_per_message_us=percent * 10_000 / acked if percent is not None and acked else None,
        batch=wrote.batch,
        words_behind=wrote.words_behind,
        asyncpg_per_s=alone,
        ratio_to_asyncpg=acked / alone if alone else None,
    )
