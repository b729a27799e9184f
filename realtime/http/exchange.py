"""HTTP/1.1 with peers that take their time: uvicorn's protocol, with a bound for every wait.

By itself uvicorn waits for ever for a request that does not come or come to its end, and for a peer
that does not read its response; each byte counts as a sign of life. Here a request's head must be
complete within `timeout_keep_alive` seconds of the connection or of the response before, and a
response must be taken away in as many. A body has a bound of its own, in `serving`.

And parsing, of which h11 takes its time, leaves others their turns, and has an end. Who comes when there are as many
connections as may be is cut; those who are there are served on.
"""

import asyncio
from typing import Any, Final

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from realtime.http.serving import refused
from realtime.protocol.codes import Code, Refusal

_TOO_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
# Whoever frames a body in two ways wants two readers to read two different requests (RFC 9112, section 6.1).
_BOTH: Final = frozenset([b"content-length", b"transfer-encoding"])


# Bytes of one connection that are parsed in one turn of the loop, which others are to have in between.
SLICE: Final = 4096
# Of a request's head, or of what goes on about a chunk of its body.
MAX_HEAD: Final = 16_384
# Of one body. A chunk of one byte takes as long as one of a thousand.
MAX_CHUNKS: Final = 1000


class _Reading(h11.Connection):
    """h11's view of a connection, which ends where a body comes in too many chunks."""

    _chunks = 0

    def next_event(self) -> Any:
        """Give what comes next, as h11 does."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = 0
        elif isinstance(event, h11.Data) and event.chunk_start:
            self._chunks += 1
            if self._chunks > MAX_CHUNKS:
                raise h11.RemoteProtocolError("too many chunks")
        return event


class Exchange(H11Protocol):
    """One connection to the side API."""

    _head: asyncio.TimerHandle | None = None
    _response: asyncio.TimerHandle | None = None
    _unparsed = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin, and expect a request."""
        self.conn = _Reading(h11.SERVER, MAX_HEAD)
        super().connection_made(transport)
        # By itself uvicorn refuses every request, on whichever connection, while there are as many as may be.
        self.limit_concurrency = None
        limit = self.config.limit_concurrency
        if limit is not None and len(self.connections) > limit:
            transport.abort()
            return
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._cancel(self._head, self._response)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a part of it now, and the rest in turns with others."""
        waiting = bool(self._unparsed)
        self._unparsed += data
        if waiting:
            # uvicorn has listened again because a response is complete.
            self.transport.pause_reading()
        else:
            self._parse()

    def _parse(self) -> None:
        if self.transport.is_closing():
            return
        data, self._unparsed = self._unparsed[:SLICE], self._unparsed[SLICE:]
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unparsed:
            self.transport.pause_reading()
            self.loop.call_soon(self._parse)
        elif not self.flow.read_paused:
            self.transport.resume_reading()

    def handle_events(self) -> None:
        """Serve what is complete."""
        super().handle_events()
        if self._serving:
            self._cancel(self._head)

    def on_response_complete(self) -> None:
        """Expect the next request, unless it is there already."""
        self._expect()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP. What it is a part of is answered by this, or was answered already."""
        if self._serving:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """Give a peer its time to read."""
        super().pause_writing()
        self._response = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        self._cancel(self._response)
        super().resume_writing()

    @property
    def _serving(self) -> bool:
        return self.conn.our_state in (h11.SEND_RESPONSE, h11.SEND_BODY)

    def _expect(self) -> None:
        self._cancel(self._head)
        self._head = self.loop.call_later(self.timeout_keep_alive, self._give_up)

    def _give_up(self) -> None:
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self.transport.write(_TOO_LATE)
        self.transport.close()

    def _cancel(self, *timers: asyncio.TimerHandle | None) -> None:
        for timer in timers:
            if timer is not None:
                timer.cancel()


def unambiguous(app: ASGIApp) -> ASGIApp:
    """Refuse requests that can be read in two ways, before `app` sees them."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if not {name for name, _ in scope["headers"]} >= _BOTH:
            await app(scope, receive, send)
            return
        response = refused(Refusal(Code.BAD_REQUEST, "a length or chunks, not both"))
        response.headers["Connection"] = "close"
        await response(scope, receive, send)

    return guard
