import pytest
from msgspec import structs

from bench.contest import Contest, divided, events_per_write
from bench.contestants import Contestant, Outcome
from bench.errors import BenchError
from bench.looks import Look
from bench.scenarios import compare
from bench.scenarios.fanout import Options
from bench.standings import Step
from tests.bench.samples import FIGURES


def test_contestants_have_their_order() -> None:
    assert compare.names_of("ws,floor, stagewire") == ["stagewire", "floor", "ws"]
    assert compare.names_of("")[:3] == ["stagewire", "floor", "floor-each"]
    with pytest.raises(BenchError, match="nobody knows socketio; there are stagewire"):
        compare.names_of("ws,socketio")


@pytest.mark.parametrize(
    ("viewers", "rate", "senders"), [(1000, 50, 5), (1000, 3000, 300), (100, 3000, 98), (1, 50, 1)]
)
def test_somebody_always_checks(viewers: int, rate: int, senders: int) -> None:
    load = compare.Options(viewers=viewers).load(rate)
    assert (load.talkers, load.checked) == (senders, min(load.checked, viewers - senders))
    assert viewers == 1 or load.checked >= 2


def test_where_nobody_talks_all_listen() -> None:
    load = Options(viewers=100, rate=100, processes=2)
    assert divided(load, talking=True)[-1] == {"senders": 10, "samples": 20, "size": 100}
    assert divided(load, talking=False)[-1] == {"viewers": 10, "samples": 20, "size": 100}


def test_writes_are_known_by_what_stagewire_counts() -> None:
    before, after = (
        Look(at, {"stagewire_deliveries_total": deliveries, "stagewire_commit_to_socket_seconds_count": flushes})
        for at, deliveries, flushes in ((0, 1000.0, 5.0), (1, 31_000.0, 15.0))
    )
    assert events_per_write(before, after, 1000) == 3
    assert events_per_write(before, before, 1000) == 1


def test_what_was_too_much_is_told_of_the_lowest_rate() -> None:
    tried = [(50, ""), (100, "late"), (75, "later"), (60, "")]
    steps = [Step(Outcome("ws", rate, None), strain) for rate, strain in tried]
    assert compare.beyond(steps) == "later (at 75 messages/s)"
    assert compare.beyond(steps[:1]) == "the limit of 100,000 messages/s"


class Scripted(Contest):
    """A contest in which everybody does what the limits say."""

    def __init__(self, limits: dict[str, int]) -> None:
        self.contestants = [Contestant(name, "", "") for name in limits]
        self.met: list[tuple[str, int]] = []
        self._limits = limits

    def meet(self, name: str, load: Options) -> Outcome:
        self.met.append((name, load.rate))
        missing = int(load.rate > self._limits[name])
        return Outcome(name, load.rate, structs.replace(FIGURES, missing=missing))


def test_the_highest_rate_of_each_is_found_and_stagewire_meets_it() -> None:
    contest = Scripted({"stagewire": 400, "floor": 500, "ws": 90, "socket.io": 0})
    results = compare.climb_all(contest, compare.Options(), 50)
    best = {each.contestant: each.outcome and each.outcome.rate for each in results.highest}
    assert best == {"stagewire": 400, "floor": 500, "ws": 87, "socket.io": None}
    there = {each.contestant: each.stagewire and each.stagewire.rate for each in results.highest}
    assert there == {"stagewire": None, "floor": None, "ws": 87, "socket.io": None}
    assert results.highest[2].beyond.endswith("(at 93 messages/s)")
    met = {f"{name} at {rate}" for name, rate in contest.met}
    assert set(results.steps) == met - {"stagewire at 87"}
    assert results.steps["ws at 87"].strain == ""
    assert results.steps["ws at 93"].strain


def test_who_cannot_be_measured_sustains_nothing() -> None:
    class Failing(Scripted):
        def meet(self, name: str, load: Options) -> Outcome:
            return Outcome(name, load.rate, None, failed="it did not start")

    results = compare.climb_all(Failing({"ws": 1}), compare.Options(), 1)
    assert results.highest[0].outcome is None
    assert results.highest[0].beyond == "it did not start (at 1 messages/s)"
