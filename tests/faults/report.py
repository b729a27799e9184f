"""The outcome of a run: as JSON, in words for a terminal, and as tables for docs/reliability.md."""

from typing import Final

from msgspec import Struct

from tests.faults.figures import Row

# The names of broken promises, by what they mean to a user.
LOST: Final = ("lost", "hole", "silent hole", "stuck", "unsettled")
DUPLICATED: Final = ("duplicate", "repeated")
REORDERED: Final = ("reordered", "out of turn")
HEADS: Final = (
    "fault",
    "times",
    "alone",
    "gap in acks, s",
    "acks again, s",
    "wait for an ack, s",
    "healing, s",
    "recovery, s",
)


class Options(Struct, frozen=True, kw_only=True):
    """How a run is to be. It lasts `minutes`, and on until there are `acks`, but for no more than three times that.

    `rate` is messages a second that all writers together try to send; `healing` the seconds within which an
    unhindered reader must have what was acknowledged, 0 for any.
    """

    seed: int = 1
    minutes: float = 2.0
    acks: int = 0
    nodes: int = 3
    sessions: int = 10
    writers: int = 30
    readers: int = 20
    visitors: int = 4
    rate: float = 1500.0
    most: int = 3
    healing: float = 2.0
    kinds: list[str] = []
    broken: str | None = None


class Report(Struct, frozen=True, kw_only=True):
    """What happened. `broken` counts broken promises by name, `evidence` tells of the first of them."""

    options: Options
    seconds: float
    faults: int
    sends: int
    acks: int
    refused: int
    unknown: int
    events: int
    received: int
    pages: int
    connections: int
    resent: int
    answers: dict[str, int]
    closes: dict[str, int]
    hints_dropped: int
    hints_delayed: int
    resets: int
    needless_resets: int
    nodes_ended: int
    delay_p50: float
    delay_p99: float
    delay_max: float
    lag_max: float
    cpu: dict[str, float]
    rows: list[Row]
    broken: dict[str, int]
    evidence: list[str]

    def count(self, names: tuple[str, ...]) -> int:
        """Count the broken promises of these names."""
        return sum(self.broken.get(name, 0) for name in names)


def words(report: Report) -> str:
    """Say it to a person."""
    return "\n".join([_story(report), "", _table(report.rows, HEADS), "", *report.evidence])


def _story(report: Report) -> str:
    options = report.options
    cpu = ", ".join(f"{name} {seconds:.0f}" for name, seconds in report.cpu.items())
    return f"""\
seed {options.seed}: {report.seconds:.0f} s, {options.nodes} nodes, {options.sessions} sessions, \
{options.writers} writers, {options.readers} readers, {options.visitors} visitors
  {report.faults} faults, {report.connections:,} connections, {report.resent:,} messages sent again
  {report.sends:,} sends: {report.acks:,} acked, {report.refused:,} refused, {report.unknown:,} unknown
  {report.count(LOST)} lost, {report.count(DUPLICATED)} duplicated, {report.count(REORDERED)} reordered, \
{sum(report.broken.values())} broken promises in all {report.broken or ""}
  {report.events:,} events in the logs, {report.received:,} received by readers, {report.pages:,} pages, \
{report.resets} resets, {report.needless_resets} of them needless
  from ack to an unhindered reader: p50 {_ms(report.delay_p50)}, p99 {_ms(report.delay_p99)}, \
longest {_ms(report.delay_max)}
  answers other than acks {report.answers}, closes {report.closes}
  hints dropped {report.hints_dropped:,}, delayed {report.hints_delayed:,}; \
nodes ended by themselves {report.nodes_ended}
  CPU seconds: {cpu}; the harness's loop was late by {_ms(report.lag_max)} at most"""


def _table(rows: list[Row], heads: tuple[str, ...]) -> str:
    cells = [heads, *map(_cells, rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(heads))]
    return "\n".join(f"  {_line(row, widths)}" for row in cells)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join([name, *(cell.strip().rjust(len(cell)) for cell in numbers)])


def _cells(row: Row) -> tuple[str, ...]:
    times = (row.gap, row.again, row.wait, row.healing, row.recovery)
    return row.name, str(row.faults or ""), str(row.alone), *(_s(seconds) if row.alone else "" for seconds in times)


def markdown(report: Report) -> str:
    """Give the figures for docs/reliability.md."""
    options = report.options
    summary = {
        "seed": options.seed,
        "nodes, sessions, writers, readers": (
            f"{options.nodes}, {options.sessions}, {options.writers}, {options.readers}"
        ),
        "length": f"{report.seconds / 60:.1f} min",
        "faults": f"{report.faults:,}",
        "messages acknowledged": f"{report.acks:,}",
        "refused, of unknown fate": f"{report.refused:,}, {report.unknown:,}",
        "events received by readers": f"{report.received:,}",
        "**lost**": f"**{report.count(LOST)}**",
        "**duplicated**": f"**{report.count(DUPLICATED)}**",
        "**reordered**": f"**{report.count(REORDERED)}**",
        "broken promises in all": sum(report.broken.values()),
        "readers told to begin anew": f"{report.resets:,}",
        "from ack to a reader: p50, p99": f"{_ms(report.delay_p50)}, {_ms(report.delay_p99)}",
        "longest healing time": f"{_s(report.delay_max)} s",
    }
    return "\n".join(
        [
            "| figure | value |",
            "| --- | --: |",
            *(f"| {name} | {value} |" for name, value in summary.items()),
            "",
            f"| {' | '.join(HEADS)} |",
            f"| --- |{' --: |' * (len(HEADS) - 1)}",
            *(f"| {' | '.join(_cells(row))} |" for row in report.rows),
        ]
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def _s(seconds: float) -> str:
    return f"{seconds:.2f}"
