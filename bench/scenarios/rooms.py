"""Rooms: many sessions with a few viewers each, all of them busy. How much does a session cost?"""

from functools import partial
from typing import Annotated

from msgspec import Meta, Struct

from bench.conductor import Measured, chatting, measure
from bench.crew import crew
from bench.options import Processes, Rate, Seconds, Size, Warmup
from bench.pace import shares
from bench.run import Place, connect_seconds, plans, target
from bench.scenarios import fanout
from bench.scenarios.fanout import broken

__all__ = ["Options", "Results", "broken", "run"]

_SAMPLES = 20


class Options(Struct, frozen=True, kw_only=True):
    """The load: `rate` messages/s in all, dealt evenly to `sessions` with `each` viewers, one of whom sends."""

    sessions: Annotated[int, Meta(ge=1, le=5_000, description="sessions")] = 100
    each: Annotated[int, Meta(ge=1, le=1_000, description="viewers of each, its sender included")] = 10
    rate: Rate = 500
    seconds: Seconds = 10
    warmup: Warmup = 2
    processes: Processes = 1
    size: Size = 100

    @property
    def viewers(self) -> int:
        """Count the connections."""
        return self.sessions * self.each


class Results(fanout.Results, frozen=True, kw_only=True):
    """The figures of a fan-out, over all sessions."""

    sessions: int


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    with target(place, options.viewers) as server:
        sessions = [server.live_session() for _ in range(options.sessions)]
        with crew(plans(server, sessions, divide(options)), within=connect_seconds(options.viewers)) as workers:
            go = partial(chatting, options.rate, options.warmup, options.seconds)
            return summarise(options, measure(server, sessions, workers, go))


def divide(options: Options) -> list[dict[str, int]]:
    """Divide the clients: one sender for each session in a process of its own, with a few samples.

    Users are dealt to the sessions in turn, so any row of as many users as there are sessions has one in each.
    """
    quiet = options.viewers - options.sessions
    samples = min(_SAMPLES, quiet)
    crowd = [{"viewers": share} for share in shares(quiet - samples, options.processes) if share]
    return [*crowd, {"senders": options.sessions, "samples": samples, "size": options.size}]


def summarise(options: Options, measured: Measured) -> Results:
    """Add up what the processes saw."""
    return Results(**fanout.figures(options.viewers, measured), sessions=options.sessions)
