"""Asks the server until it has answered: whatever is asked again has the same key, and so is done once."""

import asyncio
from typing import Any, TypeVar

from stagewire_client.connection import Edges
from stagewire_client.errors import Lost, Refused
from stagewire_client.latch import Latch
from stagewire_client.policy import passes, wait_of
from stagewire_client.settings import Settings
from stagewire_client.wire import Wire

T = TypeVar("T")


class Asker:
    """`turns` limits how many may wait for replies at a time."""

    def __init__(self, settings: Settings, edges: Edges, turns: asyncio.Semaphore) -> None:
        self._settings = settings
        self._edges = edges
        self._turns = turns

    async def ask(self, way: Latch[Wire], command: dict[str, Any], wanted: type[T]) -> T:
        """Send a command over the wire that there is, or will be, and give its reply, read as `wanted`.

        Raises:
            Refused: the server says no, and not for now.
            Lost: there was no answer in time.
        """
        try:
            async with asyncio.timeout(self._settings.patience), self._turns:
                return await self._answer(way, command, wanted)
        except TimeoutError:
            raise Lost from None

    async def _answer(self, way: Latch[Wire], command: dict[str, Any], wanted: type[T]) -> T:
        tries = 0
        while True:
            wire = await way.wait()
            try:
                return await wire.request(command, wanted)
            except Lost:
                # The wire is over in a moment, for everyone.
                await asyncio.sleep(0)
            except Refused as exc:
                tries += 1
                await self.wait_after(exc, tries)

    async def wait_after(self, error: Refused, tries: int) -> None:
        """Wait before another try; raise the refusal, where that makes no sense."""
        if not passes(error, first=tries == 1):
            raise error
        await asyncio.sleep(wait_of(error, tries, self._edges.random(), self._settings))
