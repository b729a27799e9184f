"""Idle: connections that only stay. What does each cost in memory, and all together in CPU?"""

from functools import partial
from time import monotonic_ns
from typing import Annotated

from msgspec import Meta, Struct

from bench.conductor import chatting, measure
from bench.crew import crew
from bench.errors import BenchError
from bench.machine import Usage, cpu_share, usage
from bench.options import MOST_VIEWERS, Processes, Seconds
from bench.pace import SECOND, shares
from bench.progress import sleep_until
from bench.run import Place, connect_seconds, plans, target
from bench.tables import counted

# Connections that come and go first, so that what a server makes once is not charged to the others.
_FIRST = 50


class Options(Struct, frozen=True, kw_only=True):
    """The load: so many viewers, who join one session or, with `hello_only`, none."""

    viewers: Annotated[int, Meta(ge=1, le=MOST_VIEWERS, description="connections")] = 1000
    seconds: Seconds = 10
    settle: Annotated[int, Meta(ge=0, le=60, description="seconds of rest before each measurement")] = 3
    processes: Processes = 1
    hello_only: Annotated[bool, Meta(description="say hello, but join no session")] = False


class Results(Struct, frozen=True, kw_only=True):
    """The figures. Growth is over the same server before, which had served a few connections already."""

    connections: int
    server_rss_before_mib: float
    server_rss_mib: float
    server_rss_growth_mib: float
    server_rss_per_connection_kib: float
    server_pss_growth_mib: float
    server_cpu_before_percent: float
    server_cpu_percent: float
    connections_lost: int


class Rest(Struct, frozen=True):
    """What the server had taken at the beginning and at the end of a time in which nobody said anything."""

    begin: Usage
    end: Usage


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    with target(place, options.viewers) as server:
        if server.pid is None:
            raise BenchError("idle measures the server's process: name it with --pid")
        sessions = [] if options.hello_only else [server.live_session()]
        with crew(plans(server, sessions, [{"viewers": _FIRST}]), within=connect_seconds(_FIRST)):
            pass
        before = _rest(options, server.pid)
        parts = [{"viewers": share} for share in shares(options.viewers, options.processes) if share]
        with crew(plans(server, sessions, parts), within=connect_seconds(options.viewers)) as workers:
            silence = partial(chatting, 0, options.settle, options.seconds)
            measured = measure(server, sessions, workers, silence)
    begin, end = (reading.server for reading in measured.readings)
    assert begin is not None
    assert end is not None
    return summarise(options.viewers, before, Rest(begin, end), sum(result.lost for result in measured.results))


def _rest(options: Options, pid: int) -> Rest:
    """Let the server settle without anybody, and then watch what it takes."""
    sleep_until(monotonic_ns() + options.settle * SECOND, "letting the server settle")
    begin = usage(pid)
    sleep_until(monotonic_ns() + options.seconds * SECOND, "measuring the empty server")
    return Rest(begin, usage(pid))


def summarise(viewers: int, before: Rest, after: Rest, lost: int) -> Results:
    """Compare the server without its viewers and with them, of whom so many were lost."""
    growth = after.end.rss - before.end.rss
    return Results(
        connections=viewers,
        server_rss_before_mib=before.end.rss / 1024,
        server_rss_mib=after.end.rss / 1024,
        server_rss_growth_mib=growth / 1024,
        server_rss_per_connection_kib=growth / viewers,
        server_pss_growth_mib=(after.end.pss - before.end.pss) / 1024,
        server_cpu_before_percent=100 * cpu_share(before.begin, before.end),
        server_cpu_percent=100 * cpu_share(after.begin, after.end),
        connections_lost=lost,
    )


def broken(results: Results) -> list[str]:
    """Name the promises that were not kept: whoever only stays is not lost."""
    return counted({"connections lost": results.connections_lost})
