"""Figures as pictures, drawn with matplotlib into PNG files."""

from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter
from msgspec import Struct

from bench.tables import number, split_unit

_INCHES: Final = (9, 5)
_DOTS_PER_INCH: Final = 110
_GROUP: Final = 0.8
_SEEN_THROUGH: Final = 0.7
# Above what is drawn, for labels.
_MARGIN: Final = 0.12
# Decades of an axis up to which more than its powers of ten, and all between, are labelled.
_LABELLED: Final = (2.0, 0.5)


class Bars(Struct, frozen=True):
    """One group of bars for each of `groups`, one bar in it for each of `series`; what was not measured has none."""

    title: str
    unit: str
    groups: list[str]
    series: dict[str, list[float | None]]
    logarithmic: bool = False


class Lines(Struct, frozen=True):
    """Lines through points, by their names; or, of `dots`, the points alone, which the lines don't mark then."""

    title: str
    across: str
    up: str
    lines: dict[str, list[tuple[float, float]]]
    logarithmic: bool = True
    dots: dict[str, list[tuple[float, float]]] = {}


Plot = Bars | Lines


def latencies_of(results: Struct) -> list[Plot]:
    """Give a plot of all percentiles in the results of a run, if there are any."""
    found = {
        split_unit(name)[0]: value
        for name in results.__struct_fields__
        if isinstance(value := getattr(results, name), Struct)
    }
    return [percentiles("Latencies", found)] if found else []


def percentiles(title: str, found: dict[str, Struct]) -> Bars:
    """Give a group of bars for each name: its percentiles, in milliseconds."""
    names = list(dict.fromkeys(field for each in found.values() for field in each.__struct_fields__))
    series = {name: [getattr(each, name, None) for each in found.values()] for name in names}
    return Bars(title, "ms", list(found), series, logarithmic=True)


def draw(plot: Plot, path: Path) -> None:
    """Write a plot to a file.

    Raises:
        OSError: it cannot be written.
    """
    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(plot.title)
    axes.grid(visible=True, alpha=0.3)
    (_draw_bars if isinstance(plot, Bars) else _draw_lines)(axes, plot)  # type: ignore[arg-type] # each its own kind
    figure.savefig(path)


def _draw_bars(axes: Axes, plot: Bars) -> None:
    width = _GROUP / max(1, len(plot.series))
    for position, (name, values) in enumerate(plot.series.items()):
        offset = (position - (len(plot.series) - 1) / 2) * width
        places = [group + offset for group in range(len(plot.groups))]
        bars = axes.bar(places, [value or 0 for value in values], width, label=name)
        labels = [number(value) if value is not None else "none" for value in values]
        # Upright, those of bars beside each other have room.
        axes.bar_label(bars, labels, fontsize=7, padding=2, rotation=90 if len(plot.series) > 1 else 0)
    axes.margins(y=_MARGIN)
    if plot.logarithmic:
        axes.set_yscale("log")
        _label(axes.yaxis)
    axes.set_xticks(range(len(plot.groups)), plot.groups)
    axes.set_ylabel(plot.unit)
    if len(plot.series) > 1:
        axes.legend()


def _draw_lines(axes: Axes, plot: Lines) -> None:
    marker = "o" if plot.logarithmic and not plot.dots else None
    for name, points in plot.lines.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker=marker, label=name)
    for name, points in plot.dots.items():
        axes.plot([x for x, _ in points], [y for _, y in points], "o", alpha=_SEEN_THROUGH, label=name)
    if plot.logarithmic:
        _scale(axes)
    else:
        # What hardly changes is a line, and not the frame.
        axes.set_ylim(0, axes.dataLim.ymax * (1 + _MARGIN) or 1)
    axes.set_xlabel(plot.across)
    axes.set_ylabel(plot.up)
    axes.legend()


def _scale(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        _label(axis)


def _label(axis: Axis) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(LogFormatter(minor_thresholds=_LABELLED))
