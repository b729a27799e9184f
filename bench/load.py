"""Clients that cost little: thousands fit into one process, which must not be what is measured.

A `Viewer` is let in and from then on counts events in raw bytes. A `Sender` is a viewer that also talks.
What reads everything, and checks it for all others, is a `Sample` (`bench.sample`).
"""

import asyncio
from random import uniform
from socket import SO_RCVBUF, SOL_SOCKET
from time import monotonic_ns
from typing import Any, Final, Self, TypeVar, cast
from uuid import uuid4

from msgspec import Struct

from bench import wire
from bench.asks import Asked, Asks
from bench.wire import Admission, Answers, Counter, Position, Unexpected

PONG: Final = wire.frame({"type": "pong"})
# Ephemeral ports that one source address offers at least; beyond, the next of 127.0.0.x is used.
PER_ADDRESS: Final = 20_000
FIRST_SOURCE: Final = "127.0.0.1"
# How soon somebody tries again whom the server did not tell when.
AGAIN_SECONDS: Final = 0.1
# What the kernel may keep for one who stalls: as little as can be read from at full speed over the loopback.
STALLED_BYTES: Final = 65_536
_BUFFER: Final = bytearray(1 << 18)
_BUFFER_VIEW: Final = memoryview(_BUFFER)


def source(index: int) -> str:
    """Give the address from which client number `index` connects."""
    return f"127.0.0.{1 + index // PER_ADDRESS}"


class Route(Struct, frozen=True):
    """From which address of ours to which of the server's."""

    source: str
    host: str
    port: int


class Client(asyncio.BaseProtocol):
    """One connection. `ready` ends with the position it starts from, or with why it was not let in."""

    def __init__(self, route: Route, admission: Admission) -> None:
        self.route = route
        self.lost = False
        self.events = 0
        self.position = Position("", 0)
        self.session = admission.session
        # How often it had to begin anew, because it could not be given what it had missed.
        self.resets = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._token = admission.token
        self._admission: Admission | None = admission

    @property
    def reached(self) -> int:
        """Give the seq up to which it has everything, as far as it counts."""
        return self.position.seq + self.events

    def heir(self) -> Self:
        """Give a client that will go on, over a connection of its own, where this one has stopped."""
        since = None if self.session is None else Position(self.position.epoch, self.reached)
        heir = type(self)(self.route, Admission(self._token, self.session, since))
        heir.position, heir.events, heir.resets = self.position, self.events, self.resets
        return heir

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that it is over."""
        self.lost = True
        self._fail(Unexpected(f"the server hung up: {exc or 'closed'}"))

    @property
    def here(self) -> bool:
        """Tell whether it is let in, and not lost."""
        return self._admission is None and not self.lost

    def beat(self, *, playing: bool) -> None:
        """Give the sign of life that the server's heartbeat asks for; tell, too, that the video plays."""
        if self.here:
            self._transport.write(PONG)
        if self.here and playing:
            self._transport.write(wire.frame({"type": "playback", "session": self.session}))

    def leave(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _begin(self) -> None:
        raise NotImplementedError

    def _admit(self, payload: bytes) -> bytes:
        """Take a message on the way in, and give what to send next."""
        assert self._admission is not None
        answer = self._admission.take(payload)
        if (position := self._admission.position) is not None:
            admission, self._admission = self._admission, None
            self.resets += not admission.complete
            self._arrive(admission.since if admission.complete else None, position, payload)
            if not self.ready.done():
                self.ready.set_result(None)
        return answer

    def _arrive(self, since: Position | None, position: Position, payload: bytes) -> None:
        """Begin at a position; or go on, with what was missed, where one has been before."""
        if since is None:
            self.position, self.events = position, 0
        else:
            self.events += payload.count(wire.EVENT)

    def _fail(self, why: Unexpected) -> None:
        if not self.ready.done():
            self.ready.set_exception(why)
            self._transport.abort()


class Viewer(Client, asyncio.BufferedProtocol):
    """Counts events. All viewers of a process read into one buffer, which the loop fills and empties at once."""

    def __init__(self, route: Route, admission: Admission) -> None:
        super().__init__(route, admission)
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
        self._transport.write(wire.upgrade(self.route.host, self.route.port))

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
            self._counter.count = self.events
            self._count(data, len(data))

    def _take(self, size: int) -> None:
        self._count(_BUFFER, size)

    def _count(self, data: bytes | bytearray, size: int) -> None:
        self._counter.feed(data, size)
        self.events = self._counter.count


class Sender(Viewer):
    """A viewer that talks."""

    def __init__(self, route: Route, admission: Admission) -> None:
        super().__init__(route, admission)
        self._answers = Answers()
        self.asks = Asks()
        self.unanswered: dict[int, bytes] = {}
        # A random name and a number make a UUID that costs nothing.
        self.keys = str(uuid4())[:24]

    def heir(self) -> Self:
        """Give a client that goes on for this one, and says again what was not answered."""
        heir = super().heir()
        heir.asks, heir.unanswered, heir.keys = self.asks, self.unanswered, self.keys
        return heir

    def arm(self, asks: Asks) -> None:
        """Say where open questions are kept, before anything is said."""
        self.asks = asks

    def say(self, asked: Asked, due: int, size: int) -> None:
        """Send one message of so many characters."""
        assert self.session is not None
        number = self.asks.begin(asked, due)
        self._ask(number, wire.chat(number, self.session, f"{self.keys}{number:012x}", wire.stamp(due, size)))

    def react(self, asked: Asked, due: int, kind: str) -> None:
        """Send one reaction."""
        number = self.asks.begin(asked, due)
        self._ask(number, wire.frame({"id": number, "type": "react", "session": self.session, "kind": kind}))

    def _ask(self, number: int, frame: bytes) -> None:
        self.unanswered[number] = frame
        if self.here:
            self._transport.write(frame)

    def _arrive(self, since: Position | None, position: Position, payload: bytes) -> None:
        super()._arrive(since, position, payload)
        # With the same keys: what was stored before its ack was lost is not stored again.
        self._transport.writelines(self.unanswered.values())

    def _take(self, size: int) -> None:
        super()._take(size)
        now = monotonic_ns()
        for acked, number in self._answers.feed(bytes(_BUFFER_VIEW[:size])):
            if self.unanswered.pop(number, None) is not None:
                self.asks.settle(number, acked, now)


class Staller(Viewer):
    """A viewer that can stop reading, without a word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with little room in the kernel for what is not read."""
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, STALLED_BYTES)
        super().connection_made(transport)

    def stall(self) -> None:
        """Read nothing from now on. Nor will it notice that it is closed: that would come behind all the rest."""
        self._transport.pause_reading()


AnyClient = TypeVar("AnyClient", bound=Client)


async def connect(client: AnyClient) -> AnyClient:
    """Connect, and wait until the client is let in.

    Raises:
        Unexpected: it was not.
        OSError: nobody listens there.
    """
    # Each kind of client is one that the loop takes.
    factory: Any = lambda: client  # noqa: E731
    route = client.route
    loop = asyncio.get_running_loop()
    # To bind searches for a port that nobody uses for anything, which takes milliseconds where most are in use; to
    # connect needs one that nobody uses to connect there.
    local = None if route.source == FIRST_SOURCE else (route.source, 0)
    await loop.create_connection(factory, route.host, route.port, local_addr=local)
    try:
        await client.ready
    except asyncio.CancelledError:
        # Nobody waits for it any more.
        client.leave()
        raise
    return client


async def come_back(members: list[AnyClient], place: int) -> int:
    """Have one of `members` connect again, and go on where it has stopped; try until it works.

    Give how often it did not. Its heir has its place from the beginning: what is said meanwhile is said once it is in.
    """
    in_vain = 0
    while True:
        members[place] = members[place].heir()
        try:
            await connect(members[place])
        except Unexpected as exc:
            pause = exc.retry_after or AGAIN_SECONDS
        except OSError:
            pause = AGAIN_SECONDS
        else:
            return in_vain
        in_vain += 1
        # Not all at the same moment again.
        await asyncio.sleep(pause * uniform(1, 1.25))
