"""Which faults a run has, and when: all of it follows from the seed. Pure."""

from collections.abc import Iterator
from enum import StrEnum
from random import Random

from msgspec import Struct


class Kind(StrEnum):
    """What can go wrong."""

    NODE_KILL = "node killed"
    NODE_STOP = "node stopped"
    NODE_CLOCK = "node's clock jumps"
    POSTGRES_KILL = "Postgres killed"
    POSTGRES_BACKEND = "Postgres backend killed"
    POSTGRES_STOP = "Postgres stopped"
    POSTGRES_FROZEN = "node's way to Postgres frozen"
    POSTGRES_CUT = "node's way to Postgres cut"
    REDIS_KILL = "Redis killed"
    REDIS_STOP = "Redis stopped"
    REDIS_FLUSHED = "Redis flushed"
    REDIS_FROZEN = "node's way to Redis frozen"
    REDIS_CUT = "node's way to Redis cut"
    HINTS_DROPPED = "hints dropped"
    HINTS_DELAYED = "hints delayed"
    CLIENTS_FROZEN = "clients' way frozen"
    CLIENTS_CUT = "clients' way cut"
    CLIENTS_SLOW = "clients' way slow"
    CLIENTS_DEAF = "clients half-open: the node has gone"
    CLIENTS_GONE = "clients half-open: the clients have gone"


# What one fault at a time can happen to: a killed process is not stopped, a frozen way is not cut.
_SUBJECTS = {
    "node": (Kind.NODE_KILL, Kind.NODE_STOP),
    "clock": (Kind.NODE_CLOCK,),
    "postgres": (Kind.POSTGRES_KILL, Kind.POSTGRES_BACKEND, Kind.POSTGRES_STOP),
    "way to postgres": (Kind.POSTGRES_FROZEN, Kind.POSTGRES_CUT),
    "redis": (Kind.REDIS_KILL, Kind.REDIS_STOP, Kind.REDIS_FLUSHED),
    "way to redis": (Kind.REDIS_FROZEN, Kind.REDIS_CUT, Kind.HINTS_DROPPED, Kind.HINTS_DELAYED),
    "way of clients": (
        Kind.CLIENTS_FROZEN,
        Kind.CLIENTS_CUT,
        Kind.CLIENTS_SLOW,
        Kind.CLIENTS_DEAF,
        Kind.CLIENTS_GONE,
    ),
}
_SUBJECT = {kind: subject for subject, kinds in _SUBJECTS.items() for kind in kinds}
_SHARED = frozenset(["postgres", "redis"])
# Happens to one node, or to all at once.
_EVERYWHERE = frozenset([Kind.HINTS_DROPPED, Kind.HINTS_DELAYED])
# Nobody restarts them: they are over as soon as they have happened.
_MOMENTARY = frozenset([Kind.REDIS_FLUSHED, Kind.POSTGRES_BACKEND, Kind.NODE_CLOCK])

SPREAD = 2.0
SHORTEST, LONGEST = 0.3, 6.0
HOUR = 3600.0


class Fault(Struct, frozen=True):
    """One thing that goes wrong: `after` seconds into its storm, for so many `seconds`, to the node of that number.

    What is shared by all nodes has no number. `strength` is from 0 to 1: the part of hints that is
    lost, how late they come, how far a clock is wrong.
    """

    kind: Kind
    node: int | None
    after: float
    seconds: float
    strength: float

    @property
    def subject(self) -> tuple[str, int | None]:
        """Give what it happens to."""
        return _SUBJECT[self.kind], self.node


class Storm(Struct, frozen=True):
    """Faults that overlap, and so many seconds of quiet after the last of them is over."""

    faults: list[Fault]
    quiet: float

    @property
    def name(self) -> str:
        """Name it by its only kind."""
        return self.faults[0].kind if len(self.faults) == 1 else SEVERAL


SEVERAL = "several at once"


def storms(seed: int, nodes: int, kinds: tuple[Kind, ...] = tuple(Kind), most: int = 3) -> Iterator[Storm]:
    """Give storms of one to `most` faults without end. No kind is left out for long: they come like cards."""
    random = Random(f"storms {seed}")
    cards = _cards(random, kinds)
    while True:
        faults = [_fault(random, next(cards), nodes) for _ in range(random.choice([1, *range(1, most + 1)]))]
        yield Storm(_apart(faults), random.uniform(2.0, 4.0))


def _cards(random: Random, kinds: tuple[Kind, ...]) -> Iterator[Kind]:
    while True:
        yield from random.sample(kinds, len(kinds))


def _fault(random: Random, kind: Kind, nodes: int) -> Fault:
    for_all = _SUBJECT[kind] in _SHARED or (kind in _EVERYWHERE and random.random() < 1 / 2)
    return Fault(
        kind=kind,
        node=None if for_all else random.randrange(nodes),
        after=random.uniform(0.0, SPREAD),
        seconds=0.0 if kind in _MOMENTARY else random.uniform(SHORTEST, LONGEST),
        strength=random.random(),
    )


def _apart(faults: list[Fault]) -> list[Fault]:
    """Drop what happens to something that another fault of the storm has hold of."""
    held: dict[str, list[int | None]] = {}
    kept = []
    for fault in faults:
        subject, node = fault.subject
        others = held.setdefault(subject, [])
        if node in others or None in others or (node is None and others):
            continue
        others.append(node)
        kept.append(fault)
    return kept


def clock_offset(strength: float) -> float:
    """Give by how many seconds a clock is wrong: minutes to hours, either way."""
    return (2 * strength - 1) * 3 * HOUR
