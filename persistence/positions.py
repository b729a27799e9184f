"""How far each user has got in a session's log, kept in Redis for those who lost it."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from msgspec import Struct

from persistence.redis import Redis, translated

_SCRIPT: Final = files("persistence").joinpath("lua", "positions.lua").read_text("utf-8")


class Place(Struct, frozen=True, gc=False):
    """A user's position in one log, and how many milliseconds ago the user was heard of.

    A `seq` of 0 says nothing of the position: only that the user was heard of.
    """

    user: str
    epoch: str
    seq: int
    silent_ms: int


class Known(Struct, frozen=True, gc=False):
    """What was kept of a user: a position, and how many milliseconds ago the user was heard of then."""

    epoch: str
    seq: int
    silent_ms: int


class Positions:
    """Writes and reads positions. A session's positions are kept for `lifetime_ms` after the last was written."""

    def __init__(self, redis: Redis, lifetime_ms: int) -> None:
        self._redis = redis
        self._lifetime_ms = lifetime_ms
        self._script = redis.register_script(_SCRIPT)

    async def write(self, session: str, places: Sequence[Place]) -> list[Known | None]:
        """Keep the places, and give for each what was kept before. A position only moves up within an epoch.

        Raises:
            Unavailable
        """
        arguments: list[str | int] = [self._lifetime_ms]
        for place in places:
            arguments += [place.user, place.epoch, place.seq, place.silent_ms]
        with translated():
            rows = await self._script(keys=[_key(session)], args=arguments)
        return [Known(row[0].decode(), int(row[1]), int(row[2])) if row else None for row in rows]

    async def forget(self, session: str) -> None:
        """Forget everybody in a session.

        Raises:
            Unavailable
        """
        with translated():
            await self._redis.unlink(_key(session))

    async def read(self, session: str, user: str) -> tuple[str, int] | None:
        """Give the epoch and seq that were kept of a user, if there are any.

        Raises:
            Unavailable
        """
        with translated():
            kept = await self._redis.hget(_key(session), user)
        if kept is None:
            return None
        assert isinstance(kept, bytes), "the client decodes nothing"
        seq, _, epoch = kept.decode().split(":", 2)
        return (epoch, int(seq)) if int(seq) else None


def _key(session: str) -> str:
    # The braces keep a session's keys in one slot of a cluster.
    return f"sw:{{{session}}}:positions"
