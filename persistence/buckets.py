"""Token buckets that all nodes share, in Redis."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final
from zlib import crc32

from msgspec import Struct

from persistence.errors import StorageError
from persistence.redis import DRIVER_ERRORS, Redis, in_our_words

_SCRIPT: Final = files("persistence").joinpath("lua", "buckets.lua").read_text("utf-8")
# A script's keys lie in one slot of a cluster; so many slots share the work.
SLOTS: Final = 16
# Buckets of one call, so that none holds Redis up for long.
BATCH: Final = 256


class Taken(Struct, frozen=True, gc=False):
    """`tokens` that a node has given of a bucket, which gets `rate` a second and holds `burst`."""

    key: str
    rate: float
    burst: int
    tokens: int


class SharedBuckets:
    """Takes out of shared buckets what nodes have given. A bucket that is full is not kept."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = redis.register_script(_SCRIPT)

    async def take(self, taken: Sequence[Taken]) -> tuple[dict[str, float], StorageError | None]:
        """Take tokens out, in one pipeline for each server that holds some.

        Gives the level of each bucket, which may be below zero; those are left out that could not be asked, and then
        why.
        """
        batches = _batches(taken)
        replies: list[Any]
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for batch in batches:
                    await self._script(keys=[_key(one.key) for one in batch], args=_arguments(batch), client=pipe)
                replies = await pipe.execute(raise_on_error=False)
        except DRIVER_ERRORS as exc:
            replies = [exc] * len(batches)
        errors = [reply for reply in replies if isinstance(reply, Exception)]
        levels = {
            one.key: float(level)
            for batch, reply in zip(batches, replies, strict=True)
            if not isinstance(reply, Exception)
            for one, level in zip(batch, reply, strict=True)
        }
        return levels, in_our_words(errors[0]) if errors else None


def _batches(taken: Sequence[Taken]) -> list[list[Taken]]:
    slots: dict[int, list[Taken]] = {}
    for one in taken:
        slots.setdefault(_slot(one.key), []).append(one)
    return [slot[first : first + BATCH] for slot in slots.values() for first in range(0, len(slot), BATCH)]


def _arguments(batch: Sequence[Taken]) -> list[float | int]:
    return [number for one in batch for number in (one.rate, one.burst, one.tokens)]


def _slot(key: str) -> int:
    return crc32(key.encode()) % SLOTS


def _key(key: str) -> str:
    return f"sw:{{limits:{_slot(key)}}}:{key}"
