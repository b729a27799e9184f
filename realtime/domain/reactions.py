"""Reactions, counted: in bursts for those who watch, and in batches for the totals that are kept."""

from collections.abc import Mapping

from msgspec import Struct

# For how long after its last reaction a kind counts as one of those that a session has.
KIND_MS = 60_000


class Burst(Struct, frozen=True):
    """What is told at one go, by kind: to clients everything, to the other nodes what this one has counted."""

    counts: dict[str, int]
    own: dict[str, int]


class Tally:
    """The reactions of one session since the last burst. Times are milliseconds, of one clock.

    Between two bursts lie `gap` milliseconds; of kinds there are at most `most` at a time.
    """

    def __init__(self, gap: int, most: int) -> None:
        self._gap = gap
        self._most = most
        self._kinds: dict[str, int] = {}
        self._own: dict[str, int] = {}
        self._heard: dict[str, int] = {}
        self._due = 0

    def add(self, kind: str, now: int) -> bool:
        """Count a reaction. False where the session has too many kinds already."""
        return self._count(self._own, kind, 1, now)

    def hear(self, counts: Mapping[str, int], now: int) -> None:
        """Add what another node has counted; what would be a kind too many is left out."""
        for kind, count in counts.items():
            self._count(self._heard, kind, count, now)

    def burst(self, now: int) -> Burst | None:
        """Give what is to be told now, if anything, and begin to count anew."""
        if now < self._due or not (self._own or self._heard):
            return None
        counts = {kind: self._own.get(kind, 0) + self._heard.get(kind, 0) for kind in {**self._own, **self._heard}}
        burst = Burst(counts, self._own)
        self._own, self._heard = {}, {}
        self._due = now + self._gap
        return burst

    def idle(self, now: int) -> bool:
        """Tell whether there is nothing to remember, not even a kind."""
        self._forget(now)
        return not (self._kinds or self._own or self._heard) and now >= self._due

    def _count(self, counts: dict[str, int], kind: str, count: int, now: int) -> bool:
        if kind not in self._kinds:
            self._forget(now)
            if len(self._kinds) >= self._most:
                return False
        self._kinds[kind] = now
        counts[kind] = counts.get(kind, 0) + count
        return True

    def _forget(self, now: int) -> None:
        self._kinds = {kind: last for kind, last in self._kinds.items() if now - last < KIND_MS}


class Batch(Struct, frozen=True):
    """Counts by session and kind that are to be added to the totals once, under a number of their own."""

    number: int
    counts: dict[tuple[str, str], int]


class Unsaved:
    """What is still to be added to the totals: of `most` kinds, over all sessions, and a batch that is on its way.

    A batch of which nobody knows whether it was added must be sent again as it was. What comes meanwhile waits.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[tuple[str, str], int] = {}
        self._batch = Batch(0, {})

    def __len__(self) -> int:
        return len(self._waiting) + len(self._batch.counts)

    def add(self, session: str, kind: str) -> bool:
        """Count a reaction. False where too much waits already."""
        known = self._waiting.get((session, kind), 0)
        if not known and len(self) >= self._most:
            return False
        self._waiting[session, kind] = known + 1
        return True

    def batch(self) -> Batch | None:
        """Give what is to be sent now, if anything: the batch before, unless it was settled."""
        if not self._batch.counts and self._waiting:
            self._batch = Batch(self._batch.number + 1, self._waiting)
            self._waiting = {}
        return self._batch if self._batch.counts else None

    def settle(self) -> None:
        """Take note that the batch needs to be sent no more."""
        self._batch = Batch(self._batch.number, {})
