"""Socket to connection: one `asyncio.Protocol` over websockets' sans-I/O core, and no task of its own.

Bytes in become frames, frames become messages for a `Service`; whatever is written goes straight to
the socket. The life of a connection:

    connected ──handshake──▶ open ──close frame, either side──▶ closing ──▶ lost
        └──────refused─────────────────────────────────────────────┘
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Origin

from realtime.core import Core, part_of_head
from realtime.domain.limits import Bucket, Limit
from realtime.frames import FORMS, PLAIN, Form, to_frame
from realtime.outgoing import HIGH_WATER, Outgoing
from realtime.protocol.codec import CODECS, JSON, Codec, Format, Malformed, NotText
from realtime.protocol.codes import Close
from realtime.settings import Settings
from realtime.telemetry import metrics

PATH: Final = "/v1/ws"
# Bytes of one connection that are parsed in one turn of the loop, which others are to have in between.
SLICE: Final = 4096
# Of a handshake: browsers and proxies are content with 8 KiB, and whoever has not even shaken hands is to cost little.
MAX_HEAD: Final = 16_384


class Service(Protocol):
    """What a connection serves. The calls come on the event loop, and must not block."""

    def meet(self, connection: "Connection") -> None:
        """Take notice of a new connection."""

    def admit(self, connection: "Connection", forwarded: Sequence[str]) -> HTTPStatus:
        """Tell whether a handshake is welcome: 101, or the status to refuse it with.

        `forwarded` are the values of its `X-Forwarded-For`.
        """

    def receive(self, connection: "Connection", data: bytes) -> None:
        """Take one message.

        Raises:
            Malformed: it cannot be one of ours.
        """

    def lose(self, connection: "Connection") -> None:
        """Take notice, once, that nothing can be written any more."""

    def part(self, connection: "Connection") -> None:
        """Take notice that the socket is closed."""

    def fall_behind(self, connection: "Connection") -> None:
        """Take notice that the peer reads slower than we write."""

    def catch_up(self, connection: "Connection") -> None:
        """Take notice that the peer has read what waited."""


class Connection(Outgoing):
    """One socket. `peer` belongs to the service; all times are the loop's clock."""

    __slots__ = (
        "_behind", "_core", "_events", "_lost", "_message", "_reading", "_settings", "_small", "_stopper", "_unparsed",
        "address", "bytes_in", "close_code", "codec", "counted", "crowded", "form", "held", "in_flight", "last_heard",
        "opened_at", "peer", "retired", "service",
    )  # fmt: skip

    def __init__(self, service: Service, settings: Settings, origins: Sequence[Origin | None] | None) -> None:
        super().__init__()
        self.service = service
        self.codec: Codec = JSON
        self.form = PLAIN
        self.peer: Any = None
        # The peer's IP address, and under which it is counted, if it is.
        self.address = self.counted = ""
        # With what its handshake is refused, if there were too many already when it came.
        self.crowded: HTTPStatus | None = None
        self.close_code: int | None = None
        self.bytes_in = 0
        self.in_flight = 0
        self.held = False
        self.retired = False
        self._settings = settings
        self._events: deque[Request | Frame] = deque()
        self._unparsed = b""
        self._message: bytearray | None = None
        # How many frames came that are no whole message, once one did.
        self._small: Bucket | None = None
        self._lost = False
        self._behind = False
        self._reading = True
        self._stopper: asyncio.TimerHandle | None = None
        self._core = Core(origins, settings.max_frame, compressing=settings.compression)

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self.opened_at = self.last_heard = self._loop.time()
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self.service.meet(self)

    def data_received(self, data: bytes) -> None:
        """Parse, and serve what is complete."""
        self.last_heard = self._loop.time()
        self.bytes_in += len(data)
        metrics.BYTES_IN.count(by=len(data))
        self._unparsed = self._unparsed + data if self._unparsed else data
        self._parse()

    def eof_received(self) -> None:
        """Let the loop close the transport: a half-closed peer can't be served."""
        self._core.receive_eof()
        self._send()
        # The transport takes nothing more: whoever wrote to it before the loop has closed it would fail.
        self._lose()

    def pause_writing(self) -> None:
        """Listen no more to a peer that reads slower than we write: its commands would only add to that."""
        self._behind = True
        if not self._lost:
            self._pause()
            self.service.fall_behind(self)

    def resume_writing(self) -> None:
        """Listen again to a peer that has caught up."""
        self._behind = False
        self.allowance = 0
        self.service.catch_up(self)
        self._resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the code says enough
        """End."""
        if self._stopper is not None:
            self._stopper.cancel()
        self._lose()
        self._core.forget()
        self.service.part(self)

    # The service calls these.

    @property
    def open(self) -> bool:
        """Tell whether messages can be written."""
        # A socket that breaks tells the core nothing.
        return self._core.state is State.OPEN and not self._lost

    @property
    def arriving(self) -> bool:
        """Tell whether its handshake is still to come."""
        return self._core.state is State.CONNECTING and not self._lost

    @property
    def behind(self) -> bool:
        """Tell whether the peer reads slower than we write. Nothing that it says is read meanwhile."""
        return self._behind

    def send(self, message: Any) -> None:
        """Encode one message, and write it in this turn of the loop, unless the connection is closing."""
        if self.open:
            self._post(to_frame(self.codec.encode(message), binary=self.codec.binary))

    @property
    def heard_ms(self) -> int:
        """Give when the peer was last heard, in milliseconds."""
        return int(self.last_heard * 1000)

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code; by force if the peer doesn't answer in time."""
        if self.open:
            self.close_code = int(code)
            # Who floods is listened to no more, not even for the answer to the close.
            (self._core.fail if code == Close.FLOOD else self._core.send_close)(code, reason)
            self._send()
        elif self._core.state is State.CONNECTING:
            self.close_code = int(code)
            self._lose()
            self._transport.abort()

    def hold(self) -> None:
        """Serve no further message until `release`: the one before is still being carried out."""
        self.held = True

    def release(self) -> None:
        """Go on after `hold`."""
        self.held = False
        self._resume()

    def retire(self) -> None:
        """Serve no further message at all. What is being carried out is still answered."""
        self.retired = True
        self._pause()

    @property
    def busy(self) -> bool:
        """Tell whether something is still being carried out."""
        return self.held or self.in_flight > 0

    def begin(self) -> None:
        """Count a command that will be answered later. Too many of them pause the reading."""
        self.in_flight += 1

    def finish(self) -> None:
        """Count a command that was answered."""
        self.in_flight -= 1
        self._resume()

    # Within.

    def _lose(self) -> None:
        if self._lost:
            return
        self._lost = True
        self._events.clear()
        self._forget_posted()
        if self.close_code is None:
            received, sent = self._core.close_rcvd, self._core.close_sent
            self.close_code = received.code if received else sent.code if sent else Close.ABNORMAL
        self.service.lose(self)
        self._resume()

    @property
    def _handshaking(self) -> bool:
        return self._core.state is State.CONNECTING and not self._core.eof_sent

    def _parse(self) -> None:
        # Never more than can be served: small frames take many times their bytes once they are parsed.
        left = SLICE
        while self._unparsed and not self._events:
            if self._core.eof_sent:
                # Nobody looks at what still comes.
                self._unparsed = b""
            if left <= 0 or not self._unparsed:
                self._yield()
                return
            data = self._unparsed
            fresh = len(data) == self.bytes_in
            end = part_of_head(data, SLICE, fresh=fresh) if self._handshaking else SLICE
            self._unparsed = data[end:]
            left -= end
            self._take(data[:end])

    def _take(self, data: bytes) -> None:
        self._core.receive_data(data)
        self._events.extend(self._core.events_received())  # type: ignore[arg-type] # a server gets no Response
        self._serve()
        if self._handshaking and self.bytes_in - len(self._unparsed) > MAX_HEAD:
            # The core itself takes 128 lines of 8 KiB.
            self._respond(self._core.reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "That is too long.\n"))
        self._send()

    @property
    def _full(self) -> bool:
        paused = self.held or self.retired or self._behind or self.in_flight >= self._settings.max_in_flight
        # Whoever is lost is not served, but must be read for its half of the closing handshake.
        return paused and not self._lost

    def _serve(self) -> None:
        if self._lost:
            if any(self._is_flood() for _ in self._events):
                # It was told goodbye, and goes on: there is no answer to the close to be waited for.
                self._core.fail(Close.FLOOD)
            self._events.clear()
        while self._events:
            if self._full:
                self._pause()
                return
            if self.outgoing > HIGH_WATER:
                # The loop writes before its next round, and then we know whether the peer keeps up.
                self._yield()
                return
            event = self._events.popleft()
            if isinstance(event, Request):
                self._handshake(event)
            else:
                self._on_frame(event)

    def _pause(self) -> None:
        self._reading = False
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _yield(self) -> None:
        """Go on in the next round: left to itself the loop reads a busy socket dozens of times before any other."""
        self._pause()
        self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._reading or self._full or self._transport.is_closing():
            return
        # Set first: serving what waits may fill the connection up and pause it again.
        self._reading = True
        self._transport.resume_reading()
        self._serve()
        self._send()
        self._parse()

    def _send(self) -> None:
        self._write_posted()
        for data in self._core.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
        if self._stopper is None and self._core.close_expected():
            self._stopper = self._loop.call_later(self._settings.close_timeout, self._transport.abort)
            self._lose()

    def _handshake(self, request: Request) -> None:
        self._respond(self._answer(request))
        # The core's parser keeps the request for as long as the connection lives: 2 KiB and more.
        request.headers.clear()
        self.codec = CODECS.get(Format(self._core.subprotocol), JSON) if self._core.subprotocol else JSON
        self.form = FORMS[Form(self.codec.name, self._core.compressing)]

    def _respond(self, response: Response) -> None:
        metrics.HANDSHAKES.labels(str(response.status_code)).inc()
        self._core.send_response(response)

    def _answer(self, request: Request) -> Response:
        if request.path.partition("?")[0] != PATH:
            return self._core.reject(HTTPStatus.NOT_FOUND, f"The WebSocket is at {PATH}.\n")
        if len(request.headers.get_all("Host")) != 1:
            return self._core.reject(HTTPStatus.BAD_REQUEST, "One Host header, please.\n")
        status = self.service.admit(self, request.headers.get_all("X-Forwarded-For"))
        if status is not HTTPStatus.SWITCHING_PROTOCOLS:
            response = self._core.reject(status, "Not now.\n")
            response.headers["Retry-After"] = "1"
            return response
        return self._core.accept(request)

    def _on_frame(self, frame: Frame) -> None:
        if not (frame.fin and frame.opcode in (Opcode.TEXT, Opcode.BINARY)) and self._is_flood():
            self.close(Close.FLOOD, "too many small frames")
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            if (frame.opcode is Opcode.BINARY) != self.codec.binary:
                self.close(Close.BAD_FRAME, "not the kind of frame that was agreed")
            elif frame.fin:
                self._on_message(bytes(frame.data))
            else:
                self._message = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._message is not None:
            self._message += frame.data
            if frame.fin:
                message, self._message = bytes(self._message), None
                self._on_message(message)

    def _is_flood(self) -> bool:
        """Count frames that cost the most for their bytes, and that no limit of a user's commands counts."""
        most = self._settings.small_frames
        limit = Limit(most / self._settings.flood_seconds, most)
        if self._small is None:
            self._small = Bucket(limit, self.last_heard)
        return self._small.take(limit, self.last_heard) > 0

    def _on_message(self, data: bytes) -> None:
        # What a peer said before its own goodbye counts; what it says after ours does not.
        if self.close_code is not None:
            return
        try:
            self.service.receive(self, data)
        except NotText:
            self.close(Close.INVALID_DATA, "not UTF-8")
        except Malformed:
            self.close(Close.BAD_FRAME, "not a command")
