"""Two users who chat while others misbehave, and notice whatever they are made to feel of it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import psutil
from websockets.asyncio.client import connect

from tests.support.nodes import Client, Message, Target, token
from tests.support.processes import wait_until
from tokens.access import AccessRole

PAUSE = 0.02
# What a message may take to be acknowledged: the server's own promise (STAGEWIRE_SEND_TIMEOUT), and a moment.
PATIENCE = 5.0
# Bytes by which the server's memory may grow, whatever the others do.
GROWTH = 64 << 20
WARM = 20


class Bystander:
    """Chats in a thread of its own, and watches the server's memory meanwhile."""

    def __init__(self, target: Target, pid: int) -> None:
        self.acked: list[int] = []
        self.heard: list[int] = []
        self.slowest = 0.0
        self.base = 0
        self.peak = 0
        self._target = target
        self._process = psutil.Process(pid)
        self._failure: BaseException | None = None
        self._last: int | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def start(self) -> None:
        """Begin, and wait until the server is warm."""
        self._thread.start()
        wait_until(lambda: self._failure is not None or len(self.acked) >= WARM, within=30)
        self.base = self.peak = self._rss()

    def check(self) -> None:
        """Go on undisturbed: one more message must come through, in time, and the memory must not have grown."""
        before = len(self.acked)
        wait_until(lambda: self._failure is not None or len(self.acked) >= before + 2, within=2 * PATIENCE)
        assert self._failure is None, self._failure
        assert self.slowest < PATIENCE
        assert self.peak - self.base < GROWTH, f"{self.base} grew to {self.peak}"

    def stop(self) -> None:
        """Stop; what was acknowledged must have been heard, once and in order."""
        self._stopped.set()
        self._thread.join(30)
        assert self._failure is None, self._failure
        assert self.heard == list(range(self.heard[0], self.heard[-1] + 1))
        assert set(self.acked) <= set(self.heard)

    def _live(self) -> None:
        try:
            asyncio.run(self._chat())
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the test must learn of it
            self._failure = exc

    async def _chat(self) -> None:
        session = await self._target.session("bystander")
        async with (
            self._client("bystander", AccessRole.SELLER) as speaker,
            self._client("listener", AccessRole.VIEWER) as listener,
        ):
            await speaker.join(session)
            await listener.join(session)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(listener))
                await self._speak(speaker, session)

    @asynccontextmanager
    async def _client(self, user: str, role: AccessRole) -> AsyncIterator[Client]:
        # The library's pings take random numbers, which Hypothesis forbids while it draws in the other thread.
        async with connect(self._target.websocket, ping_interval=None, max_queue=None) as socket:
            client = Client(socket, user, binary=False)
            assert (await client.ask("hello", token=token(user, role)))["type"] == "welcome"
            yield client

    async def _speak(self, speaker: Client, session: str) -> None:
        for n in count():
            began = time.monotonic()
            ack: Message = await speaker.say(session, f"message {n}")
            assert ack["type"] == "ack", ack
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.peak = max(self.peak, self._rss())
            self.acked.append(ack["seq"])
            speaker.pushes.clear()
            if self._stopped.is_set():
                self._last = ack["seq"]
                return
            await asyncio.sleep(PAUSE)

    async def _listen(self, listener: Client) -> None:
        while self._last is None or self._last not in self.heard[-1:]:
            message = await listener.hear(PATIENCE)
            if message.get("kind") == "chat.posted":
                self.heard.append(message["seq"])
            listener.pushes.clear()

    def _rss(self) -> int:
        return int(self._process.memory_info().rss)
