"""Compare: the same load against Stagewire, the floor and other servers, one after the other."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from bench.contest import EVERYBODY, Contest
from bench.contestants import FLOORS, STAGEWIRE, Outcome
from bench.errors import BenchError
from bench.ladder import Ladder, strain
from bench.options import MOST_RATE, MOST_VIEWERS, Processes, Seconds, Size, Warmup, numbers
from bench.run import Place
from bench.scenarios import fanout
from bench.standings import Highest, Results, Step, broken, notes, plots, tables

__all__ = ["Options", "Results", "broken", "notes", "plots", "run", "tables"]


class Options(Struct, frozen=True, kw_only=True):
    """The loads, each as for `fanout`, and who meets them; or the search for the highest that each sustains."""

    viewers: Annotated[int, Meta(ge=1, le=MOST_VIEWERS, description="connections, senders included")] = 1000
    rates: Annotated[str, Meta(description="messages per second, in all; several, with commas, are met in turn")] = "50"
    seconds: Seconds = 5
    warmup: Warmup = 2
    processes: Processes = 1
    size: Size = 100
    against: Annotated[str, Meta(description="who takes part, with commas; all of them if none is named")] = ""
    highest: Annotated[bool, Meta(description="find the highest rate that each sustains, from the first rate on")] = (
        False
    )
    p99: Annotated[int, Meta(ge=1, le=10_000, description="ms of latency up to which a rate is sustained")] = 200
    peers_folder: Annotated[str, Meta(description="where to install what peers need; else among your caches")] = ""

    def load(self, rate: int) -> fanout.Options:
        """Give one of the loads."""
        return fanout.Options(
            viewers=self.viewers,
            rate=rate,
            seconds=self.seconds,
            warmup=self.warmup,
            processes=self.processes,
            size=self.size,
        )


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    rates = numbers("--rates", options.rates, MOST_RATE)
    contest = Contest(names_of(options.against), place, options.peers_folder)
    if options.highest:
        return climb_all(contest, options, rates[0])
    outcomes = [contest.meet(name, options.load(rate)) for rate in rates for name in contest.present]
    return Results(contestants=contest.contestants, outcomes=outcomes)


def names_of(text: str) -> list[str]:
    """Read who takes part, and put them into their order: the floor repeats what Stagewire has shown.

    Raises:
        BenchError: somebody is not known.
    """
    named = [word.strip() for word in text.split(",")] if text else list(EVERYBODY)
    if unknown := [name for name in named if name not in EVERYBODY]:
        raise BenchError(f"--against: nobody knows {', '.join(unknown)}; there are {', '.join(EVERYBODY)}")
    return [name for name in EVERYBODY if name in named]


def climb_all(contest: Contest, options: Options, first: int) -> Results:
    """Find the highest rate of each, and see what Stagewire does there."""
    highest, steps = list[Highest](), dict[str, Step]()
    for name in contest.present:
        taken = _climb(contest, options, name, first)
        best = max((s.outcome for s in taken if not s.strain), key=lambda outcome: outcome.rate, default=None)
        highest.append(Highest(name, best, beyond(taken), _stagewire_there(contest, options, best)))
        steps |= {f"{name} at {step.outcome.rate}": step for step in taken}
    return Results(contestants=contest.contestants, highest=highest, steps=steps)


def beyond(steps: Sequence[Step]) -> str:
    """Say what went wrong at the lowest rate that was too much, if any was."""
    sustained = max((step.outcome.rate for step in steps if not step.strain), default=0)
    failed = [step for step in steps if step.outcome.rate > sustained]
    if not failed:
        return f"the limit of {MOST_RATE:,} messages/s"
    lowest = min(failed, key=lambda step: step.outcome.rate)
    return f"{lowest.strain} (at {lowest.outcome.rate:,} messages/s)"


def _climb(contest: Contest, options: Options, name: str, first: int) -> list[Step]:
    ladder, steps = Ladder(first, MOST_RATE), list[Step]()
    while rate := ladder.next():
        outcome = contest.meet(name, options.load(rate))
        reason = strain(outcome.figures, options.p99) if outcome.figures else outcome.failed
        ladder.take(rate, not reason)
        steps.append(Step(outcome, reason))
    return steps


def _stagewire_there(contest: Contest, options: Options, best: Outcome | None) -> Outcome | None:
    """Measure Stagewire under the load that is the most for another."""
    if best is None or best.contestant in (STAGEWIRE, *FLOORS) or STAGEWIRE not in contest.present:
        return None
    return contest.meet(STAGEWIRE, options.load(best.rate))
