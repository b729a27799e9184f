"""Each node's part of every session's audience, and the whole, in Redis, under leases."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from msgspec import Struct

from persistence.errors import StorageError
from persistence.redis import Redis, run_each, translated

_SCRIPT: Final = files("persistence").joinpath("lua", "audience.lua").read_text("utf-8")
# The field of the parts that holds the whole.
_WHOLE: Final = b"*"


class Part(Struct, frozen=True, kw_only=True):
    """What a node writes of one session: its connections, and the users who have come, gone, and so on.

    It goes on from the version `base`, and is `version` then. Without a base it is everything that there is:
    `entered` is all of the node's users there, `began` all who watch, `posted` all who have posted.
    `mark` is that of the names that the node knows.
    """

    session: str
    connections: int
    version: int
    base: int = 0
    entered: Sequence[str] = ()
    left: Sequence[str] = ()
    began: Sequence[str] = ()
    stopped: Sequence[str] = ()
    posted: Sequence[str] = ()
    mark: str = ""


class Whole(Struct, frozen=True, kw_only=True):
    """The audience over all nodes. `connections` may be any number, the others count distinct users.

    Where the part was not `taken`, Redis has another version of it than its base, and must be told everything.
    `changed` says whether the whole is other than before. `names` are all users, by name, unless they are too many, or
    `mark` is the one that the node knows. `chatted` are those of the users who entered who had posted before.
    """

    taken: bool
    connections: int
    users: int
    watching: int
    chatters: int
    changed: bool
    mark: str
    names: list[str] | None = None
    chatted: Sequence[str] = ()


class Attendee(Struct, frozen=True):
    """A user who is there."""

    user: str
    watching: bool
    chatter: bool


class Presence:
    """Writes this node's parts; a part that isn't written again within the lease is gone.

    Users are named where a session has up to `list_limit` of them.
    """

    def __init__(self, redis: Redis, node: str, lease_ms: int, list_limit: int) -> None:
        self._redis = redis
        self._node = node
        self._lease_ms = lease_ms
        self._list_limit = list_limit
        self._script = redis.register_script(_SCRIPT)

    async def write(self, parts: Sequence[Part]) -> list[Whole | StorageError]:
        """Write the parts, in one pipeline for each server that holds some, and give the whole of each session.

        An error stands for a session whose server could not be asked: nobody knows whether its part was written.
        """
        calls = [(_keys(part.session), self._arguments(part)) for part in parts]
        replies = await run_each(self._redis, self._script, calls)
        return [reply if isinstance(reply, StorageError) else _whole(reply) for reply in replies]

    async def page(self, session: str, after: str, limit: int) -> tuple[Whole, list[Attendee]]:
        """Give the audience, and by name the first users after one.

        Raises:
            Unavailable
        """
        _, users, watching, chatters = keys = _keys(session)
        with translated():
            reply = await self._script(keys=keys, args=["", 0, 0, 0, 0, 0, "", 0, 0, 0, 0, 0])
            found: list[bytes] = await self._redis.zrange(  # type: ignore[assignment] # decodes nothing
                users, f"({after}" if after else "-", "+", bylex=True, offset=0, num=limit
            )
            if not found:
                return _whole(reply), []
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.smismember(watching, found)
                pipe.smismember(chatters, found)
                flags = await pipe.execute()
        return _whole(reply), [
            Attendee(user.decode(), bool(watches), bool(chats))
            for user, watches, chats in zip(found, *flags, strict=True)
        ]

    async def elsewhere(self, session: str, users: Sequence[str]) -> set[str]:
        """Give those of the users who are written for the session by other nodes.

        Raises:
            Unavailable
        """
        parts, prefix, *_ = _keys(session)
        with translated():
            nodes = [name.decode() for name in await self._redis.hkeys(parts) if name != _WHOLE]  # type: ignore[union-attr] # decodes nothing
            async with self._redis.pipeline(transaction=False) as pipe:
                for node in nodes:
                    if node != self._node:
                        pipe.smismember(f"{prefix}:{node}", list(users))
                found = await pipe.execute()
        return {user for node in found for user, there in zip(users, node, strict=True) if there}

    def _arguments(self, part: Part) -> list[str | int]:
        lists = (part.entered, part.left, part.began, part.stopped, part.posted)
        return [
            self._node,
            self._lease_ms,
            part.connections,
            part.base,
            part.version,
            self._list_limit,
            part.mark,
            *map(len, lists),
            *(user for users in lists for user in users),
        ]


def _whole(reply: Any) -> Whole:
    taken, connections, users, watching, chatters, changed, mark, names, chatted = reply
    return Whole(
        taken=bool(taken),
        connections=connections,
        users=users,
        watching=watching,
        chatters=chatters,
        changed=bool(changed),
        mark=mark.decode(),
        names=None if names is None else [name.decode() for name in names],
        chatted=[name.decode() for name in chatted],
    )


def _keys(session: str) -> list[str]:
    # The braces keep a session's keys in one slot of a cluster: those too that the script makes of them.
    return [f"sw:{{{session}}}:{name}" for name in ("parts", "users", "watching", "chatters")]
