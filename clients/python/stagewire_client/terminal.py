"""A terminal to one session: lines in, lines out. Works in a pipe, too."""

import asyncio
import os
import select
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from stagewire_client import words
from stagewire_client.connection import TokenSource
from stagewire_client.delivery import Delivery
from stagewire_client.errors import Dropped, Failed, Full, Lost, Refused
from stagewire_client.live import Stagewire
from stagewire_client.policy import State
from stagewire_client.session import Session
from stagewire_client.storage import FileStorage

CLIENT: Final = "stagewire-terminal/0.1.0"
_HISTORY: Final = 20
_BLOCK: Final = 65_536
# Lines that were read and not sent yet.
_AHEAD: Final = 16
Say = Callable[[str], None]


class Options(Struct, frozen=True, kw_only=True):
    """Where to talk, as whom, and in which folder to keep what could not be sent yet."""

    url: str
    session: str
    token: str | TokenSource
    folder: Path


def default_folder() -> Path:
    """Give where this user's programs keep their state (XDG Base Directory Specification, 0.8)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state else Path.home() / ".local" / "state") / "stagewire"


def run(options: Options) -> str:
    """Talk until the user has enough; give the sentence that says why it ended otherwise, if it did."""
    try:
        return asyncio.run(_run(options))
    except BrokenPipeError:
        # Whoever reads what is said has had enough; what was still to be written to them goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ""


async def _run(options: Options) -> str:
    live = Stagewire(options.url, token=options.token, client=CLIENT, storage=FileStorage(options.folder))
    async with live:
        return await Chat(live, print_line).run(options.session, typed(sys.stdin.fileno()))


def print_line(line: str) -> None:
    """Write a line, at once."""
    print(line, flush=True)


class Chat:
    """One conversation."""

    def __init__(self, live: Stagewire, say: Say, zone: tzinfo | None = None) -> None:
        self._live = live
        self._say = say
        self._zone = zone
        self._followed: set[asyncio.Task[None]] = set()

    async def run(self, session: str, lines: AsyncIterator[str]) -> str:
        """Join, and talk until the lines end, or the user quits; give the sentence that says why it ended otherwise."""
        watching = asyncio.create_task(self._watch())
        try:
            show = await self._live.join(session)
            await self._open(show)
            return await self._first_of(
                self._watch_until_failed(), self._listen(show), self._hear_signals(show), self._type(show, lines)
            )
        except Refused as exc:
            return exc.message
        except Failed as exc:
            return exc.status.sentence
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _first_of(self, *ways: Coroutine[Any, Any, str]) -> str:
        """Run all, until one comes to an end."""
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(way) for way in ways]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            why: str = done.pop().result()
            return why
        finally:
            tasks.extend(self._followed)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self, show: Session) -> None:
        with suppress(Refused, Lost):
            await show.older(_HISTORY)
        for line in words.headline(show.snapshot, show.audience):
            self._say(line)
        for message in show.messages():
            self._tell(words.shown(message, self._zone))

    async def _watch(self) -> None:
        before = self._live.status
        async for status in self._live.statuses():
            self._tell(words.status(status, before))
            before = status

    async def _watch_until_failed(self) -> str:
        statuses = self._live.statuses()
        status = self._live.status
        while status.state is not State.FAILED:
            status = await anext(statuses)
        return status.sentence

    async def _listen(self, show: Session) -> str:
        async for one in show:
            self._tell(words.happened(one, self._zone))
        return ""

    async def _hear_signals(self, show: Session) -> str:
        async for signal in show.signals():
            for line in words.came_and_went(signal, self._live.user):
                self._say(line)
        return ""

    async def _type(self, show: Session, lines: AsyncIterator[str]) -> str:
        async for line in lines:
            if line == "/quit":
                return self._quit(show)
            if line == "/who":
                self._say(words.who(show.audience))
            elif line.startswith("/") and not line.startswith("//"):
                self._say(words.note(f"There is no {line.split()[0]}: /who says who is here, /quit ends."))
            elif line.strip():
                await self._send(show, line.removeprefix("/") if line.startswith("//") else line)
        await show.settled()
        # What was refused is said before the end.
        await asyncio.gather(*self._followed)
        return ""

    def _quit(self, show: Session) -> str:
        if show.pending:
            self._say(words.note(f"{len(show.pending)} not sent yet: that is kept, and sent when you are here again."))
        return ""

    async def _send(self, show: Session, line: str) -> None:
        task = asyncio.create_task(self._follow(await self._written(show, line)))
        self._followed.add(task)
        task.add_done_callback(self._followed.discard)

    async def _written(self, show: Session, line: str) -> Delivery:
        while True:
            try:
                return show.send(line)
            except Full:
                await show.settled()

    async def _follow(self, sent: Delivery) -> None:
        try:
            await sent
        except Refused as exc:
            self._say(words.note(f"Not sent, {exc.message}: {sent.draft.text}"))
            sent.drop()
        except (Dropped, Failed, Lost):
            # It stays where it is kept, and the next one sends it.
            return

    def _tell(self, line: str | None) -> None:
        if line is not None:
            self._say(line)


async def typed(descriptor: int) -> AsyncIterator[str]:
    """Give the lines that come in, whatever that is: a terminal, a pipe or a file."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue(_AHEAD)

    def put(line: str | None) -> None:
        # Reads no further than somebody takes it.
        asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()

    # A thread that nobody waits for: a read of a terminal cannot be interrupted.
    threading.Thread(target=_read, args=(descriptor, put), daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line


def _read(descriptor: int, put: Callable[[str | None], None]) -> None:
    unread = b""
    # Whoever ends meanwhile closes the loop, and with it the queue.
    with suppress(RuntimeError, asyncio.CancelledError):
        for block in _blocks(descriptor):
            *whole, unread = (unread + block).split(b"\n")
            if len(unread) > _BLOCK:
                # No message is that long; what never ends is not collected.
                whole, unread = [*whole, unread], b""
            for line in whole:
                put(line.decode("utf-8", "replace").rstrip("\r"))
        if unread:
            put(unread.decode("utf-8", "replace"))
        put(None)


def _blocks(descriptor: int) -> Iterator[bytes]:
    """Give what can be read, until there is no more, or nobody any more to read from."""
    while True:
        try:
            block = os.read(descriptor, _BLOCK)
        except BlockingIOError:
            # Whoever has started this may have wanted it so.
            select.select([descriptor], [], [])
            continue
        except OSError:
            # The terminal is gone.
            return
        if not block:
            return
        yield block
