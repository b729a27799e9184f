"""Clocks that differ: how a client's is measured, and when a message that it wrote offline belongs.

Times and offsets are milliseconds. The offset is what must be added to the client's clock to read the
server's, estimated as in Cristian's algorithm (1989): the answer is taken to have travelled half of the
round trip, so the estimate is wrong by half of it at most.
"""

from msgspec import Struct

# Nothing is known of the way that a hello took.
HELLO_ERROR = 5_000
# Crystals drift by up to a tenth of a millisecond a second: an old estimate is worth less than it was.
DRIFT_PER_MS = 0.0001


class Offset(Struct, frozen=True):
    """An estimate made at `at` (the server's clock), wrong by at most `error` at that time."""

    ms: int
    error: float
    at: int

    def error_at(self, now: int) -> float:
        """Give how wrong the estimate may be by now."""
        return self.error + (now - self.at) * DRIFT_PER_MS


def from_hello(client_now: int, now: int) -> Offset:
    """Estimate from a one-way message."""
    return Offset(now - client_now, HELLO_ERROR, now)


def from_pong(pinged: int, client_now: int, now: int) -> Offset:
    """Estimate from a round trip that began at `pinged` and ended `now`."""
    return Offset((pinged + now) // 2 - client_now, (now - pinged) / 2, now)


def better(known: Offset | None, measured: Offset) -> Offset:
    """Keep the estimate that can be trusted more at the time of the newer one."""
    if known is not None and known.error_at(measured.at) < measured.error:
        return known
    return measured


class Absence(Struct, frozen=True):
    """When the user's connection was lost, and when this one began, on the server's clock."""

    lost: int
    back: int


def age_of(sent_at: int | None, offset: Offset | None, absence: Absence | None, now: int) -> int:
    """Give how long ago a message was written: 0 unless it was written while the user was away.

    The client's word counts only within the absence that the server has seen: nobody can write into the
    time before it, nor into the future.
    """
    if sent_at is None or offset is None or absence is None:
        return 0
    written = sent_at + offset.ms
    if written >= absence.back:
        return 0
    return max(0, now - max(written, absence.lost))
