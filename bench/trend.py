"""Whether a figure that is looked at again and again stays where it is. Pure."""

from collections.abc import Sequence
from statistics import linear_regression, median

from msgspec import Struct

_TENTHS = 10


class Trend(Struct, frozen=True):
    """The median of the first tenth of what counts, of the last tenth, and by how much that is more, in percent.

    `per_hour` is the slope of the line through everything in between, by least squares.
    """

    first: float
    last: float
    percent: float
    per_hour: float


def trend(points: Sequence[tuple[float, float]], settled: float) -> Trend | None:
    """Compare values by their time in seconds, from when things have `settled`; nothing where there are too few."""
    counting = [(at, value) for at, value in points if at >= settled]
    if len(counting) < 2:  # noqa: PLR2004 - a line needs two points
        return None
    times, values = zip(*counting, strict=True)
    size = max(1, len(values) // _TENTHS)
    first, last = median(values[:size]), median(values[-size:])
    slope = linear_regression(times, values).slope
    return Trend(first, last, 100 * (last - first) / first if first else 0.0, slope * 3600)
