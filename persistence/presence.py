"""Each node's part of every session's audience, in Redis, under a lease."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from msgspec import Struct

from persistence.errors import StorageError
from persistence.redis import DRIVER_ERRORS, Redis, in_our_words, translated

_SCRIPT: Final = files("persistence").joinpath("lua", "audience.lua").read_text("utf-8")


class Part(Struct, frozen=True, kw_only=True):
    """What a node writes of one session. With `anew`, `entered` is all of its users there."""

    session: str
    connections: int
    entered: Sequence[str] = ()
    left: Sequence[str] = ()
    anew: bool = False


class Whole(Struct, frozen=True):
    """The audience over all nodes, and how many users stand written for this one."""

    connections: int
    users: int
    written: int


class Presence:
    """Writes this node's parts; a part that isn't written again within the lease is gone."""

    def __init__(self, redis: Redis, node: str, lease_ms: int) -> None:
        self._redis = redis
        self._node = node
        self._lease_ms = lease_ms
        self._script = redis.register_script(_SCRIPT)

    async def write(self, parts: Sequence[Part]) -> list[Whole | StorageError]:
        """Write the parts, in one pipeline for each server that holds some, and give the whole of each session.

        An error stands for a session whose server could not be asked: nobody knows whether its part was written.
        """
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for part in parts:
                    await self._script(keys=_keys(part.session), args=self._arguments(part), client=pipe)
                replies = await pipe.execute(raise_on_error=False)
        except DRIVER_ERRORS as exc:
            replies = [exc] * len(parts)
        return [in_our_words(reply) if isinstance(reply, Exception) else Whole(*reply) for reply in replies]

    async def elsewhere(self, session: str, users: Sequence[str]) -> set[str]:
        """Give those of the users who are written for the session by other nodes.

        Raises:
            Unavailable
        """
        leases, _, prefix = _keys(session)
        with translated():
            nodes: list[bytes] = await self._redis.zrange(leases, 0, -1)  # type: ignore[assignment] # decodes nothing
            async with self._redis.pipeline(transaction=False) as pipe:
                for node in nodes:
                    if node.decode() != self._node:
                        pipe.smismember(prefix + node.decode(), list(users))
                found = await pipe.execute()
        return {user for node in found for user, there in zip(users, node, strict=True) if there}

    def _arguments(self, part: Part) -> list[str | int]:
        return [
            self._node,
            self._lease_ms,
            part.connections,
            int(part.anew),
            len(part.entered),
            *part.entered,
            *part.left,
        ]


def _keys(session: str) -> list[str]:
    # The braces keep a session's keys in one slot of a cluster: those too that the script makes of the last one.
    return [f"sw:{{{session}}}:leases", f"sw:{{{session}}}:connections", f"sw:{{{session}}}:users:"]
