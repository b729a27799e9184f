"""Gaps, waits and healing are what they are said to be."""

from array import array

import pytest

from tests.faults.checker import Entry, Fate, Send
from tests.faults.figures import Delay, Hindrances, Passed, Row, delays, longest_gap, percentile, rows, until_next
from tests.faults.happening import Happened
from tests.faults.ledger import Leg
from tests.faults.plan import SEVERAL, Kind


@pytest.mark.parametrize(
    ("began", "ended", "gap"),
    [
        pytest.param(0.0, 4.0, 1.0, id="all of it"),
        pytest.param(3.2, 3.4, 1.0, id="the gap lies around the span"),
        pytest.param(4.0, 9.5, 5.0, id="it reaches beyond the span"),
        pytest.param(20.0, 25.0, 5.0, id="nothing at all"),
    ],
)
def test_the_longest_gap_touches_the_span(began: float, ended: float, gap: float) -> None:
    acks = [] if began == 20.0 else [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0]
    assert longest_gap(acks, began, ended) == gap


@pytest.mark.parametrize(("since", "seconds"), [(0.0, 1.0), (1.0, 2.0), (2.5, 0.5), (3.0, 0.0)])
def test_the_next_ack_comes_after_the_moment(since: float, seconds: float) -> None:
    assert until_next([1.0, 3.0], since) == seconds


def leg(*arrivals: tuple[int, float], node: int = 0, began: float = 0.0) -> Leg:
    entries = [Entry(seq, "ann", None, None) for seq, _ in arrivals]
    return Leg(
        node, began, arrivals[0][0] - 1, reset=False, entries=entries, times=array("d", [t for _, t in arrivals])
    )


# The times at which events 1, 2 and 3 were acknowledged; nobody knows of 0.
ACKED = [0.0, 10.0, 11.0, 12.0]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        pytest.param([], (1.5, False), id="nothing stood in the way"),
        pytest.param([Happened(Kind.REDIS_KILL, None, 10.0, 12.0)], (1.5, False), id="Redis is no excuse"),
        pytest.param([Happened(Kind.NODE_STOP, 1, 10.0, 12.0)], (1.5, False), id="another node is none"),
        pytest.param([Happened(Kind.NODE_STOP, 0, 9.0, 9.9)], (1.5, False), id="it was over"),
        pytest.param([Happened(Kind.NODE_STOP, 0, 10.5, 11.0)], (0.5, True), id="its own node"),
        pytest.param([Happened(Kind.POSTGRES_STOP, None, 9.0, 10.75)], (0.75, True), id="Postgres"),
        pytest.param([Happened(Kind.CLIENTS_SLOW, 0, 9.0, 13.0)], (0.0, True), id="still"),
    ],
)
def test_a_delay_counts_from_when_nothing_stood_in_the_way(
    faults: list[Happened], expected: tuple[float, bool]
) -> None:
    [delay] = delays([leg((1, 11.5))], ACKED, Hindrances(faults))
    assert (delay.seconds, delay.hindered) == expected


def test_what_came_with_a_join_or_was_never_acknowledged_has_no_delay() -> None:
    found = list(delays([leg((1, 0.0), (2, 11.0), (3, 12.25), (4, 13.0))], ACKED, Hindrances([])))
    assert [(delay.seq, delay.seconds) for delay in found] == [(2, 0.0), (3, 0.25)]


def test_a_delay_counts_from_the_join_for_those_who_came_later() -> None:
    [delay] = delays([leg((1, 11.5), began=11.0)], ACKED, Hindrances([]))
    assert delay.seconds == 0.5


def test_an_event_may_arrive_before_its_ack() -> None:
    [delay] = delays([leg((1, 9.9))], ACKED, Hindrances([]))
    assert delay.seconds == 0.0


def send(invoked: float, answered: float, fate: Fate = Fate.ACKED) -> Send:
    return Send("ann", "k", "t", invoked, answered, fate)


def test_times_belong_to_the_storm_in_which_they_were_measured() -> None:
    kill, flush = Happened(Kind.NODE_KILL, 1, 1.0, 2.0), Happened(Kind.REDIS_FLUSHED, None, 12.0, 12.0)
    storms = [
        Passed(Kind.NODE_KILL, 0.0, 5.0, [kill]),
        Passed(SEVERAL, 5.0, 10.0, [kill, flush]),
        Passed(Kind.NODE_KILL, 10.0, 15.0, [kill]),
    ]
    acks = [0.5, 1.0, 3.0, 4.0, 9.0, 9.5, 10.5, 14.0]
    sends = [send(0.0, 1.0), send(2.0, 4.0), send(5.5, 9.0), send(0.0, 14.0, Fate.REFUSED)]
    found = [Delay(1.0, 0.25, False, 0, 7), Delay(6.0, 0.5, False, 0, 8), Delay(11.0, 0.75, True, 0, 9)]
    table, free, latest = rows(storms, acks, sends, found)
    assert table == [
        Row(Kind.REDIS_FLUSHED, 1, 0),
        Row(Kind.NODE_KILL, 3, 2, gap=5.0, again=1.0, wait=2.0, healing=0.25, recovery=0.75),
        Row(SEVERAL, 0, 1, gap=5.0, again=2.0, wait=3.5, healing=0.5),
    ]
    assert list(free) == [0.25, 0.5]
    assert latest is not None
    assert latest.seq == 8


@pytest.mark.parametrize(("part", "value"), [(0.0, 1.0), (0.5, 3.0), (0.99, 5.0), (1.0, 5.0)])
def test_percentiles(part: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0, 5.0], part) == value
    assert percentile([], part) == 0.0
