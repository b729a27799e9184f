"""Points of a load that grows: what each is, and what was seen there."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from bench.capacity import Costs, Load, Memory, Pace, flushes, work
from bench.fit import Fit, fit

# As fine as CPU time is told, and as other things on a machine leave it: a part of a core. Below, errors count less.
FINE_CPU: Final = 0.02
FINE_RSS: Final = 4 << 20


class Spot(Struct, frozen=True, kw_only=True):
    """A point of a series, at `x`: a load, and for how long it is measured.

    `rate` are messages/s in all. With `elsewhere` they are stored by another node, of which this one hears.
    """

    series: str
    x: int
    viewers: int
    seconds: int
    sessions: int = 1
    rate: int = 0
    elsewhere: bool = False


class Seen(Struct, frozen=True, kw_only=True):
    """What was seen at a point. Rates are per second; the server's CPU is a part of a core, its memory is in bytes.

    `kept` are the events that the sessions hold in memory. `others` is what was taken of the server's core by others.
    `append_ms` is how long an append took, in the mean. `failed_first` says why it was measured twice, if it was.
    """

    spot: Spot
    appends: float
    stored: float
    hints: float
    heard: float
    writes: float
    deliveries: float
    cpu: float
    rss: float
    kept: float
    others: float | None
    append_ms: float | None
    p50: float | None
    p99: float | None
    broken: list[str]
    failed_first: str = ""

    @property
    def load(self) -> Load:
        """Give the load as it was asked for."""
        spot = self.spot
        return Load(spot.viewers, spot.sessions, spot.rate / spot.sessions, float(spot.elsewhere))


class Model(Struct, frozen=True):
    """What everything costs, by the points, and how well that explains them."""

    costs: Costs
    cpu: Fit
    memory: Memory
    rss: Fit

    def fitted(self, seen: Seen) -> float:
        """Give the part of a core that a point takes, with what was counted there."""
        return sum(cost * amount for cost, amount in zip(self.cpu.costs, amounts(seen), strict=True))


def amounts(seen: Seen) -> list[float]:
    """Give what a point's CPU time is spent on, in the order of `Costs`."""
    return [
        1.0,
        seen.appends,
        seen.stored,
        seen.hints,
        seen.heard,
        seen.writes,
        seen.deliveries,
        float(seen.spot.viewers),
    ]


def holdings(seen: Seen) -> list[float]:
    """Give what a point's memory is taken by, in the order of `Memory`."""
    return [1.0, float(seen.spot.viewers), float(seen.spot.sessions), seen.kept]


def model_of(points: Sequence[Seen]) -> Model:
    """Fit both."""
    cpu = fit([amounts(seen) for seen in points], [seen.cpu for seen in points], FINE_CPU)
    rss = fit([holdings(seen) for seen in points], [seen.rss for seen in points], FINE_RSS)
    return Model(Costs(*cpu.costs), cpu, Memory(*rss.costs), rss)


def foreseen(model: Model, load: Load, pace: Pace) -> tuple[float, float]:
    """Give the part of a core that a load takes by the model, and its writes per second, with nothing counted."""
    return work(load, model.costs, pace).whole, load.viewers * flushes(load, model.costs, pace)
