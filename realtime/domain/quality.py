"""How good a connection is, by the round trips of its heartbeats, and when its user is to be told."""

from enum import StrEnum

from msgspec import Struct

# Smaller changes of a round trip are noise, whatever part of it they are.
NOISE_MS = 10


class Quality(StrEnum):
    """How good a connection is for talking over it."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


class Thresholds(Struct, frozen=True):
    """Up to how many milliseconds a round trip is good, and fair."""

    good: int
    fair: int


class Measured(Struct, frozen=True, gc=False):
    """A quality, and the round trip in milliseconds, where one is known."""

    quality: Quality
    rtt: int | None = None


def measure(rtt: int, thresholds: Thresholds, *, behind: bool) -> Measured:
    """Judge a round trip, of a reader who may be behind: then it is poor however short it was."""
    if behind or rtt > thresholds.fair:
        return Measured(Quality.POOR, rtt)
    return Measured(Quality.GOOD if rtt <= thresholds.good else Quality.FAIR, rtt)


def spoil(known: Measured | None) -> Measured:
    """Judge a connection without a new round trip: an answer is missing, or its reader is behind."""
    return Measured(Quality.POOR, known.rtt if known else None)


def worth_telling(told: Measured | None, new: Measured) -> bool:
    """Tell whether who was told the one should be told the other: the first, another quality, or half more or less."""
    if told is None or told.quality is not new.quality:
        return True
    if told.rtt is None or new.rtt is None:
        return told.rtt is not new.rtt
    return abs(new.rtt - told.rtt) > max(told.rtt / 2, NOISE_MS)
