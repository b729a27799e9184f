"""What the clients of a process have asked for: what was answered, how soon, and what is still open."""

from itertools import count
from time import monotonic_ns

from msgspec import Struct

from bench.pace import Window
from bench.tally import Latencies


class Sent(Struct, frozen=True, kw_only=True):
    """What became of one kind of question. Latencies and lateness are of those that were due in the window."""

    acked: int = 0
    acked_in_window: int = 0
    refused: int = 0
    unanswered: int = 0
    latencies: bytes
    lateness: bytes


class Asked:
    """Questions of one kind: who answers them late, pays from when they were due."""

    def __init__(self, window: Window) -> None:
        self.latencies = Latencies()
        self.lateness = Latencies()
        self.acked = 0
        self.acked_in_window = 0
        self.refused = 0
        self.pending = 0
        self._window = window

    def begin(self, due: int) -> None:
        """Take note of a question that is asked now, and was due."""
        self.pending += 1
        self.say(due)

    def say(self, due: int) -> None:
        """Take note of something that is said now, and was due; nobody answers it."""
        if due in self._window:
            self.lateness.record(monotonic_ns() - due)

    def end(self, due: int, acked: bool, now: int) -> None:
        """Take note of its answer."""
        self.pending -= 1
        self.acked += acked
        self.refused += not acked
        if acked and now in self._window:
            self.acked_in_window += 1
        if acked and due in self._window:
            self.latencies.record(now - due)

    def sent(self) -> Sent:
        """Sum up."""
        return Sent(
            acked=self.acked,
            acked_in_window=self.acked_in_window,
            refused=self.refused,
            unanswered=self.pending,
            latencies=self.latencies.encode(),
            lateness=self.lateness.encode(),
        )


class Asks:
    """All open questions of a process, by the number that the answer repeats."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._open: dict[int, tuple[Asked, int]] = {}

    def begin(self, asked: Asked, due: int) -> int:
        """Give a question the number to send it with."""
        number = next(self._numbers)
        self._open[number] = (asked, due)
        asked.begin(due)
        return number

    def settle(self, number: int, acked: bool, now: int) -> None:
        """Take an answer. A second one to the same question is none."""
        asked, due = self._open.pop(number, (None, 0))
        if asked is not None:
            asked.end(due, acked, now)
