"""What a run of the fault harness plays on: servers and nodes that can be killed, and the ways between them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from random import Random
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import msgspec
from redis.asyncio import Redis

from persistence.migrate import migrate
from persistence.postgres import PoolSettings, Postgres
from persistence.sessions import Sessions
from realtime.settings import Settings
from realtime.sockets import Sockets, reserve
from tests.faults.broken import SCHEMAS
from tests.faults.keeper import Answer, Do, Order, servers
from tests.faults.node import set_clock
from tests.faults.ways import Hints, Way
from tests.support.databases import connected
from tests.support.nodes import SECRET

ROOT: Final = Path(__file__).parents[2]
HOST: Final = "host"
READY_WITHIN: Final = 60.0
END_WITHIN: Final = 20.0
_POLL: Final = 0.05
_NOTICED: Final = 0.2
# Quicker than in production, so that a run sees many silences and time-outs.
_SETTINGS: Final = {
    "STAGEWIRE_HEARTBEAT": "2",
    "STAGEWIRE_SILENCE": "6",
    "STAGEWIRE_DATABASE_TIMEOUT": "2",
    "STAGEWIRE_LOG_LEVEL": "warning",
    "STAGEWIRE_SHARE_PORTS": "true",
    "STAGEWIRE_JWT_SECRET": SECRET,
    # Its writers are few, and write as fast as thousands.
    "STAGEWIRE_RATE_LIMITS": "false",
}


class StageError(Exception):
    """The stage itself has failed: not what is tested on it."""


class Node:
    """One node, by its ports, which it keeps over restarts, and the ways that lead to and from it."""

    def __init__(self, number: int, folder: Path, random: Random) -> None:
        self.name = f"node-{number}"
        # Held but not listened on, so that nobody else takes them while the node is away.
        self.sockets: Sockets = reserve(Settings(port=0, http_port=0, share_ports=True))
        self.clients = Way(("127.0.0.1", self.sockets.websocket_port))
        self.hints = Hints(random)
        self.clock = folder / f"{self.name}.clock"
        self.postgres: Way
        self.redis: Way

    @property
    def ways(self) -> list[Way]:
        """Give all its ways."""
        return [self.clients, self.postgres, self.redis]

    async def serves(self) -> bool:
        """Tell whether the node answers by itself."""
        try:
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.sockets.http_port)
                with closing(writer):
                    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
                    return b" 200 " in await reader.readline()
        except (OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close the ways, and give the ports back."""
        for way in self.ways:
            await way.close()
        self.sockets.websocket.close()
        self.sockets.http.close()


class Stage:
    """Postgres, Valkey and nodes, in processes of their own."""

    def __init__(self, folder: Path, nodes: int, random: Random, broken: str | None) -> None:
        self.folder = folder
        self.database_url = ""
        self.redis_url = ""
        self.nodes = [Node(number, folder, random) for number in range(nodes)]
        self._broken = broken
        self._keeper: asyncio.subprocess.Process | None = None
        self._asking = asyncio.Lock()

    @property
    def names(self) -> list[str]:
        """Name all that runs on it."""
        return ["postgres", "redis", *(node.name for node in self.nodes)]

    async def open(self) -> None:
        """Start everything; it is ready afterwards."""
        self._keeper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.keeper", str(self.folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            # Ctrl-C is for us; it is told by the end of its input.
            start_new_session=True,
        )
        self.database_url = (await self.order(Do.START, "postgres")).url
        self.redis_url = (await self.order(Do.START, "redis")).url
        await self._prepare()
        await asyncio.gather(*map(self._open_node, self.nodes))
        await self.ready()

    async def close(self) -> None:
        """End everything."""
        for node in self.nodes:
            if hasattr(node, "redis"):
                await node.close()
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
            async with asyncio.timeout(END_WITHIN):
                await self._keeper.wait()

    def erase(self) -> None:
        """Delete the servers' data, wherever they lie. Everything must have ended."""
        for server in servers(self.folder):
            server.erase()

    async def order(self, do: Do, what: str, arguments: list[str] | None = None, **environ: str) -> Answer:
        """Have the keeper do something.

        Raises:
            StageError: it cannot.
        """
        assert self._keeper is not None
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        async with self._asking:
            self._keeper.stdin.write(msgspec.json.encode(Order(do, what, arguments or [], environ)) + b"\n")
            line = await self._keeper.stdout.readline()
        if not line:
            raise StageError("the keeper has ended")
        answer = msgspec.json.decode(line, type=Answer)
        if answer.error:
            raise StageError(answer.error)
        return answer

    async def ready(self) -> None:
        """Wait until every node serves.

        Raises:
            StageError: one does not.
        """
        try:
            async with asyncio.timeout(READY_WITHIN):
                for node in self.nodes:
                    while not await node.serves():  # noqa: ASYNC110 - it tells nobody
                        await asyncio.sleep(_POLL)
        except TimeoutError:
            raise StageError(f"a node does not come back: see the logs in {self.folder}") from None

    async def recovered(self) -> None:
        """Wait until Postgres has noticed that one of its processes was killed, and serves again.

        Raises:
            StageError: it does not.
        """
        await asyncio.sleep(_NOTICED)
        try:
            async with asyncio.timeout(READY_WITHIN):
                while not await self._postgres_serves():  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            raise StageError("Postgres does not recover") from None

    async def _postgres_serves(self) -> bool:
        try:
            async with self.connection():
                return True
        except (asyncpg.PostgresError, OSError):
            return False

    async def flush(self) -> None:
        """Have Redis forget everything."""
        async with Redis.from_url(self.redis_url, socket_timeout=5) as redis:
            await redis.flushall()

    async def sessions(self, count: int) -> list[str]:
        """Create sessions; give their ids."""
        async with self._pool() as pool:
            return [(await Sessions(pool).create(HOST, f"Show {number}")).id for number in range(count)]

    def connection(self) -> "AbstractAsyncContextManager[asyncpg.Connection[asyncpg.Record]]":
        """Connect to Postgres, past all ways."""
        return connected(self.database_url)

    async def _prepare(self) -> None:
        async with self._pool() as pool:
            await migrate(pool)
            async with pool.connection() as connection:
                await connection.execute(SCHEMAS.get(self._broken or "", "SELECT"))

    @asynccontextmanager
    async def _pool(self) -> AsyncIterator[Postgres]:
        pool = Postgres(PoolSettings(self.database_url, 1, 5.0, 30.0))
        await pool.open()
        try:
            yield pool
        finally:
            await pool.close()

    async def _open_node(self, node: Node) -> None:
        database, options = urlsplit(self.database_url), parse_qs(urlsplit(self.database_url).query)
        node.postgres = Way(Path(options["host"][0]) / f".s.PGSQL.{options['port'][0]}")
        node.redis = Way(Path(unquote(urlsplit(self.redis_url).path)), node.hints)
        for way in node.ways:
            await way.open()
        set_clock(node.clock, 0.0)
        environ = {
            **os.environ,
            **_SETTINGS,
            "DATABASE_URL": f"postgresql://{database.username}@127.0.0.1:{node.postgres.port}{database.path}",
            "REDIS_URL": f"redis://127.0.0.1:{node.redis.port}",
            "STAGEWIRE_PORT": str(node.sockets.websocket_port),
            "STAGEWIRE_HTTP_PORT": str(node.sockets.http_port),
            "PYTHONPATH": str(ROOT),
        }
        broken = [self._broken] if self._broken else []
        await self.order(Do.START, node.name, ["-m", "tests.faults.node", str(node.clock), *broken, "serve"], **environ)
