"""Idle: connections that only stay. What does each cost in memory, and all together in CPU?"""

import time
from typing import Annotated

from msgspec import Meta, Struct

from bench.crew import crew
from bench.errors import BenchError
from bench.machine import Usage, cpu_share, usage
from bench.pace import shares
from bench.run import Place, connect_seconds, plans, target
from bench.target import Target

# Connections that come and go first, so that what a server makes once is not charged to the others.
_FIRST = 50


class Options(Struct, frozen=True, kw_only=True):
    """The load: so many viewers, who join one session or, with `hello_only`, none."""

    viewers: Annotated[int, Meta(ge=1, le=100_000, description="connections")] = 1000
    seconds: Annotated[int, Meta(ge=1, le=600, description="length of each of both measurements")] = 10
    settle: Annotated[int, Meta(ge=0, le=60, description="seconds of rest before each")] = 3
    processes: Annotated[int, Meta(ge=1, le=64, description="load processes")] = 1
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


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    with target(place, options.viewers) as server:
        sessions = [] if options.hello_only else [server.live_session()]
        with crew(plans(server, sessions, [{"viewers": _FIRST}]), within=connect_seconds(_FIRST)):
            pass
        before, share_before = _rest(options, server)
        parts = [{"viewers": share} for share in shares(options.viewers, options.processes) if share]
        with crew(plans(server, sessions, parts), within=connect_seconds(options.viewers)):
            after, share = _rest(options, server)
    return summarise(options.viewers, (before, share_before), (after, share))


def _rest(options: Options, server: Target) -> tuple[Usage, float]:
    """Let the server settle, and then watch what it takes."""
    if server.pid is None:
        raise BenchError("idle measures the server's process: name it with --pid")
    time.sleep(options.settle)
    begin = usage(server.pid)
    time.sleep(options.seconds)
    end = usage(server.pid)
    return end, cpu_share(begin, end)


def summarise(viewers: int, before: tuple[Usage, float], after: tuple[Usage, float]) -> Results:
    """Compare the server without its viewers and with them."""
    growth = after[0].rss - before[0].rss
    return Results(
        connections=viewers,
        server_rss_before_mib=before[0].rss / 1024,
        server_rss_mib=after[0].rss / 1024,
        server_rss_growth_mib=growth / 1024,
        server_rss_per_connection_kib=growth / viewers,
        server_pss_growth_mib=(after[0].pss - before[0].pss) / 1024,
        server_cpu_before_percent=before[1] * 100,
        server_cpu_percent=after[1] * 100,
    )


def broken(_: Results) -> list[str]:
    """Name the promises that were not kept: this scenario checks none."""
    return []
