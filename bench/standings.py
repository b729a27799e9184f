"""What a contest comes to: tables, plots and notes. Pure."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from bench.contestants import FLOORS, STAGEWIRE, Contestant, Outcome
from bench.machine import neighbours
from bench.plots import Bars, Lines, Plot, percentiles
from bench.scenarios import fanout
from bench.tables import Cell, Quantity, Table

FAVOURS: Final = (
    "The peers log nobody in, store nothing, acknowledge nothing and send no heartbeats: that favours them. "
    "Only what they write is compared."
)
_HEADINGS: Final = (
    "", "deliveries/s", "p50, ms", "p99, ms", "p99.9, ms", "CPU per delivery, µs", "to floor", "to floor-each",
    "server CPU, %", "its core, %", "other cores, %", "events per write", "missing",
)  # fmt: skip
_HIGHEST: Final = (
    "", "messages/s", "deliveries/s", "p50, ms", "p99, ms", "CPU per delivery, µs", "server CPU, %",
    "Stagewire's CPU there, µs", "ratio", "Stagewire's p99 there, ms",
)  # fmt: skip


class Step(Struct, frozen=True):
    """A rate that was tried; `strain` says why it was not sustained, if it was not."""

    outcome: Outcome
    strain: str


class Highest(Struct, frozen=True):
    """The highest load that a contestant sustained, if it sustained any, and Stagewire under the same load.

    `beyond` says what went wrong at the lowest rate above it.
    """

    contestant: str
    outcome: Outcome | None
    beyond: str
    stagewire: Outcome | None


class Results(Struct, frozen=True, kw_only=True):
    """What everybody did: under the loads that were given, and at the highest sustained ones.

    `steps` are the way there: the last try of each contestant at each rate, by both.
    """

    contestants: list[Contestant]
    outcomes: list[Outcome] = []
    highest: list[Highest] = []
    steps: dict[str, Step] = {}


def tables(results: Results) -> list[Table]:
    """Give a table for each rate, and one of the highest loads."""
    made = [_table(rate, _at(results, rate)) for rate in _rates(results)]
    return [*made, _table_of_highest(results.highest)] if results.highest else made


def _rates(results: Results) -> list[int]:
    return list(dict.fromkeys(outcome.rate for outcome in results.outcomes))


def _at(results: Results, rate: int) -> list[Outcome]:
    return [outcome for outcome in results.outcomes if outcome.rate == rate]


def _table(rate: int, outcomes: Sequence[Outcome]) -> Table:
    floors = [next((cpu(each) for each in outcomes if each.contestant == name), None) for name in FLOORS]
    return Table(_HEADINGS, [_row(outcome, floors) for outcome in outcomes], f"{rate:,} messages/s")


def _row(outcome: Outcome, floors: Sequence[float | None]) -> tuple[Cell, ...]:
    found, ours = outcome.figures, cpu(outcome)
    return (
        outcome.contestant,
        Quantity(found.deliveries_per_s if found else None),
        *(Quantity(_latency(outcome, which)) for which in ("p50", "p99", "p999")),
        Quantity(ours),
        *(Quantity(ratio(ours, floor)) for floor in floors),
        Quantity(found.server_cpu_percent if found else None),
        Quantity(found.server_core_busy_percent if found else None),
        Quantity(found.other_cores_busy_percent if found else None),
        "" if outcome.events_per_write is None else Quantity(outcome.events_per_write),
        Quantity(found.missing if found else None),
    )


def _table_of_highest(highest: Sequence[Highest]) -> Table:
    return Table(_HIGHEST, [_row_of_highest(each) for each in highest], "the highest sustained load of each")


def _row_of_highest(highest: Highest) -> tuple[Cell, ...]:
    best, stagewire = highest.outcome, highest.stagewire
    found = best.figures if best else None
    return (
        highest.contestant,
        Quantity(best.rate if best else 0),
        Quantity(found.deliveries_per_s if found else None),
        Quantity(_latency(best, "p50")),
        Quantity(_latency(best, "p99")),
        Quantity(cpu(best)),
        Quantity(found.server_cpu_percent if found else None),
        Quantity(cpu(stagewire)),
        Quantity(ratio(cpu(stagewire), cpu(best))),
        Quantity(_latency(stagewire, "p99")),
    )


def cpu(outcome: Outcome | None) -> float | None:
    """Give the CPU time of a delivery, in microseconds, if it was measured."""
    return outcome.figures.server_cpu_per_delivery_us if outcome and outcome.figures else None


def _latency(outcome: Outcome | None, which: str) -> float | None:
    found = outcome.figures.latency_ms if outcome and outcome.figures else None
    return getattr(found, which) if found else None


def ratio(one: float | None, other: float | None) -> float | None:
    """Divide, where there is something to divide by."""
    return one / other if one is not None and other else None


def plots(results: Results) -> list[Plot]:
    """Give latencies and costs of everybody at each rate, and over the rates where there are several."""
    made: list[Plot] = []
    for rate in _rates(results):
        outcomes = [outcome for outcome in _at(results, rate) if outcome.figures]
        title = f"at {rate:,} messages/s"
        latencies = {o.contestant: o.figures.latency_ms for o in outcomes if o.figures and o.figures.latency_ms}
        made.append(percentiles(f"Latency {title}", dict(latencies)))
        made.append(_costs(f"Server CPU per delivery {title}", outcomes))
    if results.highest:
        best = [each.outcome for each in results.highest if each.outcome]
        made.append(_costs("Server CPU per delivery at the highest sustained load", best))
    sustained = [step.outcome for step in results.steps.values() if not step.strain]
    return [*made, *_over_rates([*results.outcomes, *sustained])]


def _costs(title: str, outcomes: Sequence[Outcome]) -> Bars:
    names, costs = [outcome.contestant for outcome in outcomes], [cpu(outcome) for outcome in outcomes]
    return Bars(title, "µs", names, {"CPU per delivery": costs}, logarithmic=True)


def _over_rates(outcomes: Sequence[Outcome]) -> list[Plot]:
    if len({outcome.rate for outcome in outcomes}) < 2:  # noqa: PLR2004 - a line has two ends
        return []
    costs = _lines(outcomes, cpu)
    late = _lines(outcomes, lambda outcome: _latency(outcome, "p99"))
    return [
        Lines("Server CPU per delivery over the rate", "messages/s", "µs", costs),
        Lines("p99 over the rate", "messages/s", "ms", late),
    ]


def _lines(
    outcomes: Sequence[Outcome], value_of: Callable[[Outcome], float | None]
) -> dict[str, list[tuple[float, float]]]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.rate):
        if (value := value_of(outcome)) is not None:
            lines.setdefault(outcome.contestant, []).append((outcome.rate, value))
    return lines


def notes(results: Results) -> list[str]:
    """Say who took part, with which version and settings, and who did not, and why."""
    told = [FAVOURS] if any(each.name not in (STAGEWIRE, *FLOORS) for each in results.contestants) else []
    for each in results.contestants:
        name = f"{each.name} ({each.version})" if each.version else each.name
        told.append(f"{each.name} was left out: {each.left_out}" if each.left_out else f"{name}: {each.settings}")
    told += [f"{each.contestant} sustained no more because of {each.beyond}" for each in results.highest]
    failed = [outcome for outcome in results.outcomes if outcome.failed]
    told += neighbours(_taken_by_others(results))
    return [*told, *(f"{each.contestant} failed at {each.rate:,} messages/s: {each.failed}" for each in failed)]


def _taken_by_others(results: Results) -> float:
    best = [each.outcome for each in results.highest if each.outcome]
    return max(
        (
            found.server_core_busy_percent - found.server_cpu_percent
            for found in (outcome.figures for outcome in [*results.outcomes, *best])
            if found and found.server_core_busy_percent is not None and found.server_cpu_percent is not None
        ),
        default=0.0,
    )


def broken(results: Results) -> list[str]:
    """Name the promises of Stagewire's that were not kept."""
    ours = [outcome for outcome in results.outcomes if outcome.contestant == STAGEWIRE]
    found = [f"{each.failed} ({each.rate:,} messages/s)" for each in ours if each.failed]
    return found + [
        f"{what} ({each.rate:,} messages/s)" for each in ours if each.figures for what in fanout.broken(each.figures)
    ]
