"""Ingest: messages into a few sessions. How many a second are durable and acked, and what could the database do?"""

import os
from functools import partial
from typing import Annotated, Final

from msgspec import Meta, Struct

from bench.conductor import Measured, Timetable, measure
from bench.crew import crew
from bench.looks import Ends, Look
from bench.options import MOST_RATE, Seconds, Size, Warmup
from bench.orders import Go
from bench.pace import Flight
from bench.run import Place, connect_seconds, plans, target
from bench.scenarios import fanout
from bench.scenarios.fanout import broken
from bench.target import Target
from bench.writing import Writing, write_alone
from realtime import environment

__all__ = ["Options", "Results", "broken", "run"]

_EVENTS: Final = "stagewire_batch_events_sum"
_BATCHES: Final = "stagewire_batch_events_count"
_BEHIND: Final = "stagewire_words_behind"


class Options(Struct, frozen=True, kw_only=True):
    """The load: `senders`, dealt to `sessions`, each with `flight` messages on their way; or `rate` a second in all."""

    sessions: Annotated[int, Meta(ge=1, le=1_000, description="sessions")] = 8
    senders: Annotated[int, Meta(ge=1, le=10_000, description="connections that send, over all sessions")] = 32
    flight: Annotated[int, Meta(ge=1, le=1_000, description="messages of each on their way at a time")] = 60
    rate: Annotated[int, Meta(ge=0, le=MOST_RATE, description="messages per second instead, answered or not")] = 0
    seconds: Seconds = 10
    warmup: Warmup = 2
    size: Size = 100

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
            ends = Ends(server)
            measured = measure(server, sessions, workers, partial(load, options), ends.watch)
        wrote = written(*ends.looks)
        return summarise(options, measured, wrote, _alone(options, server, wrote.batch))


def divide(options: Options) -> list[dict[str, int]]:
    """Give the one process that is enough."""
    return [{"senders": options.senders, "samples": options.samples, "size": options.size}]


def load(options: Options) -> Go:
    """Give what the load process does."""
    times = Timetable.now(options.warmup, options.seconds)
    loop = times.often(options.rate) if options.rate else Flight(times.start, times.window.end, options.flight)
    return Go({"chat": loop}, times.window)


class Wrote(Struct, frozen=True):
    """What the server's metrics tell: the events of a batch, in the mean, and those not indexed at the end."""

    batch: float
    words_behind: float | None


def written(before: Look, after: Look) -> Wrote:
    """Give what the server has written between two looks."""
    events, batches = (after.counters[name] - before.counters[name] for name in (_EVENTS, _BATCHES))
    return Wrote(events / max(1, batches), after.counters.get(_BEHIND))


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


def summarise(options: Options, measured: Measured, wrote: Wrote, alone: float | None) -> Results:
    """Add up what the load process saw, and compare."""
    figures = fanout.figures(options.senders + options.samples, measured)
    acked = sum(sent.acked_in_window for done in measured.done for sent in done.sent.values()) / options.seconds
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
