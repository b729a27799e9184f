"""The highest rate that a server sustains, by trying: which rate comes next, and what counts as sustained. Pure."""

from typing import Final

from bench.scenarios.fanout import Results

# How near the answer has to be: a step below this part of the rate is none.
PRECISION: Final = 0.1
# How often a rate may fail: what else is going on at a machine may be why it does.
ATTEMPTS: Final = 2
# Senders that are later than this do not make the load that was asked for.
LATE_MS: Final = 50


class Ladder:
    """Doubles the rate until one is not sustained, at no attempt, and then halves the gap."""

    def __init__(self, first: int, most: int) -> None:
        self.best = 0
        self._first = first
        self._most = most
        self._too_much: int | None = None
        self._failed: dict[int, int] = {}

    def next(self) -> int | None:
        """Give the rate to try, or nothing when the answer is near enough."""
        best, too_much = self.best, self._too_much
        if again := next((rate for rate, times in self._failed.items() if best < rate and times < ATTEMPTS), None):
            return again
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
            return
        self._failed[rate] = self._failed.get(rate, 0) + 1
        if self._failed[rate] == ATTEMPTS:
            self._too_much = rate


def strain(found: Results, p99_ms: float) -> str:
    """Say why a load was not sustained, or nothing if it was."""
    lost = found.missing + found.duplicated + found.out_of_order + found.not_acked + found.refused
    if lost or found.connections_lost:
        return f"{lost:,} deliveries or messages that went wrong and {found.connections_lost:,} lost connections"
    if found.lateness_of_senders_ms is not None and found.lateness_of_senders_ms.p99 > LATE_MS:
        return f"senders that were late: p99 {found.lateness_of_senders_ms.p99:.0f} ms"
    if found.latency_ms is None:
        return "nothing that was timed"
    if found.latency_ms.p99 > p99_ms:
        return f"a p99 of {found.latency_ms.p99:.0f} ms"
    return ""
