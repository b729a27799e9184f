"""How much fits on a core, into a GiB, and on many nodes, by what everything costs. Pure.

A node's work is a sum: being there, appends, messages in them, hints of the appends of other nodes, messages in these,
writes to sockets, the events in them, and heartbeats.

How many appends there are follows from the writer's lanes, and how many writes from how the hub flushes. A lane has one
append on its way at a time, and what comes meanwhile is in the next; one lane is filled before another is used. After a
flush that took `F`, the next one begins `min(F, tick)` later at the earliest, with all that has come meanwhile. Where
messages come more seldom than that, each has an append and a flush of its own.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

GIB: Final = 2**30
# As far as anybody looks: more viewers than these are on no core, and more nodes in no deployment.
MOST_VIEWERS: Final = 1_000_000
MOST_NODES: Final = 10_000


class Costs(Struct, frozen=True):
    """Seconds of a core: for each second of being there, and for each of the others."""

    second: float
    append: float
    message: float
    hint: float
    heard: float
    write: float
    delivery: float
    viewer: float


class Pace(Struct, frozen=True):
    """How fast a server goes by itself: the tick and the time of an append, in seconds, and its lanes.

    The next lane is used when so many messages, `fill`, wait in one.
    """

    tick: float
    append: float
    lanes: int
    fill: int


class Memory(Struct, frozen=True):
    """Bytes: of a process alone, and for each connection, session, and event of a session that is kept in memory."""

    process: float
    viewer: float
    session: float
    event: float


class Load(Struct, frozen=True):
    """What one node has: viewers, dealt evenly to sessions with `rate` messages/s each. A part is stored by others."""

    viewers: float
    sessions: float = 1
    rate: float = 0
    elsewhere: float = 0


class Work(Struct, frozen=True):
    """The parts of a core that a load takes, what it is made of, and in whole."""

    second: float
    appends: float
    messages: float
    hints: float
    heard: float
    writes: float
    deliveries: float
    viewers: float

    @property
    def whole(self) -> float:
        """Add all up."""
        return sum(float(getattr(self, part)) for part in self.__struct_fields__)


def appends(load: Load, pace: Pace) -> float:
    """Give how many appends a second there are, of all sessions."""
    stored = load.sessions * load.rate * (1 - load.elsewhere)
    if not pace.append:
        return stored
    lanes = min(pace.lanes, max(1, load.sessions), max(1, stored * pace.append / pace.fill))
    return min(stored, lanes / pace.append)


def hints(load: Load, pace: Pace) -> float:
    """Give how many hints a second a node hears: one of each append of the others, which have as much of it each."""
    here = 1 - load.elsewhere
    if not here:
        return appends(Load(load.viewers, load.sessions, load.rate), pace)
    return load.elsewhere / here * appends(load, pace)


def flushes(load: Load, costs: Costs, pace: Pace) -> float:
    """Give how many flushes a second each session has.

    A round, in which each session has one flush, takes `V(c + dr/f)`, if a write costs `c`, each of its `r/f` events
    `d`, and there are `V` viewers; and `f` rounds take, with what is waited between them, a second at most.
    """
    viewers, rate = load.viewers, load.rate
    if not viewers * costs.write or not rate:
        return rate
    # What is waited is the time of the round, or the tick if that is less: whichever gives more rounds.
    alike = (1 / (2 * viewers) - costs.delivery * rate) / costs.write
    ticking = (1 - viewers * costs.delivery * rate) / (viewers * costs.write + pace.tick)
    # A core that is taken by the deliveries alone has no time left; it flushes as seldom as it can.
    return min(rate, max(alike, ticking, 1e-3))


def work(load: Load, costs: Costs, pace: Pace) -> Work:
    """Give what a load takes of a core."""
    messages = load.sessions * load.rate
    return Work(
        second=costs.second,
        appends=costs.append * appends(load, pace),
        messages=costs.message * messages * (1 - load.elsewhere),
        hints=costs.hint * hints(load, pace),
        heard=costs.heard * messages * load.elsewhere,
        writes=costs.write * load.viewers * flushes(load, costs, pace),
        deliveries=costs.delivery * load.viewers * load.rate,
        viewers=costs.viewer * load.viewers,
    )


def flush_seconds(load: Load, costs: Costs, pace: Pace) -> float:
    """Give how long a flush of one session takes."""
    found = flushes(load, costs, pace)
    events = load.rate / found if found else 0
    return load.viewers / load.sessions * (costs.write + costs.delivery * events)


def latest(load: Load, costs: Costs, pace: Pace) -> float:
    """Give the seconds from the commit until the last viewer was written to, for the message that waits the longest.

    That is one which comes when a flush has just begun: it waits for its end, for what follows it, and for its own.
    """
    flush = flush_seconds(load, costs, pace)
    return flush + min(flush, pace.tick) + flush


def most(fits: Callable[[int], bool], limit: int = MOST_VIEWERS) -> int:
    """Give the greatest number that fits, where all below it do; 0 if 1 doesn't."""
    low, high = 0, limit + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def least(fits: Callable[[int], bool], limit: int = MOST_NODES) -> int | None:
    """Give the least number from 1 on that fits, where all above it do; none if the limit doesn't."""
    found = most(lambda number: not fits(number), limit) + 1
    return found if found <= limit else None


def viewers_per_gib(memory: Memory, kept: int, each: int | None) -> int:
    """Give the viewers for whom a GiB is enough: in one session, or in as many as it takes with `each` viewers.

    A session keeps so many events.
    """
    session = memory.session + kept * memory.event
    alone = memory.process if each else memory.process + session
    viewer = memory.viewer + session / each if each else memory.viewer
    return int(max(0, GIB - alone) / viewer) if viewer else MOST_VIEWERS
