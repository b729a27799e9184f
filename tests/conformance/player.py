"""Plays a transcript's clients against a server, and judges what it says, row by row."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import groupby
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from realtime.protocol.codec import Format
from tests.conformance.matching import Differs, Names, compare
from tests.conformance.transcript import (
    FRESH,
    Away,
    Connect,
    Disconnect,
    Drain,
    Freeze,
    Hear,
    Need,
    Read,
    Row,
    Say,
    Step,
    Transcript,
    Wait,
)

# These come when they come, if the transcript does not wait for them.
AT_ANY_TIME: Final = frozenset(["signal", "ping", "quality", "token.expiring"])
# What clients date by their clocks.
DATED: Final = ("sent_at", "edited_at")
_TOKEN: Final = re.compile(r"<(?P<user>[a-z]+) (?P<role>\w+)(?: (?P<more>.+))?>")
_OPEN_SECONDS: Final = 5.0
# How long something may take that takes patience.
PATIENCE_SECONDS: Final = 45.0
# What the kernel may hold for a client that will read nothing: as little as it can be made to.
_NARROW: Final = 4096

# Gives a token for a user, with a role, that is good for so many seconds; or one that is not good for another reason.
Mint = Callable[[str, str, int, str], str]


class Deviation(Exception):
    """The server says something else than the transcript."""


class Verdict(NamedTuple):
    """What became of a row: `ok`, `deviates`, `skipped` or `not reached`; and why."""

    row: Row
    outcome: str
    why: str = ""


class Stage(NamedTuple):
    """Where transcripts are played: `within` seconds everything must come."""

    url: str
    mint: Mint
    fmt: Format = Format.JSON
    within: float = 5.0
    has: frozenset[Need] = frozenset()
    # Tells the server to stop.
    drain: Callable[[], Awaitable[None]] | None = None
    # Freezes a user, or lets the user in again.
    freeze: Callable[[str, bool], Awaitable[None]] | None = None
    # Is told everything that the server says.
    listener: Callable[[Any], None] = lambda _: None


class Actor:
    """One client's connection: what it says, and what it hears, whose order it checks."""

    def __init__(self, name: str, socket: ClientConnection, stage: Stage) -> None:
        self._name = name
        self._socket = socket
        self._stage = stage
        self._binary = stage.fmt is Format.MSGPACK
        self._positions: dict[str, int] = {}
        # How much later it is than in the transcript, by this client's clock.
        self.later_ms = 0
        # What comes many times, until the row ends.
        self.often: list[Any] = []

    async def say(self, message: Any) -> None:
        """Send a message, text or bytes."""
        if isinstance(message, dict):
            encoded = msgspec.msgpack.encode(message) if self._binary else msgspec.json.encode(message).decode()
            await self._socket.send(encoded)
        else:
            await self._socket.send(message)

    def read(self, *, on: bool) -> None:
        """Take nothing away any more; or read on."""
        (self._socket.transport.resume_reading if on else self._socket.transport.pause_reading)()

    async def leave(self) -> None:
        """Close the connection."""
        await self._socket.close()

    async def hear(self) -> Any:
        """Give the next message, or the code with which the connection was closed.

        Raises:
            Deviation: an event out of order, or no message at all.
        """
        try:
            data = await self._socket.recv()
            message = msgspec.msgpack.decode(data) if isinstance(data, bytes) else msgspec.json.decode(data)
        except ConnectionClosed:
            return self._socket.close_code
        except msgspec.DecodeError as exc:
            raise Deviation(f"{self._name} hears what is no message: {exc}") from None
        self._stage.listener(message)
        self._follow(message)
        return message

    def _follow(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "joined", "session": {"id": session}, "position": {"seq": seq}}:
                self._positions[session] = seq
            case {"type": "skipped", "session": session, "last": last}:
                self._positions[session] = last
            case {"type": "event", "session": session, "seq": seq}:
                before = self._positions.get(session)
                if seq != (before or 0) + 1:
                    raise Deviation(f"{self._name} gets event {seq} after {before}")
                self._positions[session] = seq


class Player:
    """Plays one transcript."""

    def __init__(self, transcript: Transcript, stage: Stage, suffix: str) -> None:
        self._transcript = transcript
        self._stage = stage
        self._suffix = suffix
        self._actors: dict[str, Actor] = {}
        self._names = Names(users_of(transcript), suffix, keys_of(transcript))
        self._stack = AsyncExitStack()
        steps = [step for row in transcript.rows for step in row.steps]
        self._deaf = {step.actor for step in steps if isinstance(step, Read)}

    async def play(self) -> AsyncIterator[Verdict]:
        """Give the verdict on each row. After one that deviates, no other is reached: they go on from it."""
        reached = True
        async with self._stack:
            for row in self._transcript.rows:
                verdict = await self._judge(row) if reached else Verdict(row, "not reached")
                reached = verdict.outcome != "deviates" and reached
                yield verdict

    async def _judge(self, row: Row) -> Verdict:
        if lacking := row.needs - self._stage.has:
            return Verdict(row, "skipped", "needs " + ", ".join(sorted(need.value for need in lacking)))
        within = PATIENCE_SECONDS if Need.PATIENCE in row.needs else self._stage.within
        try:
            for heard, found in groupby(row.steps, lambda step: isinstance(step, Hear)):
                steps = list(found)
                await (self._hear_all(steps, within) if heard else self._do_all(steps))
        except (Deviation, WebSocketException, OSError) as exc:
            return Verdict(row, "deviates", str(exc))
        finally:
            for actor in self._actors.values():
                actor.often.clear()
        return Verdict(row, "ok")

    async def _do_all(self, steps: list[Step]) -> None:
        for step in steps:
            await self._do(step)

    async def _do(self, step: Step) -> None:
        match step:
            case Connect(actor):
                opened = await self._stack.enter_async_context(self._open(deaf=actor in self._deaf))
                self._actors[actor] = Actor(actor, opened, self._stage)
            case Disconnect(actor):
                await self._actors.pop(actor).leave()
            case Wait(_, seconds) | Away(_, seconds):
                await asyncio.sleep(seconds)
            case Say(actor, message, times):
                for _ in range(times):
                    await self._actors[actor].say(self._said(self._actors[actor], message))
            case Read(actor, on):
                self._actors[actor].read(on=on)
            case Freeze(user, frozen):
                assert self._stage.freeze is not None, "who can freeze says how"
                await self._stage.freeze(self._names.of(user), frozen)
            case Drain():
                assert self._stage.drain is not None, "who can drain says how"
                await self._stage.drain()

    @asynccontextmanager
    async def _open(self, *, deaf: bool) -> AsyncIterator[ClientConnection]:
        protocols = [Subprotocol(self._stage.fmt)]
        async with connect(
            self._stage.url,
            sock=await _narrow(self._stage.url) if deaf else None,
            subprotocols=protocols,
            max_size=None,
            # Whoever reads takes away all that comes, also while it has much to say.
            max_queue=None,
            open_timeout=_OPEN_SECONDS,
            close_timeout=1,
            # A transcript says by itself when its clients give a sign of life.
            ping_interval=None,
        ) as socket:
            if socket.subprotocol != protocols[0]:
                raise Deviation(f"the subprotocol is {socket.subprotocol} instead of {self._stage.fmt}")
            yield socket

    def _said(self, actor: Actor, message: Any) -> Any:
        if not isinstance(message, dict):
            return message
        said = self._names.translate(message)
        if isinstance(said.get("now"), int):
            now = time.time_ns() // 1_000_000
            actor.later_ms, said["now"] = now - said["now"], now
        for field in DATED:
            if field in said:
                said[field] += actor.later_ms
        if (token := said.get("token")) is not None:
            said["token"] = self._token(token)
        if said.get("key") == FRESH:
            said["key"] = str(uuid4())
        return said

    def _token(self, wanted: str) -> str:
        """Give a token for `<alice seller>`, `<alice seller for 7 s>`, `<alice seller expired>` or `<… forged>`."""
        found = _TOKEN.fullmatch(wanted)
        if found is None:
            return wanted
        user, role, more = found.groups()
        seconds = int(more.split()[1]) if more and more.startswith("for ") else 3600
        return self._stage.mint(user + self._suffix, role, seconds, more or "")

    async def _hear_all(self, steps: list[Step], within: float) -> None:
        """Wait until everything has come; each client hears for itself."""
        told: dict[str, list[Any]] = {}
        for step in steps:
            assert isinstance(step, Hear)
            told.setdefault(step.actor, []).append(step.message)
            if step.many:
                self._actors[step.actor].often.append(step.message)
        for actor, messages in told.items():
            try:
                async with asyncio.timeout(within):
                    while messages:
                        self._tick_off(actor, messages, await self._actors[actor].hear())
            except TimeoutError:
                raise Deviation(f"{actor} does not hear {shown(messages[0])} within {within:g} s") from None

    def _tick_off(self, actor: str, told: list[Any], heard: Any) -> None:
        differences = []
        often = self._actors[actor].often
        # What may come many times has time.
        for message in sorted(told, key=often.__contains__) + often:
            names = self._names.copy()
            try:
                compare(message, heard, names)
            except Differs as exc:
                differences.append((_likeness(message, heard), str(exc)))
                continue
            self._names = names
            if message in told:
                told.remove(message)
            return
        if not (isinstance(heard, dict) and heard.get("type") in AT_ANY_TIME):
            raise Deviation(f"{actor} hears {shown(heard)}: {max(differences)[1]}")


async def _narrow(url: str) -> socket.socket:
    """Give a socket to a server of which the kernel holds little: else it would read in place of the client."""
    to = urlsplit(url)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, (to.hostname, to.port or {"wss": 443}.get(to.scheme, 80)))
    return narrow


def users_of(transcript: Transcript) -> set[str]:
    """Give the users of a transcript: those who connect, whatever the device, and those whom tokens name."""
    steps = [step for row in transcript.rows for step in row.steps]
    connecting = {step.actor.partition("/")[0] for step in steps if isinstance(step, Connect)}
    named = {found["user"] for step in steps if isinstance(step, Say) for found in _TOKEN.finditer(str(step.message))}
    return connecting | named


def keys_of(transcript: Transcript) -> set[str]:
    """Give the keys that clients use."""
    steps = [step for row in transcript.rows for step in row.steps]
    return {
        str(step.message["key"])
        for step in steps
        if isinstance(step, Say) and isinstance(step.message, dict) and "key" in step.message
    }


def _likeness(told: Any, heard: Any) -> int:
    """Tell how much a message looks like what was meant: by what it answers, its type, and its kind."""
    if not (isinstance(told, dict) and isinstance(heard, dict)):
        return 0
    return sum(told.get(name) == heard.get(name) for name in ("re", "type", "kind", "seq"))


def shown(heard: Any) -> str:
    """Give a message, or a close, for people."""
    return f"a close with {heard}" if isinstance(heard, int) else msgspec.json.encode(heard).decode()[:300]
