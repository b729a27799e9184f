"""A client of a cluster, which knows where each key lies: https://valkey.io/topics/cluster-spec/.

It sends with one plain client for each master, as redis-py's single client does, and follows what the
servers say of moved slots. Who holds what is asked when a server gives cause to doubt it, never more
often than each `PAUSE`, by one caller for all.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, Final

from msgspec import Struct, structs
from redis.asyncio import Redis as Client
from redis.asyncio.client import Pipeline
from redis.commands.core import Script
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MaxConnectionsError,
    MovedError,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from persistence.errors import Misconfigured
from persistence.redis_url import Address
from persistence.slots import Slots, slot_of
from persistence.tasks import first

# Seconds between two questions who holds what.
PAUSE: Final = 0.2
# Seconds after which a server that the others don't name any more is let go. One that has not heard of a
# failover yet may leave somebody out who is in use.
GRACE: Final = 60.0
# How many servers are asked at once who holds what.
_ASKED: Final = 3
# A command is sent where we think that it belongs, and twice where a server says that it does.
_ROUNDS: Final = 3
# What an attempt may raise: uvloop's RuntimeError is a write to a socket that has just been closed.
_FAILURES: Final = (RedisError, OSError, TimeoutError, RuntimeError)
# Where the key stands in commands that don't have it first.
_KEY_AT: Final = {"EVAL": 3, "EVALSHA": 3, "EVAL_RO": 3, "EVALSHA_RO": 3, "FCALL": 3, "FCALL_RO": 3}
# What has no key, and is for every master.
_FOR_ALL: Final = frozenset(["PING", "SCRIPT LOAD", "SCRIPT FLUSH", "FLUSHALL"])


class _Step(Struct, frozen=True):
    """One attempt of the command number `at`: `args` and redis-py's `options`, sent to one server."""

    at: int
    server: Client
    args: tuple[Any, ...]
    options: Mapping[str, Any]
    asking: bool = False


class Cluster(Client):
    """All masters of a cluster, as one client of redis-py.

    It takes commands that have their key first, scripts, whose keys must lie in one slot, and
    `pipeline(transaction=False)` of these. `PING`, `SCRIPT LOAD` and `SCRIPT FLUSH` go to every master.
    """

    def __init__(self, seeds: Sequence[Address], connect: Callable[[Address], Client], timeout: float) -> None:
        """Know the cluster by some of its servers; `timeout` bounds the search for the others, in seconds."""
        self._seeds = frozenset(seeds)
        self._make = connect
        self._timeout = timeout
        self._servers: dict[Address, Client] = {}
        # When each of these was last a member, as far as we know.
        self._seen: dict[Address, float] = {}
        self._slots: Slots | None = None
        self._doubtful = True
        self._asked = -PAUSE
        self._asking = asyncio.Lock()
        self._failure: Exception | None = None
        # Its encoder is what redis-py wants of it.
        super().__init__(connection_pool=self._server(seeds[0]).connection_pool)

    def doubt(self) -> None:
        """Ask who holds what before anything else is sent."""
        self._doubtful = True

    async def spread(self, keys: Iterable[str]) -> dict[Client, list[str]]:
        """Group keys, or channels, by the server that holds them; those whose slot nobody holds are left out.

        Raises:
            redis.exceptions.ConnectionError: nobody knows.
        """
        slots = await self._known()
        spread: dict[Client, list[str]] = {}
        for key in keys:
            if holder := slots.holder(slot_of(key)):
                spread.setdefault(self._server(holder), []).append(key)
        return spread

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command where it belongs."""
        if args[0] in _FOR_ALL:
            return await self._tell_all(args, options)
        [reply] = await self.send([(args, options)])
        if isinstance(reply, Exception):
            raise reply
        return reply

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Gather commands, which then take one pipeline for each server.

        Raises:
            ValueError: with `transaction`; there is none over several servers.
        """
        if transaction or shard_hint:
            raise ValueError("a cluster has only pipeline(transaction=False)")
        return ClusterPipeline(self)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: ARG002 - redis-py's signature
        """Close all connections."""
        await self._let_go(set(self._servers))

    async def send(
        self, commands: Sequence[tuple[tuple[Any, ...], Mapping[str, Any]]], scripts: Collection[Script] = ()
    ) -> list[Any]:
        """Send commands, those of one server in one pipeline, all servers at once; give replies and exceptions.

        Commands of one key are carried out in their order. A server that does not know one of the `scripts`
        is taught it first.

        Raises:
            redis.exceptions.ConnectionError: nobody knows who holds what.
        """
        slots = await self._known()
        replies: list[Any] = [None] * len(commands)
        steps: list[_Step] = []
        for at, (args, options) in enumerate(commands):
            slot = slot_of(args[_KEY_AT.get(args[0], 1)])
            if holder := slots.holder(slot):
                steps.append(_Step(at, self._server(holder), args, options))
            else:
                self.doubt()
                replies[at] = SlotNotCoveredError(f"nobody holds slot {slot}")
        rounds = 0
        while steps and rounds < _ROUNDS:
            rounds += 1
            await self._perform(steps, scripts, replies)
            redirected = (self._redirected(step, replies[step.at]) for step in steps)
            steps = [step for step in redirected if step is not None]
        return replies

    async def _perform(self, steps: list[_Step], scripts: Collection[Script], replies: list[Any]) -> None:
        by_server: dict[Client, list[_Step]] = {}
        for step in steps:
            by_server.setdefault(step.server, []).append(step)
        answers = await asyncio.gather(*(_talk(server, those, scripts) for server, those in by_server.items()))
        for those, answered in zip(by_server.values(), answers, strict=True):
            for step, answer in zip(those, answered, strict=True):
                replies[step.at] = answer
                self._note(answer)

    def _note(self, answer: Any) -> None:
        """Doubt what we know where a server is gone, or not in charge any more."""
        lost = isinstance(answer, (RedisConnectionError, RedisTimeoutError, OSError, ClusterDownError, MovedError))
        if lost and not isinstance(answer, MaxConnectionsError):
            self.doubt()

    def _redirected(self, step: _Step, reply: Any) -> _Step | None:
        """Say where a command is to be sent instead, if a server has said so."""
        if not isinstance(reply, AskError) or reply.host in ("", "?"):
            return None
        to = (reply.host, reply.port)
        # Otherwise the slot is still on its way, and only this command is for the other server.
        moved = isinstance(reply, MovedError)
        if moved and self._slots is not None:
            self._slots.move(reply.slot_id, to)
        return structs.replace(step, server=self._server(to), asking=not moved)

    async def _tell_all(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        slots = await self._known()
        told = await asyncio.gather(
            *(self._server(master).execute_command(*args, **options) for master in slots.masters),  # type: ignore[no-untyped-call] # redis-py's
            return_exceptions=True,
        )
        for reply in told:
            self._note(reply)
            if isinstance(reply, BaseException):
                raise reply
        return told[0]

    def _server(self, address: Address) -> Client:
        if address not in self._servers:
            self._servers[address] = self._make(address)
            self._seen[address] = monotonic()
        return self._servers[address]

    async def _known(self) -> Slots:
        # While somebody asks there is no doubt; but until the first answer there is nothing known, either.
        if self._doubtful or self._slots is None:
            await self._ask_together(monotonic())
        if self._slots is None:
            said = f"{type(self._failure).__name__}: {self._failure}"
            raise RedisConnectionError(f"no server of the cluster answers: {said}") from self._failure
        return self._slots

    async def _ask_together(self, came: float) -> None:
        async with self._asking:
            # Who waited here shares what came of it, also a failure.
            if self._doubtful and came >= self._asked + PAUSE:
                await self._ask()

    async def _ask(self) -> None:
        # First: a doubt that comes up while we ask is one about the answer.
        self._doubtful = False
        known = sorted(self._seeds | (self._slots.members if self._slots else set()))
        # Chance decides who is asked, so that one who is silent does not stand in the way for ever.
        some = random.sample(known, min(_ASKED, len(known)))
        try:
            async with asyncio.timeout(self._timeout):
                self._slots = await first(self._ask_one(address) for address in some)
        except (*_FAILURES, Misconfigured) as exc:
            self._doubtful, self._failure = True, exc
        except BaseException:
            self._doubtful = True
            raise
        else:
            await self._retire(self._seeds | self._slots.members)
        finally:
            self._asked = monotonic()

    async def _ask_one(self, address: Address) -> Slots:
        try:
            answer = await self._server(address).execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call] # redis-py's
        except ResponseError as exc:
            if "cluster support disabled" in str(exc):
                raise Misconfigured("this Redis is no cluster: give it a redis:// URL") from exc
            raise
        slots = Slots(answer, address)
        if not slots.members:
            raise ClusterDownError("nobody holds any slot")
        return slots

    async def _retire(self, members: Iterable[Address]) -> None:
        now = monotonic()
        self._seen.update(dict.fromkeys(self._servers.keys() & set(members), now))
        await self._let_go({address for address, seen in self._seen.items() if now - seen > GRACE})

    async def _let_go(self, addresses: Collection[Address]) -> None:
        clients = [self._servers.pop(address) for address in addresses]
        for address in addresses:
            del self._seen[address]
        await asyncio.gather(*(client.aclose() for client in clients), return_exceptions=True)


class ClusterPipeline(Pipeline):
    """Commands for several servers, which don't wait for each other."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.connection_pool, {}, transaction=False, shard_hint=None)
        self._cluster = cluster

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send what was gathered, and give the replies in its order.

        With `raise_on_error` the first failure is raised. Without it every failure stands in its command's
        place, that of a server which cannot be reached too.
        """
        commands, self.command_stack = self.command_stack, []
        replies = await self._cluster.send(commands, self.scripts) if commands else []
        failures = [reply for reply in replies if isinstance(reply, Exception)]
        if raise_on_error and failures:
            raise failures[0]
        return replies


async def _talk(server: Client, steps: list[_Step], scripts: Collection[Script]) -> list[Any]:
    """Send the steps of one server in one pipeline, and give replies and exceptions."""
    try:
        async with server.pipeline(transaction=False) as pipe:
            pipe.scripts.update(scripts)
            for step in steps:
                if step.asking:
                    pipe.execute_command("ASKING")
                pipe.execute_command(*step.args, **step.options)
            replies = iter(await pipe.execute(raise_on_error=False))
    except _FAILURES as exc:
        return [exc] * len(steps)
    answers = []
    for step in steps:
        if step.asking:
            next(replies)
        answers.append(next(replies))
    return answers
