"""HTTP/1.1 with peers that take their time: uvicorn's protocol, with a bound for every wait.

By itself uvicorn waits for ever for a request that does not come or come to its end, and for a peer
that does not read its response; each byte counts as a sign of life. Here a request's head must be
complete within `timeout_keep_alive` seconds of the connection or of the response before, and a
response must be taken away in as many. A body has a bound of its own, in `serving`.
"""

import asyncio
from typing import Final

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from realtime.http.serving import refused
from realtime.protocol.codes import Code, Refusal

_TOO_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
# Whoever frames a body in two ways wants two readers to read two different requests (RFC 9112, section 6.1).
_BOTH: Final = frozenset([b"content-length", b"transfer-encoding"])


class Exchange(H11Protocol):
    """One connection to the side API."""

    _head: asyncio.TimerHandle | None = None
    _response: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin, and expect a request."""
        super().connection_made(transport)
        limit = self.config.limit_concurrency
        if limit is not None and len(self.connections) > limit:
            transport.abort()
            return
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._cancel(self._head, self._response)
        super().connection_lost(exc)

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
