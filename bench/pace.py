"""When messages are due, and which of them are measured.

Times are nanoseconds of the monotonic clock, which all processes of a machine share.
"""

from msgspec import Struct

SECOND = 1_000_000_000


class Schedule(Struct, frozen=True):
    """An open loop: message n is due `n / rate` periods after the start, whatever became of those before.

    A sender that falls behind sends at once, and its latency counts from when the message was due: so a
    server that stalls is charged for all that should have been sent meanwhile ("coordinated omission").
    """

    start: int
    rate: int
    count: int
    period: int = SECOND

    def due(self, number: int) -> int:
        """Give the time at which a message is due."""
        return self.start + number * self.period // max(1, self.rate)

    def reached(self, now: int) -> int:
        """Count the messages that are due by now."""
        return min(self.count, max(0, (now - self.start) * self.rate // self.period + 1))


class Flight(Struct, frozen=True):
    """A closed loop: each sender has `size` questions on their way at a time, from `start` until `end`.

    So it goes as fast as they are answered, and says how much there can be; how late answers come under a load
    that waits for nobody, only a `Schedule` tells.
    """

    start: int
    end: int
    size: int

    def free(self, now: int, pending: int) -> int:
        """Count the questions that a sender may ask now, by whom so many are on their way."""
        return max(0, self.size - pending) if self.start <= now < self.end else 0


class Window(Struct, frozen=True):
    """The time that is measured: from `start` on, until before `end`."""

    start: int
    end: int

    def __contains__(self, time: int) -> bool:
        return self.start <= time < self.end


def shares(total: int, parts: int) -> list[int]:
    """Divide a number as evenly as whole numbers allow; the first parts get the more."""
    return [total // parts + (part < total % parts) for part in range(parts)]
