"""The other way round: a server that says what a transcript's server says, and judges what a client says to it.

It answers whatever ids and keys the client chooses, and its times are as far from now as the transcript's were from
when it was recorded. Connections are taken for the transcript's, in the order in which they come.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from realtime.protocol.codec import Format
from tests.conformance.matching import TIMES
from tests.conformance.player import Deviation, Verdict, shown
from tests.conformance.transcript import (
    FRESH,
    Away,
    Connect,
    Disconnect,
    Drain,
    Freeze,
    Hear,
    Log,
    Read,
    Row,
    Say,
    Step,
    Transcript,
    Wait,
)

# What clients say when they see fit, if the transcript does not wait for it.
WHEN_THEY_LIKE: Final = frozenset(["pong", "history", "inbox.ack", "playback", "typing"])
# What a client chooses, and what the transcript need not foresee.
CHOSEN: Final = frozenset(["id", "key", "token", "now", "client", "device", "sent_at", "edited_at"])
_DATES: Final = TIMES | {"now", "expires_at", "renew_at"}
_FORMATS: Final = frozenset(Subprotocol(fmt) for fmt in Format)


def serves(transcript: Transcript) -> bool:
    """Tell whether a transcript says all that its server does: not what it left out for a client that read nothing."""
    return not any(isinstance(step, Read) for row in transcript.rows for step in row.steps)


class Scripted:
    """Plays a transcript's server to whoever connects; `only` to one of its clients."""

    def __init__(self, transcript: Transcript, now_ms: int, within: float = 60.0, only: str | None = None) -> None:
        self._transcript = transcript
        self._within = within
        self._only = only
        self._later_ms = now_ms - min(_dates([row.steps for row in transcript.rows]), default=now_ms)
        self._waiting: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self._sockets: dict[str, ServerConnection] = {}
        # The events that were told, by session, with those that were not; and the last answer to a join.
        self._told: dict[str, list[Any]] = {}
        self._joined: dict[str, Any] = {}
        self._untold: set[int] = set()
        # What the client has chosen in place of the transcript's.
        self._ids: dict[tuple[str, int], int] = {}
        self._keys: dict[str, str] = {}
        self._over = asyncio.Event()

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[int]:
        """Serve while the block runs; give the port."""
        async with serve(self._take, "127.0.0.1", port, select_subprotocol=_format, ping_interval=None) as server:
            yield server.sockets[0].getsockname()[1]
            self._over.set()

    async def play(self) -> AsyncGenerator[Verdict, None]:
        """Give the verdict on each row, as the client comes to it."""
        reached = True
        for row in self._transcript.rows:
            verdict = await self._judge(row) if reached else Verdict(row, "not reached")
            reached = verdict.outcome == "ok" and reached
            yield verdict

    async def _take(self, socket: ServerConnection) -> None:
        self._waiting.put_nowait(socket)
        await self._over.wait()

    async def _judge(self, row: Row) -> Verdict:
        try:
            for step in row.steps:
                async with asyncio.timeout(self._within):
                    await self._do(step)
        except TimeoutError:
            return Verdict(row, "deviates", f"the client does nothing within {self._within:g} s")
        except (Deviation, ConnectionClosed) as exc:
            return Verdict(row, "deviates", str(exc))
        return Verdict(row, "ok")

    async def _do(self, step: Step) -> None:
        if isinstance(step, Log):
            self._keep(self._adapted("", step.event))
        elif not isinstance(step, Wait | Drain | Freeze) and self._only in (None, step.actor):
            await self._act(step)

    async def _act(self, step: Connect | Disconnect | Read | Away | Say | Hear) -> None:
        match step:
            case Connect(actor):
                self._sockets[actor] = await self._waiting.get()
            case Away(_, seconds):
                await self._see_nobody(seconds)
            case Disconnect(actor):
                await self._sockets.pop(actor).wait_closed()
            case Say(actor, message, times):
                for _ in range(times):
                    await self._expect(actor, message)
            case Hear(actor, int(code)):
                await self._sockets[actor].close(code)
            case Hear(actor, message):
                await self._say(actor, self._adapted(actor, message))

    async def _see_nobody(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                self._waiting.put_nowait(await self._waiting.get())
                raise Deviation("the client connects")

    async def _say(self, actor: str, message: Any) -> None:
        self._remember(message)
        socket = self._sockets[actor]
        packed = socket.subprotocol == Format.MSGPACK.value
        await socket.send(msgspec.msgpack.encode(message) if packed else msgspec.json.encode(message).decode())

    def _keep(self, event: dict[str, Any]) -> None:
        self._told[event["session"]].append(event)
        self._untold.add(event["seq"])

    def _remember(self, message: Any) -> None:
        match message:
            case {"type": "joined", "session": {"id": session}, "events": events, "complete": complete}:
                self._joined[session] = message
                self._told[session] = [*self._told.get(session, []), *events] if complete else []
            case {"type": "event", "session": session}:
                self._told.setdefault(session, []).append(message)

    async def _expect(self, actor: str, told: Any) -> None:
        while not self._is_meant(actor, told, said := _read(await self._sockets[actor].recv())):
            if "id" in said:
                await self._say(actor, self._offhand(said))

    def _offhand(self, said: dict[str, Any]) -> dict[str, Any]:
        """Answer what the transcript does not wait for."""
        if said["type"] not in ("history", "join"):
            return {"type": "ack", "re": said["id"]}
        log = self._told.get(said["session"], [])
        if said["type"] == "join":
            return self._join_again(said, log)
        found = [one for one in log if said.get("after", 0) < one["seq"] < said.get("before", math.inf)]
        page = found[: said.get("limit", 50)] if "after" in said else found[-said.get("limit", 50) :]
        return {
            "type": "history",
            "re": said["id"],
            "session": said["session"],
            "events": page,
            "more": len(found) > len(page),
        }

    def _join_again(self, said: dict[str, Any], log: list[Any]) -> dict[str, Any]:
        """Give what the log has above a client's position, in place of one page of its history or more."""
        joined = self._joined[said["session"]]
        epoch, seq = said["since"]["epoch"], max(one["seq"] for one in log)
        missed = [one for one in log if one["seq"] > said["since"]["seq"]]
        self._untold.clear()
        return {**joined, "re": said["id"], "events": missed, "position": {"epoch": epoch, "seq": seq}}

    def _is_meant(self, actor: str, told: Any, said: Any) -> bool:
        """Tell whether this is what the transcript's client says; if not, then it is what may be said at any time."""
        if not (isinstance(told, dict) and isinstance(said, dict)):
            return True
        other = [name for name in told if name not in CHOSEN and said.get(name) != told[name]]
        if other and (said.get("type") in WHEN_THEY_LIKE or self._lacks(said)):
            return False
        if other:
            raise Deviation(f"{actor} says {shown(said)}: {other[0]} is to be {told[other[0]]!r}")
        if "id" in told and "id" in said:
            self._ids[actor, told["id"]] = said["id"]
        key = told.get("key", FRESH)
        if key != FRESH and self._keys.setdefault(key, str(said.get("key"))) != said.get("key"):
            raise Deviation(f"{actor} says {shown(said)}: another key than before")
        return True

    def _lacks(self, said: Any) -> bool:
        """Tell whether a client joins again to get what it was not told."""
        match said:
            case {"type": "join", "since": {"seq": seq}}:
                return any(untold > seq for untold in self._untold)
        return False

    def _adapted(self, actor: str, message: Any, field: str = "") -> Any:
        if isinstance(message, list):
            return [self._adapted(actor, one) for one in message]
        if isinstance(message, dict):
            return {name: self._adapted(actor, value, name) for name, value in message.items()}
        if field == "re":
            return self._ids.get((actor, message), message)
        if field in _DATES and isinstance(message, int):
            return message + self._later_ms
        return self._keys.get(message, message) if field == "key" else message


def _format(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Take the first format that a client offers; one that offers none gets JSON."""
    return next((one for one in offered if one in _FORMATS), None)


def _read(data: str | bytes) -> Any:
    """Read a message; what is none is given as it is."""
    try:
        return msgspec.msgpack.decode(data) if isinstance(data, bytes) else msgspec.json.decode(data)
    except msgspec.DecodeError:
        return data


def _dates(held: Any, field: str = "") -> list[int]:
    """Give all times that are told."""
    match held:
        case dict():
            return [date for name, value in held.items() for date in _dates(value, name)]
        case list() | tuple():
            return [date for value in held for date in _dates(value)]
        case int():
            return [held] if field in _DATES else []
        case _:
            return []
