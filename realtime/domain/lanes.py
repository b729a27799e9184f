"""What becomes of a session's traffic for a reader who is behind: control always comes, chat in samples, signals not.

Between what such a reader gets there are gaps, of chat alone. Each is told, with its first and its last `seq`,
before whatever comes after it: what arrives is consecutive, or says what is missing.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct


class Lane(StrEnum):
    """How much a reader must have something."""

    CONTROL = "control"
    CHAT = "chat"
    SIGNAL = "signal"


class Parcel(Struct, frozen=True, gc=False):
    """A document on its way to readers; an event has its `seq`."""

    document: bytes
    lane: Lane = Lane.CONTROL
    seq: int = 0


class Gap(Struct, frozen=True):
    """The events from `first` to `last` of a session's log, which a reader did not get."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """Count them."""
        return self.last - self.first + 1


Given: TypeAlias = Parcel | Gap


class Missed:
    """What one reader who is behind has not got of one session. Times are seconds, of one clock."""

    __slots__ = ("_gap", "_sampled", "signals")

    def __init__(self) -> None:
        # How many signals it has not got.
        self.signals = 0
        self._gap: Gap | None = None
        self._sampled: float | None = None

    def select(self, parcels: Iterable[Parcel], now: float, every: float) -> list[Given]:
        """Give what it is to get of these: control, and a message every so many seconds, the newest one."""
        given: list[Given] = []
        sample = self._sample(parcels, now, every)
        # To ask an enumeration for them takes longer than all that is done with a parcel.
        control, chat = Lane.CONTROL, Lane.CHAT
        for parcel in parcels:
            if parcel.lane is control or parcel is sample:
                given.extend(self.settle())
                given.append(parcel)
            elif parcel.lane is chat:
                self._gap = Gap(self._gap.first if self._gap else parcel.seq, parcel.seq)
            else:
                self.signals += 1
        return given

    def settle(self) -> list[Gap]:
        """Give the gap that is to be told now, if there is one."""
        gap, self._gap = self._gap, None
        return [gap] if gap else []

    def _sample(self, parcels: Iterable[Parcel], now: float, every: float) -> Parcel | None:
        if self._sampled is not None and now - self._sampled < every:
            return None
        newest = None
        for parcel in parcels:
            if parcel.lane is Lane.CHAT:
                newest = parcel
        if newest is not None:
            self._sampled = now
        return newest
