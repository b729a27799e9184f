"""A server under load: what watches it, who comes to it, and a Postgres that is stuck."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count

import asyncpg
import httpx
import psutil

from bench.target import samples
from tests.properties.crowd import LONGEST, Answer, Caller
from tests.support.served import ServedNode

POLL = 0.05
# Seconds for which whoever looks after servers waits for `/healthz`, before it takes one for dead.
PROBE = 2.0


class Stage:
    """The server, what it is watched by, and names that nobody has had before."""

    def __init__(self, node: ServedNode, database_url: str) -> None:
        self.node = node
        self.database_url = database_url
        self.names = count()
        self.callers: list[Caller] = []
        self.process = psutil.Process(node.process.pid)
        self.peak = 0

    def name(self, kind: str) -> str:
        """Give a user whose limits are untouched."""
        return f"{kind}-{next(self.names)}"

    def address(self) -> str:
        """Give an address whose limits are untouched."""
        number = next(self.names)
        return f"127.1.{number // 250}.{number % 250 + 1}"

    async def connect(self, user: str, address: str) -> Caller:
        """Shake hands.

        Raises:
            Refused: the server doesn't want to.
        """
        self.callers.append(await Caller.connect(self.node, user, address))
        return self.callers[-1]

    async def alone(self, example: Awaitable[None]) -> None:
        """Play an example, and have everybody gone then, whatever came: who stays is in the way of the next one."""
        try:
            await example
        finally:
            await asyncio.gather(*(caller.close() for caller in self.callers), return_exceptions=True)
            self.callers.clear()

    def rss(self) -> int:
        """Give the bytes that the server takes."""
        return int(self.process.memory_info().rss)

    async def gauges(self) -> dict[str, float]:
        """Give the server's metrics."""
        text = (await self.node.request("GET", "/metrics")).text
        return samples(text)

    async def watch(self) -> None:
        """Ask for `/healthz` again and again, and look at the memory."""
        async with httpx.AsyncClient(base_url=self.node.http, timeout=LONGEST) as http:
            while True:
                began = time.monotonic()
                assert (await http.get("/healthz")).status_code == 200
                assert time.monotonic() - began < PROBE
                self.peak = max(self.peak, self.rss())
                await asyncio.sleep(POLL)

    @asynccontextmanager
    async def healthy(self) -> AsyncIterator[None]:
        """Watch the server meanwhile."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self.watch())
            yield
            watching.cancel()


async def enter(stage: Stage, user: str, sessions: Sequence[str], address: str) -> Caller:
    """Come in, and join some sessions: the limits allow it."""
    caller = await stage.connect(user, address)
    assert (await caller.hello()).code == ""
    for session in sessions:
        assert (await caller.join(session)).code == ""
    return caller


@asynccontextmanager
async def stuck(database_url: str) -> AsyncIterator[None]:
    """Have Postgres store nothing meanwhile, and find nothing in the log."""
    postgres = await asyncpg.connect(database_url)
    try:
        async with postgres.transaction():
            await postgres.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await postgres.close()


async def until_answered(asked: "Iterable[asyncio.Task[Answer]]", most: int, within: float) -> None:
    """Wait until so many have an answer, for so many seconds."""
    done, waiting = 0, set(asked)
    async with asyncio.timeout(within):
        while done < most:
            answered, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done += len(answered)


async def wait_for_turns() -> None:
    """Wait until there may be as many handshakes at once as there may be in a second."""
    await asyncio.sleep(1)
