"""Floor: what the machine takes to write the same bytes as a Stagewire under the same load, so that it is a ratio."""

from bench.contest import Contest
from bench.contestants import FLOORS, STAGEWIRE
from bench.run import Place
from bench.scenarios import fanout
from bench.standings import Results, broken, notes, plots, tables

__all__ = ["Options", "Results", "broken", "notes", "plots", "run", "tables"]


class Options(fanout.Options, frozen=True, kw_only=True):
    """The load, as for `fanout`. The floors make the messages themselves: nobody sends there."""


def run(options: Options, place: Place) -> Results:
    """Run the scenario: Stagewire first, whose events per write the first floor repeats.

    Raises:
        BenchError: it cannot be run.
    """
    contest = Contest([STAGEWIRE, *FLOORS], place, "")
    outcomes = [contest.meet(name, options) for name in contest.present]
    return Results(contestants=contest.contestants, outcomes=outcomes)
