"""Clients that talk all the time, in a thread of their own, and remember what they were told and when."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from msgspec import Struct

from tests.support.nodes import Client, Message, Target


class Attempt(Struct, frozen=True):
    """One sending of one message, and its answer. Times are monotonic seconds."""

    key: str
    sent: float
    answered: float
    answer: Message

    @property
    def seconds(self) -> float:
        """Give how long the answer took."""
        return self.answered - self.sent

    @property
    def acked(self) -> bool:
        """Tell whether the message was stored."""
        return bool(self.answer["type"] == "ack")


class Load:
    """Several clients in one session; each sends one message after the other, until it is acknowledged."""

    def __init__(self, target: Target, session: str, clients: int) -> None:
        self.attempts: list[Attempt] = []
        self._target = target
        self._session = session
        self._clients = clients
        self._stopped = threading.Event()

    def run(self) -> None:
        """Talk until it is stopped."""
        asyncio.run(self._run())

    def stop(self) -> None:
        """Let each client finish what it has begun."""
        self._stopped.set()

    @property
    def acked(self) -> list[Attempt]:
        """Give the attempts that were acknowledged."""
        return [attempt for attempt in list(self.attempts) if attempt.acked]

    def since(self, moment: float) -> list[Attempt]:
        """Give the attempts that were begun after a moment."""
        return [attempt for attempt in list(self.attempts) if attempt.sent >= moment]

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(self._clients):
                group.create_task(self._talk(f"user{n}"))

    async def _talk(self, user: str) -> None:
        async with self._target.client(user) as client:
            await client.join(self._session)
            while not self._stopped.is_set():
                await self._say(client)

    async def _say(self, client: Client) -> None:
        key, began = str(uuid4()), 0.0
        while not self._stopped.is_set() or not began:
            began = time.monotonic()
            await client.send("chat.send", id=1, session=self._session, key=key, text="hi")
            while (answer := await client.receive(30)).get("re") != 1:
                pass
            client.pushes.clear()
            self.attempts.append(Attempt(key, began, time.monotonic(), answer))
            if answer["type"] == "ack":
                await asyncio.sleep(0.01)
                return
            assert answer["code"] == "unavailable", answer
            await asyncio.sleep(answer["retry_after_ms"] / 1000)


@contextmanager
def loading(target: Target, session: str, clients: int = 8) -> Iterator[Load]:
    """Have clients talk meanwhile."""
    load = Load(target, session, clients)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        yield load
    finally:
        load.stop()
        thread.join(40)
    assert not thread.is_alive()
