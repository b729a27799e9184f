"""Clients that cost little: thousands fit into one process, which must not be what is measured.

A `Viewer` is let in and from then on counts events in raw bytes. A `Sender` is a viewer that also talks
and times its acks. A `Sample` reads everything with a real protocol core and checks it, for all others.
"""

import asyncio
import uuid
from time import monotonic_ns
from typing import Any, Final, cast

from msgspec import Struct
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from bench import wire
from bench.pace import Window
from bench.tally import Latencies, Order
from bench.wire import Admission, Answers, Counter, Unexpected

PONG: Final = wire.frame({"type": "pong"})
# Ephemeral ports that one source address offers at least; beyond, the next of 127.0.0.x is used.
PER_ADDRESS: Final = 20_000
_BUFFER: Final = bytearray(1 << 18)
_BUFFER_VIEW: Final = memoryview(_BUFFER)


def source(index: int) -> str:
    """Give the address from which client number `index` connects."""
    return f"127.0.0.{1 + index // PER_ADDRESS}"


class Client(asyncio.BaseProtocol):
    """One connection. `ready` ends with the position it starts from, or with why it was not let in."""

    def __init__(self, host: str, port: int, admission: Admission) -> None:
        self.lost = False
        self.events = 0
        self.position = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._host = host
        self._port = port
        self._admission: Admission | None = admission

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that it is over."""
        self.lost = True
        self._fail(Unexpected(f"the server hung up: {exc or 'closed'}"))

    def beat(self) -> None:
        """Give the sign of life that the server's heartbeat asks for."""
        if not self.lost:
            self._transport.write(PONG)

    def leave(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _begin(self) -> None:
        raise NotImplementedError

    def _admit(self, payload: bytes) -> bytes:
        """Take a message on the way in, and give what to send next."""
        assert self._admission is not None
        answer = self._admission.take(payload)
        if self._admission.position is not None:
            self.position = self._admission.position
            self._admission = None
            self.ready.set_result(None)
        return answer

    def _fail(self, why: Unexpected) -> None:
        if not self.ready.done():
            self.ready.set_exception(why)
            self._transport.abort()


class Viewer(Client, asyncio.BufferedProtocol):
    """Counts events. All viewers of a process read into one buffer, which the loop fills and empties at once."""

    def __init__(self, host: str, port: int, admission: Admission) -> None:
        super().__init__(host, port, admission)
        self._unread = b""
        self._upgraded = False
        self._counter = Counter()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - all that there is
        """Say where to read into."""
        return _BUFFER_VIEW

    def buffer_updated(self, nbytes: int) -> None:
        """Count, or go on with the way in."""
        if self._admission is None:
            self._take(nbytes)
            return
        try:
            self._enter(self._unread + _BUFFER[:nbytes])
        except Unexpected as exc:
            self._fail(exc)

    def _begin(self) -> None:
        assert self._admission is not None
        self._transport.write(wire.upgrade(self._host, self._port))

    def _enter(self, data: bytes) -> None:
        if not self._upgraded:
            rest = wire.after_head(data)
            if rest is None:
                self._unread = data
                return
            self._upgraded, data = True, rest
            assert self._admission is not None
            self._transport.write(self._admission.hello())
        while self._admission is not None and (found := wire.next_frame(data)):
            _, payload, data = found
            self._transport.write(self._admit(payload))
        self._unread = data
        if self._admission is None:
            self._unread = b""
            self._count(data, len(data))

    def _take(self, size: int) -> None:
        self._count(_BUFFER, size)

    def _count(self, data: bytes | bytearray, size: int) -> None:
        self._counter.feed(data, size)
        self.events = self._counter.count


class Acks:
    """What the senders of a process have sent and not yet heard of, and how long the others took."""

    def __init__(self, window: Window) -> None:
        self.latencies = Latencies()
        self.acked = 0
        self.refused = 0
        self.pending: dict[int, int] = {}
        self._window = window

    def settle(self, number: int, acked: bool, now: int) -> None:
        """Take an answer. A second one to the same message is none."""
        due = self.pending.pop(number, None)
        if due is None:
            return
        self.acked += acked
        self.refused += not acked
        if acked and due in self._window:
            self.latencies.record(now - due)


class Sender(Viewer):
    """A viewer that talks."""

    def __init__(self, host: str, port: int, admission: Admission) -> None:
        super().__init__(host, port, admission)
        self._answers = Answers()
        self._acks: Acks | None = None

    def arm(self, acks: Acks) -> None:
        """Say where acks are kept, before anything is said."""
        self._acks = acks

    def say(self, number: int, due: int, session: str, size: int) -> None:
        """Send one message. `number` is its id, unlike any other of this process."""
        assert self._acks is not None
        self._acks.pending[number] = due
        message = {
            "id": number,
            "type": "chat.send",
            "session": session,
            "key": str(uuid.uuid4()),
            "text": wire.stamp(due, size),
        }
        if not self.lost:
            self._transport.write(wire.frame(message))

    def _take(self, size: int) -> None:
        super()._take(size)
        if self._acks is not None:
            now = monotonic_ns()
            for acked, number in self._answers.feed(bytes(_BUFFER_VIEW[:size])):
                self._acks.settle(number, acked, now)


class Findings(Struct, frozen=True):
    """What a sample saw, of everything up to a head."""

    missing: int
    duplicated: int
    out_of_order: int


class Sample(Client, asyncio.Protocol):
    """Reads every frame with websockets' core, checks the order, and times what was due in the window."""

    def __init__(self, host: str, port: int, admission: Admission) -> None:
        super().__init__(host, port, admission)
        self.window = Window(0, 0)
        self.latencies = Latencies()
        self._core = ClientProtocol(parse_uri(f"ws://{host}:{port}{wire.PATH}"), max_size=None)
        self._order: Order | None = None

    def data_received(self, data: bytes) -> None:
        """Read and check."""
        now = monotonic_ns()
        self._core.receive_data(data)
        for received in self._core.events_received():
            if isinstance(received, Frame):
                self._on_frame(received, now)
            else:
                self._on_response()
        self._send()

    def findings(self, head: int) -> Findings:
        """Say what was wrong, if all up to `head` should be here."""
        order = self._order or Order(self.position)
        return Findings(order.missing(head), order.duplicated, order.out_of_order)

    def _begin(self) -> None:
        self._core.send_request(self._core.connect())
        self._send()

    def _on_response(self) -> None:
        assert self._admission is not None
        if self._core.state is not State.OPEN:
            self._fail(Unexpected(f"the handshake was refused: {self._core.handshake_exc}"))
            return
        self._transport.write(self._admission.hello())

    def _on_frame(self, received: Frame, now: int) -> None:
        if received.opcode is not Opcode.TEXT:
            return
        if self._admission is None:
            self._check(bytes(received.data), now)
            return
        try:
            self._transport.write(self._admit(bytes(received.data)))
        except Unexpected as exc:
            self._fail(exc)
        if self.ready.done():
            self._order = Order(self.position)

    def _check(self, payload: bytes, now: int) -> None:
        event = wire.event(payload)
        if event is None:
            return
        assert self._order is not None
        self.events += 1
        self._order.take(event.seq)
        if event.kind == "chat.posted" and event.body is not None:
            due = wire.due_of(event.body.text)
            if due in self.window:
                self.latencies.record(now - due)

    def _send(self) -> None:
        for data in self._core.data_to_send():
            if data:
                self._transport.write(data)


async def connect(kind: type[Client], host: str, port: int, index: int, admission: Admission) -> Any:
    """Connect and wait until the client is let in.

    Raises:
        Unexpected: it was not.
        OSError: nobody listens there.
    """
    loop = asyncio.get_running_loop()
    client = kind(host, port, admission)
    # The protocol is chosen by the caller, and each kind is one that the loop takes.
    factory: Any = lambda: client  # noqa: E731
    await loop.create_connection(factory, host, port, local_addr=(source(index), 0))
    await client.ready
    return client
