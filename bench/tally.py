"""What arrived: in which order, how completely, and how late."""

from collections.abc import Iterable
from typing import Any, Final

from hdrh.histogram import HdrHistogram
from msgspec import Struct

# Latencies are kept in microseconds, to three digits, up to a minute; what is later counts as a minute.
LONGEST_US: Final = 60_000_000
_DIGITS: Final = 3


class Order:
    """Checks that a stream of seqs is consecutive from the one after `position` on."""

    def __init__(self, position: int) -> None:
        self.out_of_order = 0
        self.duplicated = 0
        self.last = position
        self._holes: set[int] = set()

    def take(self, seq: int) -> None:
        """Take the next seq that arrived."""
        if seq == self.last + 1:
            self.last = seq
        elif seq > self.last:
            self._holes.update(range(self.last + 1, seq))
            self.last = seq
        elif seq in self._holes:
            self._holes.remove(seq)
            self.out_of_order += 1
        else:
            self.duplicated += 1

    def missing(self, head: int) -> int:
        """Count what has not arrived of everything up to the head."""
        return len(self._holes) + max(0, head - self.last)


class Percentiles(Struct, frozen=True):
    """Latencies in milliseconds."""

    p50: float
    p99: float
    p999: float
    max: float


class Latencies:
    """A histogram of latencies."""

    def __init__(self) -> None:
        self._histogram: Any = HdrHistogram(1, LONGEST_US, _DIGITS)

    def record(self, late_ns: int) -> None:
        """Record one."""
        self._histogram.record_value(min(max(late_ns // 1000, 1), LONGEST_US))

    def encode(self) -> bytes:
        """Give the histogram in HdrHistogram's interchange format."""
        return bytes(self._histogram.encode())

    @classmethod
    def merged(cls, encoded: Iterable[bytes]) -> "Latencies":
        """Add up histograms."""
        whole = cls()
        for part in encoded:
            whole._histogram.decode_and_add(part)
        return whole

    @property
    def count(self) -> int:
        """Count what was recorded."""
        return int(self._histogram.total_count)

    def percentiles(self) -> Percentiles | None:
        """Give the percentiles, if anything was recorded."""
        if not self.count:
            return None
        p50, p99, p999 = (self._histogram.get_value_at_percentile(p) / 1000 for p in (50, 99, 99.9))
        return Percentiles(p50, p99, p999, self._histogram.get_max_value() / 1000)
