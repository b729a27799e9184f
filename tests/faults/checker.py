"""Says whether a history keeps the promises: what was asked and answered, what was read, what the log holds.

Pure. Times are seconds on one monotonic clock that all recorders share. Each broken promise is a line
that begins with its name, a colon after it: `broken` counts them by it.
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


class Send(Struct, frozen=True, gc=False):
    """One message, from its first sending to its last answer.

    `connection` is the one over which it was sent first, `number` its place among all that its sender ever
    sent, and `attempts` how often it was sent.
    """

    sender: str
    key: str
    text: str
    invoked: float
    answered: float
    fate: Fate
    seq: int = 0
    connection: int = 0
    number: int = 0
    attempts: int = 1


class Entry(Struct, frozen=True, gc=False):
    """An event, as the log holds it or as a reader received it."""

    seq: int
    sender: str
    key: str | None
    text: str | None


class Run(Struct, frozen=True):
    """What one reader received after a join: everything above `after`; `reset` if that was told anew.

    A page of history is one, too.
    """

    after: int
    entries: list[Entry]
    reset: bool = False


class History(Struct, frozen=True):
    """All that is known of one session's log at the end."""

    sends: list[Send]
    log: list[Entry]
    readers: dict[str, list[Run]]
    pages: list[Run] = []


def check(history: History) -> list[str]:
    """Give every broken promise, in words; nothing where all are kept."""
    return [
        *_check_log(history.log),
        *_check_sends(history),
        *_check_origin(history),
        *_check_order(history.sends),
        *_check_turns(history.sends),
        *(line for name, runs in history.readers.items() for line in _check_reader(name, runs, history.log)),
        *(line for page in history.pages for line in _check_run("a page", page, history.log)),
    ]


def broken(lines: Iterable[str]) -> Counter[str]:
    """Count broken promises by name."""
    return Counter(line.partition(":")[0] for line in lines)


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
        # A key that was taken refuses another text, and keeps its own.
        if send.fate is Fate.REFUSED and entry is not None and entry.text == send.text:
            yield f"refused and stored: {send.sender}'s {send.key} is in the log at {entry.seq}"


def _check_origin(history: History) -> Iterator[str]:
    sent = {(send.sender, send.key, send.text) for send in history.sends}
    for entry in history.log:
        # Without a text it is no message: the end of the session, say.
        if entry.text is not None and entry.key and (entry.sender, entry.key, entry.text) not in sent:
            yield f"invented: nobody sent what the log holds at {entry.seq}, {entry}"


def _check_order(sends: Iterable[Send]) -> Iterator[str]:
    """What was acknowledged before something else was sent comes before it (linearizability of appends)."""
    acked = [send for send in sends if send.fate is Fate.ACKED]
    by_answer = sorted(acked, key=lambda send: send.answered)
    settled, latest = 0, Send("", "", "", 0, 0, Fate.ACKED, 0)
    for send in sorted(acked, key=lambda send: send.invoked):
        while settled < len(by_answer) and by_answer[settled].answered < send.invoked:
            latest = max(latest, by_answer[settled], key=lambda done: done.seq)
            settled += 1
        # The same place is the same message, sent again; or the log disagrees with one of them.
        if latest.seq > send.seq:
            yield (
                f"reordered: {latest.sender}'s {latest.key} was acknowledged as {latest.seq}"
                f" before {send.sender}'s {send.key} was sent, which got {send.seq}"
            )


def _check_turns(sends: Iterable[Send]) -> Iterator[str]:
    """What was acknowledged at its first attempt comes before all that its sender sent later over that connection.

    One that took several attempts binds nobody: it does not hold up those behind it.
    """
    latest: dict[tuple[str, int], Send] = {}
    for send in sorted((send for send in sends if send.fate is Fate.ACKED), key=lambda send: send.number):
        before = latest.get((send.sender, send.connection))
        if before is not None and before.seq > send.seq:
            yield (
                f"out of turn: {send.sender} sent {before.key} before {send.key} over one connection,"
                f" and they got {before.seq} and {send.seq}"
            )
        elif send.attempts == 1:
            latest[send.sender, send.connection] = send


def _check_reader(name: str, runs: list[Run], log: list[Entry]) -> Iterator[str]:
    reached = None
    for run in runs:
        if reached is not None and not run.reset and run.after != reached:
            yield f"silent hole: {name} had reached {reached} and went on after {run.after}"
        yield from _check_run(name, run, log)
        reached = run.entries[-1].seq if run.entries else run.after


def _check_run(name: str, run: Run, log: list[Entry]) -> Iterator[str]:
    seqs = [run.after, *(entry.seq for entry in run.entries)]
    for earlier, later in pairwise(seqs):
        if later != earlier + 1:
            yield f"{'silent hole' if later > earlier else 'repeated'}: {name} received {later} after {earlier}"
    for entry in run.entries:
        if not 1 <= entry.seq <= len(log) or log[entry.seq - 1] != entry:
            yield f"another story: {name} received {entry}, which the log does not hold"
