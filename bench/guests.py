"""Clients like those of `bench.load` and `bench.sample`, at other servers than a Stagewire: they do the same."""

from typing import Any, Final

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from bench import wire
from bench.asks import Asked
from bench.dialects import DIALECTS, ROOM, Dialect
from bench.load import Client, Route, Sender, Viewer
from bench.sample import Sample
from bench.tally import Order
from bench.wire import Admission, Counter, Position, Unexpected


class Entrance(Admission):
    """The way in, as a dialect has it."""

    def __init__(self, dialect: Dialect, user: str) -> None:
        super().__init__("", ROOM)
        self.dialect = dialect
        self.user = user

    def hello(self) -> bytes:
        """Give the first frame to send, if there is one."""
        return _frame(self.dialect.greet())

    def take(self, payload: bytes) -> bytes:
        """Take a message, and give the frames to send next. `position` is set at the end.

        Raises:
            Unexpected: the server refused.
        """
        answer = self.dialect.enter(payload)
        if answer is None:
            self.position = Position("", 0)
        return _frame(answer or b"")


def _frame(message: bytes) -> bytes:
    return wire.masked(message) if message else b""


class GuestViewer(Viewer):
    """Counts events."""

    def __init__(self, route: Route, entrance: Entrance) -> None:
        super().__init__(route, entrance)
        self._dialect = entrance.dialect
        self._user = entrance.user
        self._counter = Counter(self._dialect.marker)

    def beat(self, *, playing: bool) -> None:
        """Keep quiet: no heartbeat is asked for within a run."""

    def _begin(self) -> None:
        self._transport.write(wire.upgrade(self.route.host, self.route.port, self._dialect.path))


class GuestSender(GuestViewer, Sender):
    """A viewer that talks, and is not answered."""

    _said = 0

    def say(self, asked: Asked, due: int, size: int) -> None:
        """Send one message of so many characters."""
        asked.say(due)
        self._said += 1
        if self.here:
            self._transport.write(_frame(self._dialect.say(self._said, self._user, wire.stamp(due, size))))

    def _take(self, size: int) -> None:
        Viewer._take(self, size)  # noqa: SLF001 - a sender of ours looks for no answers


class GuestSample(Sample):
    """Reads every frame with websockets' core, checks the order, and times what was due in the window."""

    def __init__(self, route: Route, entrance: Entrance) -> None:
        super().__init__(route, entrance)
        self._dialect = entrance.dialect
        self._core = ClientProtocol(parse_uri(f"ws://{route.host}:{route.port}{self._dialect.path}"), max_size=None)

    def beat(self, *, playing: bool) -> None:
        """Keep quiet: no heartbeat is asked for within a run."""

    def _arrive(self, since: Position | None, position: Position, payload: bytes) -> None:  # noqa: ARG002 - all begin
        self.position, self.order = position, Order(position.seq)

    def _on_frame(self, received: Frame, now: int) -> None:
        if received.opcode is not Opcode.TEXT:
            return
        if self._admission is None:
            self._hear(bytes(received.data), now)
            return
        try:
            self._transport.write(self._admit(bytes(received.data)))
        except Unexpected as exc:
            self._fail(exc)

    def _hear(self, message: bytes, now: int) -> None:
        for said in self._dialect.events(message):
            self.events += 1
            self.order.take(said.seq)
            if said.due in self.window:
                self.latencies.record(now - said.due)


_KINDS: Final[dict[type[Client], Any]] = {Viewer: GuestViewer, Sender: GuestSender, Sample: GuestSample}


def guest(kind: type[Client], route: Route, dialect: str, user: str) -> Client:
    """Give the client that is, at a server with this dialect, what `kind` is at a Stagewire."""
    made: Client = _KINDS[kind](route, Entrance(DIALECTS[dialect], user))
    return made
