"""The connections of one session: what waits for them, and what is on its way to them."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain

from realtime.domain.lanes import Gap, Given, Missed, Parcel
from realtime.frames import Form
from realtime.outgoing import Outgoing
from realtime.protocol.codec import JSON
from realtime.protocol.events import Skipped
from realtime.telemetry import metrics
from realtime.transport import Connection


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
    """The connections that follow a session, by form. `waiting` is for the next flush, first asked for at `since`."""

    __slots__ = ("_arriving", "_first", "_members", "_runs", "session", "since", "waiting")

    def __init__(self, session: str) -> None:
        self.session = session
        self.since = 0.0
        self.waiting: list[Parcel] = []
        self._members: dict[Form, set[Connection]] = {}
        # Those who came while something waited or was on its way, and how much of what waits they have already.
        self._arriving: dict[Connection, int] = {}
        self._runs: list[Run] = []
        # The first event of what is on its way.
        self._first: int | None = None

    def __iter__(self) -> Iterator[Connection]:
        return chain(self._arriving, *self._members.values())

    def __len__(self) -> int:
        return len(self._arriving) + sum(map(len, self._members.values()))

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._members.get(connection.form, ()) or connection in self._arriving

    def add(self, connection: Connection) -> None:
        """Add a connection, which has been given all that waits or is on its way."""
        if self.waiting or self._runs:
            self._arriving[connection] = len(self.waiting)
        else:
            self._members.setdefault(connection.form, set()).add(connection)

    def remove(self, connection: Connection) -> None:
        """Remove a connection."""
        self._arriving.pop(connection, None)
        if members := self._members.get(connection.form):
            members.discard(connection)
        for run in self._runs:
            run.leave_out(connection)

    def among(self, connections: Collection[Connection]) -> list[Connection]:
        """Give those of some connections that follow."""
        if len(connections) < len(self):
            return [connection for connection in connections if connection in self]
        return [connection for connection in self if connection in connections]

    @property
    def unsent(self) -> int | None:
        """Give the `seq` of the first event that has not been written to all."""
        return self._first or _first(self.waiting)

    @property
    def busy(self) -> bool:
        """Tell whether something is still on its way."""
        return bool(self._runs)

    def begin(self, slow: Mapping[Connection, Missed], now: float, every: float) -> None:
        """Send what waits on its way. The slow get what they can, at once: a message every so many seconds."""
        parcels, self.waiting = self.waiting, []
        self._first = _first(parcels)
        arriving, self._arriving = self._arriving, {}
        # However many get a document, slow ones too, its frame is made once for each form.
        frame = cache(Form.frame)
        for connection, missed in slow.items():
            due = parcels[arriving.get(connection, 0) :]
            chosen = missed.select(due, now, every)
            _write(connection, [frame(connection.form, self._told(one)) for one in chosen])
            _count_skipped(due, chosen)
        documents = [parcel.document for parcel in parcels]
        for connection in arriving:
            self._members.setdefault(connection.form, set())
        for form, members in self._members.items():
            late = {connection: given for connection, given in arriving.items() if connection.form is form}
            if not members and not late:
                continue
            frames = [frame(form, document) for document in documents]
            for connection, given in late.items():
                if connection not in slow:
                    _write(connection, frames[given:])
            if readers := members.difference(slow):
                self._runs.append(Run(frames, readers))
            members.update(late)

    def _told(self, given: Given) -> bytes:
        return given.document if isinstance(given, Parcel) else JSON.encode(skipped(self.session, given))

    def write(self, most: int) -> int:
        """Write what is on its way to so many readers at most; give how many that were."""
        written = 0
        while self._runs and written < most:
            run = self._runs[-1]
            written += run.write(most - written)
            if not run.readers:
                self._runs.pop()
        if not self._runs:
            self._first = None
        return written


def skipped(session: str, gap: Gap) -> Skipped:
    """Give what tells a reader of a gap."""
    return Skipped(session=session, skipped=gap.size, first=gap.first, last=gap.last)


def _first(parcels: Iterable[Parcel]) -> int | None:
    return next((parcel.seq for parcel in parcels if parcel.seq), None)


def _write(connection: Connection, frames: Sequence[bytes]) -> None:
    if frames:
        joined = b"".join(frames)
        connection.write(joined)
        _count(len(frames), len(joined))


def _count(deliveries: int, size: int) -> None:
    metrics.DELIVERIES.count(by=deliveries)
    metrics.BYTES_OUT.count(by=size)


def _count_skipped(due: Iterable[Parcel], given: Iterable[Given]) -> None:
    left = Counter(parcel.lane for parcel in due)
    left.subtract(one.lane for one in given if isinstance(one, Parcel))
    for lane, count in left.items():
        metrics.SKIPPED.labels(lane).inc(count)
