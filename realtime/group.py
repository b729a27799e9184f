"""The connections of one session: what waits for them, and what is on its way to them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import TypeAlias

from realtime.domain.lanes import Gap, Given, Parcel
from realtime.frames import Form
from realtime.outgoing import Outgoing
from realtime.protocol.codec import JSON
from realtime.protocol.events import Skipped
from realtime.telemetry import metrics
from realtime.transport import Connection

# Gives what of some parcels of a session a reader is to get.
Choose: TypeAlias = Callable[[str, Connection, Sequence[Parcel]], Sequence[Given]]


class Run:
    """Frames on their way to those who followed when they set out, and have not left since."""

    __slots__ = ("_count", "_frames", "_gone", "readers")

    def __init__(self, frames: Sequence[bytes], readers: Iterable[Connection]) -> None:
        self.readers = list(readers)
        self._count = len(frames)
        self._frames = b"".join(frames)
        self._gone: set[Connection] = set()

    def leave_out(self, connection: Connection) -> None:
        """Write nothing more to one who has left."""
        self._gone.add(connection)

    def write(self, most: int) -> int:
        """Write to so many readers, once to each; give how many that were."""
        turn = self.readers[-most:]
        del self.readers[-most:]
        if self._gone:
            turn = [connection for connection in turn if connection not in self._gone]
        Outgoing.write_to_all(turn, self._frames)
        _count(len(turn) * self._count, len(turn) * len(self._frames))
        return len(turn)


class Group:
    """The connections that follow a session, by form. `waiting` is for the next flush, first asked for at `since`.

    What is on its way goes to most of them in runs. Stragglers, who have some of it already, or are behind, get it
    one by one, and whatever `choose` gives when it is their turn.
    """

    __slots__ = (
        "_arriving", "_choose", "_frame", "_members", "_parcels", "_runs", "_stragglers", "session", "since", "waiting",
    )  # fmt: skip

    def __init__(self, session: str, choose: Choose) -> None:
        self.session = session
        self.since = 0.0
        self.waiting: list[Parcel] = []
        self._choose = choose
        self._members: dict[Form, set[Connection]] = {}
        # Those who came while something waited or was on its way, and how much of what waits they have already.
        self._arriving: dict[Connection, int] = {}
        # What is on its way; in runs, and to stragglers, of whom each has so much of it already.
        self._parcels: list[Parcel] = []
        self._runs: list[Run] = []
        self._stragglers: dict[Connection, int] = {}
        # However many get a document, its frame is made once for each form.
        self._frame = cache(Form.frame)

    def __iter__(self) -> Iterator[Connection]:
        return chain(self._arriving, *self._members.values())

    def __len__(self) -> int:
        return len(self._arriving) + sum(map(len, self._members.values()))

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._members.get(connection.form, ()) or connection in self._arriving

    def add(self, connection: Connection) -> None:
        """Add a connection, which has been given all that waits or is on its way."""
        if self.waiting or self.busy:
            self._arriving[connection] = len(self.waiting)
        else:
            self._members.setdefault(connection.form, set()).add(connection)

    def remove(self, connection: Connection) -> None:
        """Remove a connection."""
        self._arriving.pop(connection, None)
        self._stragglers.pop(connection, None)
        if members := self._members.get(connection.form):
            members.discard(connection)
        for run in self._runs:
            run.leave_out(connection)

    @property
    def unsent(self) -> int | None:
        """Give the `seq` of the first event that has not been written to all."""
        return next((parcel.seq for parcel in chain(self._parcels, self.waiting) if parcel.seq), None)

    @property
    def busy(self) -> bool:
        """Tell whether something is still on its way."""
        return bool(self._stragglers or self._runs)

    def begin(self, behind: Collection[Connection]) -> None:
        """Send what waits on its way; those who are behind are stragglers."""
        self._parcels, self.waiting = self.waiting, []
        arriving, self._arriving = self._arriving, {}
        for connection in arriving:
            self._members.setdefault(connection.form, set()).add(connection)
        self._stragglers = {**dict.fromkeys(self._among(behind), 0), **arriving}
        for form, members in self._members.items():
            if readers := members.difference(self._stragglers):
                frames = [self._frame(form, parcel.document) for parcel in self._parcels]
                self._runs.append(Run(frames, readers))

    def _among(self, connections: Collection[Connection]) -> list[Connection]:
        """Give those of some connections that follow."""
        if len(connections) < len(self):
            return [connection for connection in connections if connection in self]
        return [connection for connection in self if connection in connections]

    def write(self, most: int) -> int:
        """Write what is on its way to so many readers at most; give how many that were."""
        written = 0
        while self._stragglers and written < most:
            connection, had = self._stragglers.popitem()
            self._serve(connection, self._parcels[had:])
            written += 1
        while self._runs and written < most:
            run = self._runs[-1]
            written += run.write(most - written)
            if not run.readers:
                self._runs.pop()
        if not self.busy:
            self._parcels = []
            self._frame.cache_clear()
        return written

    def _serve(self, connection: Connection, due: Sequence[Parcel]) -> None:
        given = self._choose(self.session, connection, due)
        if given:
            frames = b"".join([self._frame(connection.form, self._told(one)) for one in given])
            connection.write(frames)
            _count(len(given), len(frames))
        if given is not due:
            _count_skipped(due, given)

    def _told(self, given: Given) -> bytes:
        return given.document if isinstance(given, Parcel) else JSON.encode(skipped(self.session, given))


def skipped(session: str, gap: Gap) -> Skipped:
    """Give what tells a reader of a gap."""
    return Skipped(session=session, skipped=gap.size, first=gap.first, last=gap.last)


def _count(deliveries: int, size: int) -> None:
    metrics.DELIVERIES.count(by=deliveries)
    metrics.BYTES_OUT.count(by=size)


def _count_skipped(due: Iterable[Parcel], given: Iterable[Given]) -> None:
    left = Counter(parcel.lane for parcel in due)
    left.subtract(one.lane for one in given if isinstance(one, Parcel))
    for lane, count in left.items():
        metrics.SKIPPED.count(lane, by=count)
