"""Slices of a log as they are told: encoded once for all who ask for the same, as long as nothing is added to it."""

from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import Raw

from realtime.protocol.codec import Format

# What it takes to remember a slice, beside its bytes.
_OVERHEAD: Final = 256
# The events above the first number and below the second one.
Bounds: TypeAlias = tuple[Format, int, int]


class Slices:
    """Remembers encoded slices of one log, up to `most` bytes of them."""

    __slots__ = ("_known", "_most", "_size")

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._known: dict[Bounds, Raw] = {}

    def give(self, bounds: Bounds, encode: Callable[[], Raw]) -> Raw:
        """Give a slice, encoded now if it is not remembered."""
        known = self._known.get(bounds)
        if known is None:
            known = encode()
            self._keep(bounds, known, memoryview(known).nbytes + _OVERHEAD)
        return known

    def _keep(self, bounds: Bounds, encoded: Raw, size: int) -> None:
        if self._size + size > self._most:
            # Who comes next asks for something else than who came first.
            self.forget()
        if size <= self._most:
            self._known[bounds] = encoded
            self._size += size

    def forget(self) -> None:
        """Forget all, because it is told otherwise now, or must be told no more."""
        if self._known:
            self._known = {}
            self._size = 0
