"""Says whether a history keeps the promises: what was asked and answered, what was read, what the log holds.

Pure. Times are seconds on one monotonic clock that all recorders share.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import pairwise

from msgspec import Struct


class Fate(StrEnum):
    """What the sender learnt. UNKNOWN is legal for a lost answer, and for `unavailable`."""

    ACKED = "acked"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Send(Struct, frozen=True):
    """One message, from its first sending to its last answer."""

    sender: str
    key: str
    text: str
    invoked: float
    answered: float
    fate: Fate
    seq: int = 0


class Entry(Struct, frozen=True):
    """An event, as the log holds it or as a reader received it."""

    seq: int
    sender: str
    key: str | None
    text: str | None


class Run(Struct, frozen=True):
    """What one reader received after a join: everything above `after`; `reset` if that was told anew."""

    after: int
    entries: list[Entry]
    reset: bool = False


class History(Struct, frozen=True):
    """All that is known of one session's log at the end."""

    sends: list[Send]
    log: list[Entry]
    readers: dict[str, list[Run]]


def check(history: History) -> list[str]:
    """Give every broken promise, in words; nothing where all are kept."""
    return [
        *_check_log(history.log),
        *_check_sends(history),
        *_check_order(history.sends),
        *(line for name, runs in history.readers.items() for line in _check_reader(name, runs, history.log)),
    ]


def _check_log(log: list[Entry]) -> Iterator[str]:
    for place, entry in enumerate(log, 1):
        if entry.seq != place:
            yield f"hole: the log's entry {place} has seq {entry.seq}"
            return
    keys = Counter((entry.sender, entry.key) for entry in log if entry.key)
    for (sender, key), count in keys.items():
        if count > 1:
            yield f"duplicate: {sender}'s {key} stands {count} times in the log"


def _check_sends(history: History) -> Iterator[str]:
    stored = {(entry.sender, entry.key): entry for entry in history.log}
    for send in history.sends:
        entry = stored.get((send.sender, send.key))
        if send.fate is Fate.ACKED and entry != Entry(send.seq, send.sender, send.key, send.text):
            yield f"lost: {send.sender}'s {send.key} was acknowledged as {send.seq}, the log has {entry}"
        if send.fate is Fate.REFUSED and entry is not None:
            yield f"refused and stored: {send.sender}'s {send.key} is in the log at {entry.seq}"


def _check_order(sends: Iterable[Send]) -> Iterator[str]:
    """What was acknowledged before something else was sent comes before it (linearizability of appends)."""
    acked = [send for send in sends if send.fate is Fate.ACKED]
    by_answer = sorted(acked, key=lambda send: send.answered)
    settled, latest = 0, Send("", "", "", 0, 0, Fate.ACKED, 0)
    for send in sorted(acked, key=lambda send: send.invoked):
        while settled < len(by_answer) and by_answer[settled].answered < send.invoked:
            latest = max(latest, by_answer[settled], key=lambda done: done.seq)
            settled += 1
        if latest.seq >= send.seq:
            yield (
                f"reordered: {latest.sender}'s {latest.key} was acknowledged as {latest.seq}"
                f" before {send.sender}'s {send.key} was sent, which got {send.seq}"
            )


def _check_reader(name: str, runs: list[Run], log: list[Entry]) -> Iterator[str]:
    reached = None
    for run in runs:
        if reached is not None and not run.reset and run.after != reached:
            yield f"silent hole: {name} had reached {reached} and went on after {run.after}"
        seqs = [run.after, *(entry.seq for entry in run.entries)]
        for earlier, later in pairwise(seqs):
            if later != earlier + 1:
                yield f"silent hole: {name} received {later} after {earlier}"
        for entry in run.entries:
            if entry.seq > len(log) or log[entry.seq - 1] != entry:
                yield f"another story: {name} received {entry}, which the log does not hold"
        reached = seqs[-1]
