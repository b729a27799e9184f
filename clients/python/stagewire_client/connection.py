"""A connection that comes back by itself, one wire after the other."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from msgspec import Struct

from stagewire_client.errors import Lost, NoToken, NotSignedIn, Refused, Unreachable
from stagewire_client.messages import Drain, Ping, Push, Quality, TokenExpiring, TokenTaken, Welcome
from stagewire_client.policy import (
    ABNORMAL,
    NORMAL,
    SILENT,
    End,
    Reason,
    State,
    Status,
    Step,
    Verdict,
    after,
    status_of,
    verdict_of,
)
from stagewire_client.quality import Pulse, is_lost, is_poor, next_look
from stagewire_client.settings import Settings
from stagewire_client.socket import Dial, dial
from stagewire_client.stream import Streams
from stagewire_client.wire import Wire

log: Final = logging.getLogger("stagewire_client")

# Gives an access token: a fresh one, where the last one is `stale`.
TokenSource = Callable[[bool], Awaitable[str]]
_STATUSES: Final = 100


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


def _key() -> str:
    return str(uuid4())


class Edges(Struct, frozen=True, kw_only=True):
    """Where a client meets the world: sockets, the wall clock in milliseconds, randomness from 0 to 1, fresh keys."""

    dial: Dial = dial
    clock: Callable[[], int] = _wall_clock
    random: Callable[[], float] = random.random
    key: Callable[[], str] = _key


class Introduction(Struct, frozen=True, kw_only=True):
    """Where to connect, and what to say there. `url` may be a function, which is asked before each attempt."""

    url: str | Callable[[], str]
    token: str | TokenSource
    client: str
    device: str | None = None


async def _in_its_own_task(source: TokenSource, stale: bool) -> str:
    """Ask for a token. What the source awaits may be cancelled: that is a failure of its own, and none of our end."""
    asking = asyncio.ensure_future(source(stale))
    asking.add_done_callback(_notice)
    try:
        await asyncio.wait([asking])
    finally:
        asking.cancel()
    if asking.cancelled():
        raise NoToken("the source of tokens was cancelled")
    return asking.result()


def _notice(done: "asyncio.Future[str]") -> None:
    """Have a failure count as seen, also where nobody waits for the answer any more."""
    if not done.cancelled():
        done.exception()


class Connection:
    """`hear` is told every push; `attend` runs while it is online, over the wire that it is given."""

    def __init__(
        self,
        introduction: Introduction,
        settings: Settings,
        edges: Edges,
        hear: Callable[[Push], None],
        attend: Callable[[Wire, Welcome], Awaitable[None]],
        changed: Callable[[Status], None],
    ) -> None:
        self._introduction = introduction
        self._settings = settings
        self._edges = edges
        self._told = hear
        self._attend = attend
        self._changed = changed
        self._retry = asyncio.Event()
        self._wire: Wire | None = None
        self._closing = False
        self._attempts = 0
        self._stale = False
        self._drained = False
        self._online_since: float | None = None
        self._away_since = 0.0
        self._refusal: Refused | None = None
        self._heartbeat = 0.0
        self._errands: asyncio.TaskGroup | None = None
        self._clock_offset = 0
        self.quality: Quality | None = None
        self.status = Status(state=State.OFFLINE, reason=Reason.IDLE)
        self.statuses: Streams[Status] = Streams(_STATUSES)

    @property
    def now(self) -> int:
        """Give the server's time, as far as it is known."""
        return self._edges.clock() + self._clock_offset

    def retry(self) -> None:
        """Connect now, unless it does already, or is online."""
        self._retry.set()

    async def run(self) -> None:
        """Connect, and again, until it is closed."""
        self._away_since = asyncio.get_running_loop().time()
        while not self._closing:
            self._show(self._connecting())
            end = await self._attempt()
            step = after(end, self._attempts, self._edges.random(), self._settings)
            self._attempts, self._stale = step.attempts, step.stale
            if not self._closing:
                await self._pause(step, end.code)

    def _connecting(self) -> Status:
        # Why it does so, if there was something before.
        reason = Reason.NONE if self.status.reason is Reason.IDLE else self.status.reason
        return Status(state=State.CONNECTING, reason=reason, lasting=self.status.lasting)

    def end(self, state: State, reason: Reason) -> None:
        """Say that nothing more will come."""
        self._show(Status(state=state, reason=reason, lasting=state is State.FAILED))

    async def close(self) -> None:
        """End it, and wait a moment for the server to agree. `run` ends then."""
        self._closing = True
        self._retry.set()
        if self._wire is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.closing):
                    await self._wire.leave(NORMAL)
            self._wire.end(NORMAL)

    async def _pause(self, step: Step, code: int) -> None:
        # What was asked for before there was anything to wait for is done.
        self._retry.clear()
        away = asyncio.get_running_loop().time() - self._away_since
        self._show(status_of(step, code, away, self._settings))
        with suppress(TimeoutError):
            async with asyncio.timeout(step.delay):
                await self._retry.wait()

    async def _attempt(self) -> End:
        self._online_since, self._refusal, self._drained = None, None, False
        self.quality = None
        try:
            token = await self._token(stale=self._stale)
        except NotSignedIn:
            return End(reason=Reason.TOKEN, final=True)
        except Exception:
            # The application's own source of tokens may fail in any way. It is told, and asked again.
            log.exception("there is no access token")
            return End(reason=Reason.TOKEN)
        try:
            async with asyncio.timeout(self._settings.dialling):
                socket = await self._edges.dial(self._url())
        except Unreachable as exc:
            return End(retry_after=exc.retry_after)
        except TimeoutError:
            return End()
        except Exception:
            # Nor need the application's own way to give a URL be without fault.
            log.exception("the server cannot be called")
            return End()
        return await self._visit(Wire(socket, self._settings, self._edges.clock, self._hear), token)

    def _url(self) -> str:
        url = self._introduction.url
        return url if isinstance(url, str) else url()

    async def _token(self, *, stale: bool) -> str:
        source = self._introduction.token
        if isinstance(source, str):
            return source
        async with asyncio.timeout(self._settings.dialling):
            return await _in_its_own_task(source, stale)

    async def _visit(self, wire: Wire, token: str) -> End:
        self._wire = wire
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(wire.run())
                serving = group.create_task(self._serve(wire, token))
                if self._closing:
                    wire.end(NORMAL)
                code = await running
                serving.cancel()
        finally:
            self._wire = None
        return self._ended(code)

    def _ended(self, code: int) -> End:
        now = asyncio.get_running_loop().time()
        if self._online_since is not None:
            self._away_since = now
        return End(
            code=code,
            online=None if self._online_since is None else now - self._online_since,
            retry_after=(self._refusal.retry_after_ms or 0) / 1000 if self._refusal else 0.0,
            drained=self._drained,
            # Whoever has but one token cannot get a fresh one.
            final=isinstance(self._introduction.token, str) and verdict_of(code) is Verdict.REFRESH,
        )

    async def _serve(self, wire: Wire, token: str) -> None:
        async with asyncio.TaskGroup() as group:
            # Whoever comes with a token that is about to end is told so before anything else happens here.
            self._errands = group
            try:
                welcome = await wire.request(
                    self._hello(token), Welcome, within=self._settings.welcome, then=self._arrive
                )
            except Lost:
                return
            except Refused as exc:
                # A close follows, whose code says what to do.
                self._refusal = exc
                await asyncio.sleep(self._settings.closing)
                wire.end(ABNORMAL)
                return
            group.create_task(self._watch(wire))
            await self._attend(wire, welcome)

    def _hello(self, token: str) -> dict[str, Any]:
        introduction = self._introduction
        hello = {"type": "hello", "token": token, "now": self._edges.clock(), "client": introduction.client}
        return hello if introduction.device is None else {**hello, "device": introduction.device}

    def _arrive(self, welcome: Welcome) -> None:
        self._set_clock(welcome.now)
        self._heartbeat = welcome.heartbeat_ms / 1000
        self._online_since = asyncio.get_running_loop().time()
        self._show(Status(state=State.ONLINE))

    def _hear(self, push: Push) -> None:
        if isinstance(push, Ping):
            self._set_clock(push.now)
        elif isinstance(push, Drain):
            self._drained = True
        elif isinstance(push, Quality):
            self.quality = push
        elif isinstance(push, TokenExpiring) and self._errands is not None:
            self._errands.create_task(self._refresh(push.expires_in_ms / 1000))
        if self._wire is not None and (isinstance(push, Quality) or self.status.state is State.DEGRADED):
            self._judge(self._wire)
        self._told(push)

    def _set_clock(self, now: int) -> None:
        self._clock_offset = now - self._edges.clock()

    async def _watch(self, wire: Wire) -> None:
        """Notice when the server is late, and when it is gone."""
        while not is_lost(self._pulse(wire), self._settings):
            self._judge(wire)
            await asyncio.sleep(next_look(self._pulse(wire), self._settings))
        wire.end(SILENT)

    def _pulse(self, wire: Wire) -> Pulse:
        silence = asyncio.get_running_loop().time() - wire.heard
        return Pulse(self.quality, silence, self._heartbeat)

    def _judge(self, wire: Wire) -> None:
        if not self.status.online:
            return
        poor = is_poor(self._pulse(wire), self._settings)
        if poor and self.status.state is State.ONLINE:
            self._show(Status(state=State.DEGRADED, reason=Reason.POOR_QUALITY))
        elif not poor and self.status.state is State.DEGRADED:
            self._show(Status(state=State.ONLINE))

    async def _refresh(self, left: float) -> None:
        """Send a fresh token, at a random moment of the first half of its time: many others were told just now."""
        if isinstance(self._introduction.token, str):
            return
        wire = self._wire
        await asyncio.sleep(self._edges.random() * left / 2)
        try:
            token = await self._token(stale=True)
            if wire is not None:
                await wire.request({"type": "token.refresh", "token": token}, TokenTaken)
        except Exception as exc:  # noqa: BLE001 - the application's own source of tokens may fail in any way
            # The server closes the connection when the token ends, and that says what to do.
            log.warning("there is no fresh access token: %r", exc)

    def _show(self, status: Status) -> None:
        self.status = status
        self.statuses.put(status)
        self._changed(status)
