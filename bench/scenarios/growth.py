"""Growth: how does the cost grow with viewers, rate and sessions, and how much fits on a core, then?"""

import os
import sys
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, structs

from bench.conductor import LEAD_NS, Measured, chatting, measure
from bench.crew import crew
from bench.errors import BenchError
from bench.looks import Ends, Look
from bench.machine import busy_share, cpu_share
from bench.options import MOST_RATE, MOST_VIEWERS, Processes, Seconds, Size, Warmup, numbers
from bench.orders import Plan
from bench.outlook import Results, broken, notes, plots, tables
from bench.pace import SECOND, shares
from bench.points import Seen, Spot, model_of
from bench.progress import step
from bench.run import Place, connect_seconds, plans, target
from bench.scenarios import fanout, rooms
from bench.target import Target
from realtime import environment
from realtime.writer import FILL

__all__ = ["Options", "Results", "broken", "notes", "plots", "run", "tables"]

MOST_SESSIONS: Final = 5_000
# In this time everybody has a heartbeat.
BEAT_SECONDS: Final = 20
# Who listens to what another node stores: so few that it is hearing that costs.
LISTENERS: Final = 10
# Seconds of a point besides its measurement: a server's start and end, and what each client and session takes.
_EACH_POINT, _EACH_CLIENT, _EACH_SESSION = 6.0, 1 / 1000, 0.02
_FLUSHES: Final = "stagewire_commit_to_socket_seconds_count"
_DELIVERIES: Final = "stagewire_deliveries_total"
_APPENDS: Final = "stagewire_commit_seconds_count"
_APPENDING: Final = "stagewire_commit_seconds_sum"
_HINTS: Final = 'stagewire_hints_total{direction="received"}'
_STORED: Final = 'stagewire_events_appended_total{outcome="new"}'


class Options(Struct, frozen=True, kw_only=True):
    """The points: each of the lists is a series, in which one thing grows. And what capacity is worked out for."""

    idle: Annotated[str, Meta(description="viewers who only watch; several, with commas")] = "100,10000"
    viewers: Annotated[str, Meta(description="viewers of one session, in which --fixed-rate is said")] = (
        "100,300,1000,3000,10000"
    )
    rates: Annotated[str, Meta(description="messages per second, to --fixed-viewers in one session")] = (
        "50,200,1000,2000"
    )
    sessions: Annotated[str, Meta(description="sessions, of --fixed-viewers together")] = "1,10,100,500"
    heard: Annotated[str, Meta(description="messages per second that another node stores; - is none")] = (
        "100,300,1000,3000"
    )
    fixed_viewers: Annotated[int, Meta(ge=1, le=MOST_VIEWERS, description="viewers where something else grows")] = 1000
    fixed_rate: Annotated[int, Meta(ge=1, le=MOST_RATE, description="messages per second where viewers grow")] = 20
    fixed_deliveries: Annotated[
        int, Meta(ge=1, le=10_000_000, description="deliveries per second, in all, where sessions grow")
    ] = 5000
    seconds: Seconds = 4
    beat: Annotated[int, Meta(ge=1, le=600, description="the same of idle viewers: a round of heartbeats")] = (
        BEAT_SECONDS
    )
    warmup: Warmup = 1
    processes: Processes = 1
    size: Size = 100
    target: Annotated[int, Meta(ge=1, le=100, description="percent of a core that may be used")] = 60
    delay: Annotated[int, Meta(ge=1, le=60_000, description="ms within which the last viewer is to be told")] = 100
    crowd: Annotated[int, Meta(ge=1, le=MOST_VIEWERS, description="viewers of one session on many nodes")] = 100_000


def grid(options: Options) -> list[Spot]:
    """Give all points.

    Raises:
        BenchError: a list is none.
    """
    fixed, rate, seconds = options.fixed_viewers, options.fixed_rate, options.seconds
    return [
        *(Spot(series="idle", x=x, viewers=x, seconds=options.beat) for x in _read("idle", options.idle, MOST_VIEWERS)),
        *(
            Spot(series="viewers", x=x, viewers=x, rate=rate, seconds=seconds)
            for x in _read("viewers", options.viewers, MOST_VIEWERS)
        ),
        *(
            Spot(series="rate", x=x, viewers=fixed, rate=x, seconds=seconds)
            for x in _read("rates", options.rates, MOST_RATE)
        ),
        *(_rooms(options, x) for x in _read("sessions", options.sessions, min(MOST_SESSIONS, fixed))),
        *(
            # The server counts hints once a second.
            Spot(
                series="heard", x=x, viewers=LISTENERS, rate=x, seconds=max(seconds, options.beat // 2), elsewhere=True
            )
            for x in _read("heard", options.heard, MOST_RATE)
        ),
    ]


def _rooms(options: Options, sessions: int) -> Spot:
    each = options.fixed_viewers // sessions
    rate = max(1, options.fixed_deliveries // each)
    return Spot(series="sessions", x=sessions, viewers=sessions * each, sessions=sessions, rate=rate,
                seconds=options.seconds)  # fmt: skip


def _read(name: str, text: str, most: int) -> list[int]:
    return [] if text == "-" else sorted(numbers(f"--{name}", text, most))


def seconds_of(options: Options, spot: Spot) -> float:
    """Estimate how long a point takes."""
    load = LEAD_NS / SECOND + options.warmup + spot.seconds
    return _EACH_POINT + load + spot.viewers * _EACH_CLIENT + spot.sessions * _EACH_SESSION


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    spots = grid(options)
    if not spots:
        raise BenchError("growth has no points")
    minutes = sum(seconds_of(options, spot) for spot in spots) / 60
    print(f"growth: {len(spots)} points, about {minutes:.1f} minutes", file=sys.stderr)
    points = [seen for spot in spots if (seen := _measure_twice(options, spot, place)) is not None]
    return conclude(options, points)


def conclude(options: Options, points: list[Seen]) -> Results:
    """Fit what was seen, for the settings of the server that was measured."""
    used = environment.load(os.environ)
    return Results(
        points=points,
        model=model_of(points),
        target=options.target,
        delay_ms=options.delay,
        crowd=options.crowd,
        tick_ms=used.tick_ms,
        lanes=used.batch_lanes,
        fill=FILL,
        ring_events=used.ring_events,
    )


def _measure_twice(options: Options, spot: Spot, place: Place) -> Seen | None:
    try:
        return _measure(options, spot, place)
    except BenchError as exc:
        # What is short for a moment, ports say, must not cost all the points before. The report tells.
        found = _measure(options, spot, place)
        return found and structs.replace(found, failed_first=str(exc).splitlines()[0])


def _measure(options: Options, spot: Spot, place: Place) -> Seen | None:
    """Measure one point; or nothing, where it takes another node and there can be none."""
    told = f"{spot.series} {spot.x:,}: {spot.rate:,} messages/s to {spot.viewers:,} viewers"
    with step(told), ExitStack() as stack:
        server = stack.enter_context(target(place, spot.viewers))
        if server.pid is None:
            raise BenchError("growth measures the server's process: name it with --pid")
        if spot.elsewhere and server.another is None:
            return None
        sessions = [server.live_session() for _ in range(spot.sessions)]
        who = list(everybody(options, spot, server, sessions))
        workers = stack.enter_context(crew(who, within=connect_seconds(spot.viewers)))
        ends = Ends(server)
        go = partial(chatting, spot.rate, options.warmup, spot.seconds)
        measured = measure(server, sessions, workers, go, ends.watch)
        return seen(spot, measured, *ends.looks)


def everybody(options: Options, spot: Spot, server: Target, sessions: list[str]) -> list[Plan]:
    """Give the load processes of a point; those who talk are on another node, where that stores it."""
    parts = divide(options, spot)
    if not spot.elsewhere:
        return plans(server, sessions, parts)
    assert server.another is not None
    return [*plans(server, sessions, parts[:-1]), *plans(server.another(), sessions, parts[-1:])]


def divide(options: Options, spot: Spot) -> list[dict[str, Any]]:
    """Divide the clients: as for a fan-out or for rooms; all watch where nothing is said; those who talk come last."""
    common = {"rate": max(1, spot.rate), "processes": options.processes, "size": options.size}
    if not spot.rate:
        return [{"viewers": share} for share in shares(spot.viewers, options.processes) if share]
    if spot.elsewhere:
        everywhere = fanout.Options(viewers=MOST_VIEWERS, **common)
        samples = min(spot.viewers, everywhere.checked)
        listeners = {"viewers": spot.viewers - samples, "samples": samples}
        return [listeners, {"senders": everywhere.talkers, "size": options.size}]
    if spot.sessions > 1:
        each = spot.viewers // spot.sessions
        return list(rooms.divide(rooms.Options(sessions=spot.sessions, each=each, **common)))
    return list(fanout.divide(fanout.Options(viewers=spot.viewers, **common)))


def seen(spot: Spot, measured: Measured, before: Look, after: Look) -> Seen:
    """Sum up a point, with looks at both ends of it."""
    assert before.used is not None
    assert after.used is not None
    figures = fanout.summarise(spot.viewers, measured)
    cpu = cpu_share(before.used, after.used)
    seconds = (after.used.at - before.used.at) / SECOND

    def rate(name: str) -> float:
        return (after.counters.get(name, 0) - before.counters.get(name, 0)) / seconds

    late, deliveries = figures.latency_ms, rate(_DELIVERIES)
    return Seen(
        spot=spot,
        appends=rate(_APPENDS),
        stored=rate(_STORED),
        hints=rate(_HINTS),
        # Everybody is told each of them.
        heard=deliveries / spot.viewers if spot.elsewhere else 0.0,
        # A flush of a session writes to each of its viewers.
        writes=rate(_FLUSHES) * spot.viewers / spot.sessions,
        deliveries=deliveries,
        cpu=cpu,
        rss=after.used.rss * 1024.0,
        kept=min(measured.messages, spot.sessions * environment.load(os.environ).ring_events),
        others=_others(measured, cpu),
        append_ms=1000 * rate(_APPENDING) / rate(_APPENDS) if rate(_APPENDS) else None,
        p50=late.p50 if late else None,
        p99=late.p99 if late else None,
        broken=fanout.broken(figures),
    )


def _others(measured: Measured, cpu: float) -> float | None:
    before, after = (reading.server_core for reading in measured.readings)
    return max(0.0, busy_share(before, after) - cpu) if before and after else None
