"""What a run says of itself in numbers: gaps, waits, healing, each by the kind of fault. Pure; times are in seconds."""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from tests.faults.checker import Fate, Send
from tests.faults.happening import Happened
from tests.faults.ledger import Leg
from tests.faults.plan import Kind

# What comes sooner than this needs no excuse, and is not looked at closely.
SOON: Final = 0.25
# Whose readers may be late while it lasts: those of all nodes, those of its node. Nobody's, if of neither kind.
_ALL: Final = frozenset([Kind.POSTGRES_KILL, Kind.POSTGRES_BACKEND, Kind.POSTGRES_STOP])
_OWN: Final = frozenset(
    [
        Kind.NODE_KILL,
        Kind.NODE_STOP,
        Kind.POSTGRES_FROZEN,
        Kind.POSTGRES_CUT,
        Kind.CLIENTS_FROZEN,
        Kind.CLIENTS_CUT,
        Kind.CLIENTS_SLOW,
        Kind.CLIENTS_DEAF,
        Kind.CLIENTS_GONE,
    ]
)


class Passed(Struct, frozen=True):
    """A storm that has passed, and the quiet after it, up to `ended`."""

    name: str
    began: float
    ended: float
    faults: list[Happened]


class Row(Struct, frozen=True):
    """What one kind of fault did: how often it happened, how often alone; and, where it was alone, the longest times.

    `gap` is without any acknowledgement, `again` from the end of the fault to the next one, `wait` from a message's
    first sending to its acknowledgement. `healing` is from the acknowledgement to a reader whose node nothing stood
    in the way of, and `recovery` to one where something did, from when that was over.
    """

    name: str
    faults: int
    alone: int
    gap: float = 0.0
    again: float = 0.0
    wait: float = 0.0
    healing: float = 0.0
    recovery: float = 0.0


class Delay(Struct, frozen=True, gc=False):
    """How long an event took to a reader after it was acknowledged; where that was `hindered`, after that was over."""

    acked: float
    seconds: float
    hindered: bool
    node: int
    seq: int


class Hindrances:
    """When readers of a node could not be reached, through no fault of what is tested."""

    def __init__(self, faults: Iterable[Happened]) -> None:
        self._spans = sorted((fault.began, fault.ended, fault) for fault in faults if fault.kind in _ALL | _OWN)

    def until(self, node: int, begin: float, end: float) -> float | None:
        """Give when the last hindrance was over that a reader of the node met between the two times."""
        met = [
            ended
            for began, ended, fault in self._spans
            if began < end and ended > begin and (fault.kind in _ALL or fault.node == node)
        ]
        return max(met, default=None)


def delays(legs: Iterable[Leg], acked_at: Sequence[float], hindrances: Hindrances) -> Iterator[Delay]:
    """Give how long each pushed event took."""
    for leg in legs:
        for entry, arrived in zip(leg.entries, leg.times, strict=True):
            acked = acked_at[entry.seq] if entry.seq < len(acked_at) else 0.0
            if acked and arrived:
                yield _delay(leg.node, entry.seq, max(acked, leg.began), arrived, hindrances)


def _delay(node: int, seq: int, begin: float, arrived: float, hindrances: Hindrances) -> Delay:
    free = hindrances.until(node, begin, arrived) if arrived - begin > SOON else None
    seconds = max(0.0, arrived - max(begin, free or begin))
    return Delay(begin, seconds, free is not None, node, seq)


def longest_gap(acks: Sequence[float], began: float, ended: float) -> float:
    """Give the longest time without an acknowledgement that touches the span."""
    first = max(0, bisect_left(acks, began) - 1)
    last = min(len(acks), bisect_right(acks, ended) + 1)
    return max((acks[n + 1] - acks[n] for n in range(first, last - 1)), default=ended - began)


def until_next(acks: Sequence[float], since: float) -> float:
    """Give the time to the next acknowledgement; 0 where there is none."""
    following = bisect_right(acks, since)
    return acks[following] - since if following < len(acks) else 0.0


class Worst:
    """The longest times by storm."""

    def __init__(self, storms: Sequence[Passed]) -> None:
        self._storms = storms
        self._began = [storm.began for storm in storms]
        self._worst: dict[tuple[int, str], float] = {}

    def note(self, what: str, at: float, seconds: float) -> None:
        """Take a time into account, in the storm that raged at that moment."""
        storm = bisect_right(self._began, at) - 1
        if seconds > self._worst.get((storm, what), 0.0):
            self._worst[storm, what] = seconds

    def of(self, name: str, what: str) -> float:
        """Give the longest over all storms of that name."""
        return max(
            (self._worst.get((n, what), 0.0) for n, storm in enumerate(self._storms) if storm.name == name), default=0.0
        )


def rows(
    storms: Sequence[Passed], acks: Sequence[float], sends: Iterable[Send], found: Iterable[Delay]
) -> tuple[list[Row], "array[float]", Delay | None]:
    """Give the table, the delays of all who were not hindered, ascending, and the longest of these."""
    worst = Worst(storms)
    for storm in storms:
        worst.note("gap", storm.began, longest_gap(acks, storm.began, storm.ended))
        worst.note("again", storm.began, until_next(acks, max(fault.ended for fault in storm.faults)))
    for send in sends:
        if send.fate is Fate.ACKED:
            worst.note("wait", send.answered, send.answered - send.invoked)
    free, latest = array("d"), None
    for delay in found:
        worst.note("recovery" if delay.hindered else "healing", delay.acked, delay.seconds)
        if not delay.hindered:
            free.append(delay.seconds)
            latest = delay if latest is None or delay.seconds > latest.seconds else latest
    faults = Counter(fault.kind.value for storm in storms for fault in storm.faults)
    alone = Counter(storm.name for storm in storms)
    table = [_row(name, faults.get(name, 0), alone[name], worst) for name in sorted(faults.keys() | alone.keys())]
    return table, array("d", sorted(free)), latest


def _row(name: str, faults: int, alone: int, worst: Worst) -> Row:
    times = {what: worst.of(name, what) for what in ("gap", "again", "wait", "healing", "recovery")}
    return Row(name, faults, alone, **times)


def percentile(ascending: Sequence[float], part: float) -> float:
    """Give the value below which that part of all lies; 0 where there is none."""
    return ascending[min(len(ascending) - 1, int(part * len(ascending)))] if ascending else 0.0
