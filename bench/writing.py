"""What the database takes, written by asyncpg alone: the measure for a server that does the same and more."""

import asyncio
import os
from multiprocessing.connection import Connection
from time import monotonic, monotonic_ns
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import msgspec
import uvloop
from msgspec import Struct

from bench import wire
from bench.errors import BenchError
from bench.process import end_with_conductor, spawn
from persistence.log import APPEND

_STARTING_SECONDS: Final = 30.0


class Writing(Struct, frozen=True):
    """Write `batch` messages of `size` characters at a time into these sessions, by `lanes` connections at once.

    As a server's lane does, each connection has sessions of its own, and mixes them in its batches.
    """

    url: str
    sessions: list[str]
    lanes: int
    batch: int
    size: int
    seconds: float


def write_alone(writing: Writing, cores: set[int]) -> float:
    """Give the messages per second that one process writes, on these cores.

    Raises:
        BenchError: it does not work.
    """
    process, pipe = spawn(_write, writing, cores)
    try:
        if not pipe.poll(writing.seconds + _STARTING_SECONDS):
            raise BenchError("asyncpg alone took too long")
        return float(pipe.recv())
    except EOFError:
        raise BenchError("asyncpg alone failed") from None
    finally:
        process.kill()
        process.join()
        pipe.close()


def _write(pipe: "Connection[float, float]", writing: Writing, cores: set[int]) -> None:
    end_with_conductor()
    os.sched_setaffinity(0, cores)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pipe.send(runner.run(_in_lanes(writing)))


async def _in_lanes(writing: Writing) -> float:
    lanes = [writing.sessions[lane :: writing.lanes] for lane in range(writing.lanes)]
    used = [sessions for sessions in lanes if sessions]
    connections = [await asyncpg.connect(writing.url) for _ in used]
    began = monotonic()
    lanes_wrote = await asyncio.gather(
        *(_in_lane(connection, writing, sessions) for connection, sessions in zip(connections, used, strict=True))
    )
    spent = monotonic() - began
    for connection in connections:
        await connection.close()
    return sum(lanes_wrote) / spent


async def _in_lane(connection: "asyncpg.Connection[asyncpg.Record]", writing: Writing, sessions: list[str]) -> int:
    size, wrote, key = writing.batch, 0, uuid4().int
    bodies = [msgspec.json.encode({"text": wire.stamp(monotonic_ns(), writing.size)}).decode() for _ in range(size)]
    into = [sessions[n % len(sessions)] for n in range(size)]
    until = monotonic() + writing.seconds
    while monotonic() < until:
        keys = [UUID(int=(key + wrote + n) % (1 << 128)) for n in range(size)]
        rows = await connection.fetch(APPEND, into, ["bench"] * size, keys, ["chat.posted"] * size, [0] * size, bodies)
        wrote += len(rows)
    return wrote
