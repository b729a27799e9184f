"""The highest rate that a server sustains, by trying: which rate comes next, and what counts as sustained. Pure."""

from typing import Final

from bench.scenarios.fanout import Results

# How near the answer has to be: a step below this part of the rate is none.
PRECISION: Final = 0.1
# Senders that are later than this do not make the load that was asked for.
LATE_MS: Final = 50


class Ladder:
    """Doubles the rate until one is not sustained, then halves the gap."""

    def __init__(self, first: int, most: int) -> None:
        self.best = 0
        self._first = first
        self._most = most
        self._too_much: int | None = None

    def next(self) -> int | None:
        """Give the rate to try, or nothing when the answer is near enough."""
        best, too_much = self.best, self._too_much
        if too_much is None:
            rate = min(best * 2, self._most) if best else self._first
            return rate if rate > best else None
        if too_much - best <= max(1, PRECISION * best):
            return None
        return (best + too_much) // 2

    def take(self, rate: int, sustained: bool) -> None:
        """Take note of how a rate went."""
        if sustained:
            self.best = max(self.best, rate)
        else:
            self._too_much = rate


def strain(found: Results, p99_ms: float) -> str:
    """Say why a load was not sustained, or nothing if it was."""
    lost = found.missing + found.duplicated + found.out_of_order + found.not_acked + found.refused
    if lost or found.connections_lost:
        return f"{lost:,} deliveries or messages went wrong, {found.connections_lost:,} connections were lost"
    if found.lateness_of_senders_ms is not None and found.lateness_of_senders_ms.p99 > LATE_MS:
        return f"the senders were late: p99 {found.lateness_of_senders_ms.p99:.0f} ms"
    if found.latency_ms is None:
        return "nothing was timed"
    if found.latency_ms.p99 > p99_ms:
        return f"p99 {found.latency_ms.p99:.0f} ms"
    return ""
