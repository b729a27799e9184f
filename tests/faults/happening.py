"""Makes faults happen, and be over."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic
from typing import Final

from msgspec import Struct

from tests.faults.keeper import Do
from tests.faults.node import set_clock
from tests.faults.plan import Fault, Kind, Storm, clock_offset
from tests.faults.stage import Node, Stage
from tests.faults.ways import Way

Happening = AbstractAsyncContextManager[None]

# Hints are lost with at least this probability, and late by up to so many seconds; clients by up to so many.
LOSS: Final = 0.3
LATENESS: Final = 2.0
SLOWNESS: Final = 0.3


class Happened(Struct, frozen=True):
    """A fault, and when it really began and was over, on the harness's clock."""

    kind: Kind
    node: int | None
    began: float
    ended: float


async def rage(stage: Stage, storm: Storm) -> list[Happened]:
    """Let a storm pass; everything works again afterwards."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_happen(stage, fault)) for fault in storm.faults]
    return [task.result() for task in tasks]


async def _happen(stage: Stage, fault: Fault) -> Happened:
    await asyncio.sleep(fault.after)
    began = monotonic()
    async with _HAPPENINGS[fault.kind](stage, fault):
        await asyncio.sleep(fault.seconds)
    if fault.kind is Kind.NODE_KILL:
        await stage.ready()
    return Happened(fault.kind, fault.node, began, monotonic())


def _subject(stage: Stage, fault: Fault) -> str:
    if fault.node is not None:
        return stage.nodes[fault.node].name
    return "postgres" if fault.kind in (Kind.POSTGRES_KILL, Kind.POSTGRES_STOP) else "redis"


@asynccontextmanager
async def _killed(stage: Stage, fault: Fault) -> AsyncIterator[None]:
    what = _subject(stage, fault)
    await stage.order(Do.KILL, what)
    try:
        yield
    finally:
        await stage.order(Do.START, what)


@asynccontextmanager
async def _stopped(stage: Stage, fault: Fault) -> AsyncIterator[None]:
    what = _subject(stage, fault)
    await stage.order(Do.STOP, what)
    try:
        yield
    finally:
        await stage.order(Do.GO_ON, what)


@asynccontextmanager
async def _backend_killed(stage: Stage, fault: Fault) -> AsyncIterator[None]:
    await stage.order(Do.KILL_BACKEND, "postgres")
    yield
    await stage.recovered()


@asynccontextmanager
async def _flushed(stage: Stage, fault: Fault) -> AsyncIterator[None]:
    await stage.flush()
    yield


@asynccontextmanager
async def _clock_jumps(stage: Stage, fault: Fault) -> AsyncIterator[None]:
    assert fault.node is not None
    # It stays wrong: the next fault of this kind makes it wrong in another way.
    set_clock(stage.nodes[fault.node].clock, clock_offset(fault.strength))
    yield


def _on(way_of: Callable[[Node], Way], harm: Callable[[Way, float], None]) -> Callable[[Stage, Fault], Happening]:
    """Do harm to one kind of way, of one node or of all."""

    @asynccontextmanager
    async def happening(stage: Stage, fault: Fault) -> AsyncIterator[None]:
        ways = [way_of(node) for number, node in enumerate(stage.nodes) if fault.node in (None, number)]
        for way in ways:
            harm(way, fault.strength)
        try:
            yield
        finally:
            for way in ways:
                way.mend()

    return happening


def _freeze(way: Way, _: float) -> None:
    way.freeze()


def _cut(way: Way, _: float) -> None:
    way.cut()


def _slow(way: Way, strength: float) -> None:
    way.slow = SLOWNESS * strength


def _lose(way: Way, strength: float) -> None:
    assert way.hints is not None
    way.hints.lost = LOSS + (1 - LOSS) * strength


def _delay(way: Way, strength: float) -> None:
    assert way.hints is not None
    way.hints.late = LATENESS * strength


_HAPPENINGS: Final[dict[Kind, Callable[[Stage, Fault], Happening]]] = {
    Kind.NODE_KILL: _killed,
    Kind.NODE_STOP: _stopped,
    Kind.NODE_CLOCK: _clock_jumps,
    Kind.POSTGRES_KILL: _killed,
    Kind.POSTGRES_BACKEND: _backend_killed,
    Kind.POSTGRES_STOP: _stopped,
    Kind.POSTGRES_FROZEN: _on(lambda node: node.postgres, _freeze),
    Kind.POSTGRES_CUT: _on(lambda node: node.postgres, _cut),
    Kind.REDIS_KILL: _killed,
    Kind.REDIS_STOP: _stopped,
    Kind.REDIS_FLUSHED: _flushed,
    Kind.REDIS_FROZEN: _on(lambda node: node.redis, _freeze),
    Kind.REDIS_CUT: _on(lambda node: node.redis, _cut),
    Kind.HINTS_DROPPED: _on(lambda node: node.redis, _lose),
    Kind.HINTS_DELAYED: _on(lambda node: node.redis, _delay),
    Kind.CLIENTS_FROZEN: _on(lambda node: node.clients, _freeze),
    Kind.CLIENTS_CUT: _on(lambda node: node.clients, _cut),
    Kind.CLIENTS_SLOW: _on(lambda node: node.clients, _slow),
    Kind.CLIENTS_DEAF: _on(lambda node: node.clients, lambda way, _: way.strand(near=False)),
    Kind.CLIENTS_GONE: _on(lambda node: node.clients, lambda way, _: way.strand(near=True)),
}
