"""One socket, from its beginning to its end: pairs replies with requests, answers pings, hands on what is pushed."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from stagewire_client.errors import Closed, Lost, Refused
from stagewire_client.messages import (
    AgoraToken,
    Drain,
    ErrorReply,
    Event,
    Inbox,
    Ping,
    Push,
    Quality,
    Removed,
    Signal,
    Skipped,
    TokenExpiring,
)
from stagewire_client.policy import PROTOCOL_ERROR, SILENT
from stagewire_client.settings import Settings
from stagewire_client.socket import Socket

T = TypeVar("T")

_PUSHES: Final[Mapping[str, "msgspec.json.Decoder[Push]"]] = {
    name: msgspec.json.Decoder(kind)
    for name, kind in {
        "event": Event,
        "signal": Signal,
        "ping": Ping,
        "skipped": Skipped,
        "removed": Removed,
        "quality": Quality,
        "token.expiring": TokenExpiring,
        "drain": Drain,
        "inbox": Inbox,
        "agora.token": AgoraToken,
    }.items()
}


# A server reads nothing of those who are behind, so answers may be late while much else comes.
_REPLY_TRIES: Final = 4


def _nothing() -> None:
    return


class _Envelope(Struct):
    type: str
    re: int | None = None


class _Request(Struct):
    wanted: Any
    answer: "asyncio.Future[Any]"
    then: Callable[[Any], None] | None
    call_off: Callable[[], None] = _nothing


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


class Wire:
    """`hear` is told every push, in order. `heard` is when anything last came, by the loop's clock."""

    def __init__(
        self, socket: Socket, settings: Settings, clock: Callable[[], int], hear: Callable[[Push], None]
    ) -> None:
        self._socket = socket
        self._settings = settings
        self._clock = clock
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._requests: dict[int, _Request] = {}
        self._unsent: asyncio.Queue[bytes] = asyncio.Queue(settings.requests)
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._over = False
        self.heard = self._loop.time()

    @property
    def congested(self) -> bool:
        """Tell whether what can be left out should be."""
        return self._unsent.qsize() > self._settings.requests // 2

    async def run(self) -> int:
        """Read and write until the end; give the close code."""
        reading, writing = self._loop.create_task(self._read()), self._loop.create_task(self._write())
        try:
            await asyncio.wait([reading, writing, self._ended], return_when=asyncio.FIRST_COMPLETED)
            first: asyncio.Future[int] = next(one for one in (self._ended, reading, writing) if one.done())
            return first.result()
        finally:
            self._over = True
            reading.cancel()
            writing.cancel()
            self._socket.abandon()
            await asyncio.gather(reading, writing, return_exceptions=True)
            self._forsake()

    def end(self, code: int) -> None:
        """Let go, as if the other side had closed with this code."""
        if not self._ended.done():
            self._ended.set_result(code)

    async def leave(self, code: int) -> None:
        """Close, and wait a moment for the other side to agree."""
        await self._socket.close(code)
        self.end(code)

    def say(self, command: Mapping[str, Any]) -> None:
        """Send a command that wants no reply."""
        if self._over:
            return
        try:
            self._unsent.put_nowait(msgspec.json.encode(command))
        except asyncio.QueueFull:
            # Whoever takes nothing away is as good as gone.
            self.end(SILENT)

    async def request(
        self,
        command: Mapping[str, Any],
        wanted: type[T],
        *,
        within: float | None = None,
        then: Callable[[T], None] | None = None,
    ) -> T:
        """Send a command and give its reply, read as `wanted`. `then` gets it first, before anything that came later.

        Raises:
            Refused: the server says no.
            Lost: the connection has ended, or ends now because no reply came in time.
        """
        if self._over:
            raise Lost
        number, request = next(self._ids), _Request(wanted, self._loop.create_future(), then)
        self._requests[number] = request
        self._owe(request, within or self._settings.reply, _REPLY_TRIES)
        self.say({**command, "id": number})
        try:
            return await request.answer  # type: ignore[no-any-return] # it was read as `wanted`
        finally:
            self._requests.pop(number, None)
            request.call_off()

    def _owe(self, request: _Request, within: float, tries: int) -> None:
        request.call_off = self._loop.call_later(within, self._overdue, request, within, tries).cancel

    def _overdue(self, request: _Request, within: float, tries: int) -> None:
        if tries > 1 and self._loop.time() - self.heard < within:
            self._owe(request, within, tries - 1)
        elif not request.answer.done():
            # A server that stays silent where it owes an answer is as good as gone.
            self.end(SILENT)
            _fail(request, Lost())

    async def _read(self) -> int:
        try:
            while True:
                self._take(await self._socket.receive())
        except Closed as exc:
            return exc.code
        except msgspec.DecodeError:
            return PROTOCOL_ERROR

    async def _write(self) -> int:
        try:
            while True:
                await self._socket.send(await self._unsent.get())
        except Closed as exc:
            return exc.code

    def _take(self, text: str | bytes) -> None:
        self.heard = self._loop.time()
        envelope = _ENVELOPE.decode(text)
        if envelope.re is not None:
            self._settle(envelope.re, envelope.type, text)
        elif envelope.type == "ping":
            self.say({"type": "pong", "now": self._clock()})
            self._hear(_PUSHES["ping"].decode(text))
        elif envelope.type in _PUSHES:
            self._hear(_PUSHES[envelope.type].decode(text))

    def _settle(self, number: int, kind: str, text: str | bytes) -> None:
        request = self._requests.pop(number, None)
        if request is None or request.answer.done():
            return
        if kind == "error":
            _fail(request, _refusal(msgspec.json.decode(text, type=ErrorReply)))
            return
        reply = msgspec.json.decode(text, type=request.wanted)
        if request.then is not None:
            request.then(reply)
        request.answer.set_result(reply)

    def _forsake(self) -> None:
        for request in self._requests.values():
            if not request.answer.done():
                _fail(request, Lost())


def _fail(request: _Request, error: Exception) -> None:
    request.answer.set_exception(error)
    # Whoever was cancelled in this moment sees it no more: that is no exception that nobody retrieved.
    request.answer.exception()


def _refusal(error: ErrorReply) -> Refused:
    return Refused(error.code, error.message, retry_after_ms=error.retry_after_ms, state=error.state)
