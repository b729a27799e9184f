"""What growth comes to: how well the model explains it, and what it says of cores, memory and many nodes. Pure."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from bench.capacity import MOST_VIEWERS, Load, Pace, flush_seconds, latest, least, most, viewers_per_gib, work
from bench.fit import Fit
from bench.machine import neighbours
from bench.plots import Lines, Plot
from bench.points import FINE_CPU, Model, Seen, foreseen
from bench.tables import Cell, Quantity, Table

_STEPS: Final = 40
_HOT: Final = (5, 50, 200)
_ROOMS: Final = (10, 100)
_SECONDS_EACH: Final = 30
_ACROSS: Final = {
    "idle": "viewers",
    "viewers": "viewers",
    "rate": "messages/s",
    "sessions": "sessions",
    "heard": "messages/s",
}
_POINTS: Final = (
    "", "viewers", "messages/s", "deliveries/s", "writes/s", "foreseen writes/s", "CPU, %", "fitted, %", "foreseen, %",
    "p50, ms", "p99, ms", "RSS, MiB",
)  # fmt: skip
_COSTS: Final = {
    "second": "being there, each second",
    "append": "an append to the log",
    "message": "a message in an append, read, checked and acknowledged",
    "hint": "a hint of an append of another node",
    "heard": "a message in a hint",
    "write": "a write to a socket",
    "delivery": "an event in it",
    "viewer": "the heartbeats of a viewer, each second",
}
_CAPACITY: Final = (
    "", "viewers per core", "a flush takes, ms", "told in time", "the core is busy then, %", "viewers per GiB",
)  # fmt: skip
# A core that is busier than this has no time left for what comes in bursts.
_FULL: Final = 0.8
_NODES: Final = (
    "", "nodes", "viewers each", "being there, %", "appends, %", "messages, %", "hints, %", "heard, %", "writes, %",
    "events, %", "heartbeats, %", "in all, %", "a flush takes, ms", "last one told, ms",
)  # fmt: skip


class Results(Struct, frozen=True, kw_only=True):
    """The points, what they say, and for what that is worked out.

    A core is to be busy for `target` percent of the time at most, and the last viewer to be told within `delay_ms`, of
    `crowd` viewers in one session. The settings of the server are the tick, the writer's lanes, how much
    fills one, and how many events a session keeps.
    """

    points: list[Seen]
    model: Model
    target: int
    delay_ms: int
    crowd: int
    tick_ms: int
    lanes: int
    fill: int
    ring_events: int

    @property
    def pace(self) -> Pace:
        """Give how fast the server goes by itself, with appends as fast as anywhere: rather too many than too few."""
        took = [seen.append_ms for seen in self.points if seen.append_ms is not None]
        return Pace(self.tick_ms / 1000, min(took) / 1000 if took else 0.0, self.lanes, self.fill)


def tables(results: Results) -> list[Table]:
    """Give the points, what everything costs, and what follows for operators."""
    made = [_points(results), _costs(results.model), _memory(results.model), _capacity(results)]
    if not any(seen.spot.elsewhere for seen in results.points):
        return made
    return [*made, _nodes(results, within=False), _nodes(results, within=True)]


def _points(results: Results) -> Table:
    return Table(_POINTS, [_point(results, seen) for seen in results.points], "points")


def _point(results: Results, seen: Seen) -> tuple[Cell, ...]:
    share, writes = foreseen(results.model, seen.load, results.pace)
    return (
        f"{seen.spot.series} {seen.spot.x:,}",
        Quantity(seen.spot.viewers),
        Quantity(round(seen.stored + seen.heard)),
        Quantity(round(seen.deliveries)),
        Quantity(round(seen.writes)),
        Quantity(round(writes)),
        Quantity(100 * seen.cpu),
        Quantity(100 * results.model.fitted(seen)),
        Quantity(100 * share),
        Quantity(seen.p50),
        Quantity(seen.p99),
        Quantity(seen.rss / 2**20),
    )


def _costs(model: Model) -> Table:
    rows = [(told, Quantity(1e6 * getattr(model.costs, name), "µs")) for name, told in _COSTS.items()]
    return Table(("", "server CPU"), [*rows], "what everything costs")


def _memory(model: Model) -> Table:
    memory = model.memory
    rows: list[tuple[Cell, ...]] = [
        ("a process", Quantity(memory.process / 2**20, "MiB")),
        ("a connection", Quantity(memory.viewer / 2**10, "KiB")),
        ("a session", Quantity(memory.session / 2**10, "KiB")),
        ("an event that a session keeps", Quantity(memory.event / 2**10, "KiB")),
    ]
    return Table(("", "memory"), rows, "what everything takes")


def _shapes() -> list[tuple[str, Callable[[int], Load], int | None]]:
    """Give each shape of load by its name, for so many viewers; and of how many a session has, unless it is of all."""

    def hot(rate: int) -> Callable[[int], Load]:
        return lambda viewers: Load(viewers, rate=rate)

    def rooms(each: int) -> Callable[[int], Load]:
        return lambda viewers: Load(viewers, viewers / each, each / _SECONDS_EACH)

    return [
        ("viewers who only watch", hot(0), None),
        *((f"one session, {rate} messages/s", hot(rate), None) for rate in _HOT),
        *((f"rooms of {each}, a message of each in {_SECONDS_EACH} s", rooms(each), each) for each in _ROOMS),
    ]


def _capacity(results: Results) -> Table:
    title = (
        f"capacity, of a core that is busy for {results.target} % at most; "
        f"in time is within {results.delay_ms} ms, with a tick of {results.tick_ms} ms"
    )
    return Table(_CAPACITY, [_fits(results, *shape) for shape in _shapes()], title)


def _fits(results: Results, name: str, load_of: Callable[[int], Load], each: int | None) -> tuple[Cell, ...]:
    model, pace = results.model, results.pace
    viewers = most(lambda count: _busy(results, load_of(count)) <= results.target / 100)
    spoken = load_of(1).rate > 0
    return (
        name,
        _at_most(viewers),
        Quantity(1000 * flush_seconds(load_of(viewers), model.costs, pace)) if spoken and viewers else "",
        *(_in_time(results, load_of) if spoken and each is None else ("", "")),
        Quantity(viewers_per_gib(model.memory, results.ring_events, each)),
    )


def _in_time(results: Results, load_of: Callable[[int], Load]) -> tuple[Cell, ...]:
    """Give the viewers who are all told in time, and how busy the core is with them."""

    def fits(viewers: int) -> bool:
        soon = latest(load_of(viewers), results.model.costs, results.pace) <= results.delay_ms / 1000
        return soon and _busy(results, load_of(viewers)) <= _FULL

    viewers = most(fits)
    return Quantity(viewers), Quantity(100 * _busy(results, load_of(viewers)))


def _at_most(viewers: int) -> Cell:
    return Quantity(viewers) if viewers < MOST_VIEWERS else f"more than {MOST_VIEWERS:,}"


def _busy(results: Results, load: Load) -> float:
    return work(load, results.model.costs, results.pace).whole


def _nodes(results: Results, *, within: bool) -> Table:
    in_time = f", and the last one told within {results.delay_ms} ms" if within else ""
    title = f"{results.crowd:,} viewers in one session, on cores that are busy for {results.target} % at most{in_time}"
    return Table(_NODES, [_spread(results, rate, within=within) for rate in _HOT], title)


def share_of(crowd: int, rate: float, nodes: int) -> Load:
    """Give what one of some nodes has of a session: its part of the viewers, and of the messages."""
    return Load(crowd / nodes, rate=rate, elsewhere=1 - 1 / nodes)


def _spread(results: Results, rate: int, *, within: bool) -> tuple[Cell, ...]:
    costs, pace = results.model.costs, results.pace

    def fits(nodes: int) -> bool:
        load = share_of(results.crowd, rate, nodes)
        soon = latest(load, costs, pace) <= results.delay_ms / 1000
        return _busy(results, load) <= results.target / 100 and (soon or not within)

    name, nodes = f"{rate} messages/s", least(fits)
    if nodes is None:
        return (name, "none are enough", *("",) * (len(_NODES) - 2))
    load = share_of(results.crowd, rate, nodes)
    done = work(load, costs, pace)
    return (
        name,
        Quantity(nodes),
        Quantity(round(load.viewers)),
        *(Quantity(100 * getattr(done, part)) for part in done.__struct_fields__),
        Quantity(100 * done.whole),
        Quantity(1000 * flush_seconds(load, costs, pace)),
        Quantity(1000 * latest(load, costs, pace)),
    )


def plots(results: Results) -> list[Plot]:
    """Give for each series what was measured, what the model makes of what was counted, and what it foresees."""
    series = dict.fromkeys(seen.spot.series for seen in results.points)
    return [_plot(results, name, [seen for seen in results.points if seen.spot.series == name]) for name in series]


def _plot(results: Results, name: str, points: Sequence[Seen]) -> Lines:
    model = results.model
    dots = {
        "measured": [(float(seen.spot.x), 100 * seen.cpu) for seen in points],
        "fitted, with the writes that were counted": [
            (float(seen.spot.x), 100 * model.fitted(seen)) for seen in points
        ],
    }
    told = {
        "foreseen, with the writes that the tick makes": [
            (x, 100 * _busy(results, load)) for x, load in between(points)
        ]
    }
    return Lines(f"Server CPU by {name}", _ACROSS[name], "% of a core", told, dots=dots)


def between(points: Sequence[Seen]) -> list[tuple[float, Load]]:
    """Give loads from the first point of a series to its last, as evenly as a logarithmic scale shows them."""
    first, last = points[0], points[-1]
    if first.spot.x == last.spot.x:
        return [(float(first.spot.x), first.load)]
    made = []
    for step in range(_STEPS + 1):
        part = step / _STEPS
        made.append((_mean(first.spot.x, last.spot.x, part), _between(first.load, last.load, part)))
    return made


def _between(one: Load, other: Load, part: float) -> Load:
    # What grows in a series grows by powers of the same number, and what doesn't stays.
    pairs = ((getattr(one, field), getattr(other, field)) for field in Load.__struct_fields__)
    return Load(*(_mean(a, b, part) for a, b in pairs))


def _mean(one: float, other: float, part: float) -> float:
    return one * (other / one) ** part if one and one != other else float(other)


def notes(results: Results) -> list[str]:
    """Say how well the model fits, how a session is spread over nodes, and who else was on the machine."""
    told = [
        f"Of server CPU {_explained(results.model.cpu)}, or of {100 * FINE_CPU:g} % of a core where that is more.",
        f"Of memory {_explained(results.model.rss)}.",
        f"Foreseen is with appends of {1000 * results.pace.append:.3g} ms, on {results.lanes} lanes.",
        "Of N nodes, each has 1/N of the viewers, stores 1/N of the messages, and hears of the others.",
    ]
    told += [
        f"{seen.spot.series} {seen.spot.x:,} was measured a second time; at first: {seen.failed_first}"
        for seen in results.points
        if seen.failed_first
    ]
    return told + neighbours(100 * max((seen.others or 0 for seen in results.points), default=0))


def _explained(fit: Fit) -> str:
    share, worst = 100 * fit.r_squared, 100 * fit.worst
    return f"the model explains {share:.1f} % of the variance (R²); its worst error is {worst:.0f} % of a point"


def broken(results: Results) -> list[str]:
    """Name the promises that were not kept."""
    return [f"{what} ({seen.spot.series} {seen.spot.x:,})" for seen in results.points for what in seen.broken]
