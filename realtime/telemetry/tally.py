"""Counters of the hot path: sums in memory, which go into prometheus-client's counters when somebody looks.

A counter of prometheus-client takes a lock, and one with labels looks them up as text: 1 to 2 µs for each call.
These take none, so all of this is for the event loop's thread alone.
"""

from collections import defaultdict
from typing import Final

from prometheus_client import Counter

_TALLIES: Final[list["Tally"]] = []


class Tally:
    """Counts for a counter, which has it at the next `settle`."""

    __slots__ = ("_sums", "counter")

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self._sums: defaultdict[tuple[str, ...], int] = defaultdict(int)
        _TALLIES.append(self)

    def count(self, *labels: str, by: int = 1) -> None:
        """Count one, or more, under these values of the counter's labels."""
        self._sums[labels] += by

    def settle(self) -> None:
        """Have the counter say what was counted."""
        for labels, total in self._sums.items():
            (self.counter.labels(*labels) if labels else self.counter).inc(total)
        self._sums.clear()


def settle() -> None:
    """Have all counters say what was counted."""
    for tally in _TALLIES:
        tally.settle()
