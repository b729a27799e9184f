"""Turns of slow mode, in Redis: one viewer's messages in one session, over all nodes and devices."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from msgspec import Struct

from persistence.errors import StorageError
from persistence.redis import Redis, run_each, translated

_SCRIPT: Final = files("persistence").joinpath("lua", "slow_mode.lua").read_text("utf-8")
# What a wish gets that has taken its turn just now, and what one gets whose message had it already.
TAKEN: Final = -1
HELD: Final = 0


class Wish(Struct, frozen=True):
    """A message of `key` wants its turn, `interval_ms` after the last one; an interval of 0 gives its turn back."""

    session: str
    user: str
    key: str
    interval_ms: int


class Turns:
    """Takes turns, and gives them back."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = redis.register_script(_SCRIPT)

    async def take(self, wishes: Sequence[Wish]) -> list[int | StorageError]:
        """Grant wishes one after the other, in one pipeline for each server that holds some.

        Gives for each `TAKEN`, `HELD`, or how many milliseconds must pass; an error where nobody could be asked.
        """
        replies = await run_each(
            self._redis,
            self._script,
            [([_key(wish.session)], [wish.user, wish.key, wish.interval_ms]) for wish in wishes],
        )
        return [reply if isinstance(reply, StorageError) else int(reply) for reply in replies]

    async def forget(self, session: str) -> None:
        """Forget all turns of a session.

        Raises:
            Unavailable
        """
        with translated():
            await self._redis.unlink(_key(session))


def _key(session: str) -> str:
    # The braces keep a session's keys in one slot of a cluster.
    return f"sw:{{{session}}}:turns"
