"""Has the storage follow what is pending, without anybody waiting for it."""

import asyncio
import logging
from typing import Final

from stagewire_client.errors import StorageError
from stagewire_client.outbox import Draft
from stagewire_client.storage import Storage

log: Final = logging.getLogger("stagewire_client")

_Place = tuple[str, str, str]


class Keeper:
    """Writes one change after the other. Of several changes of one draft that wait, the last one counts.

    A draft may be sent before it is kept, and acknowledged before it is removed: its key makes it the same message.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._changes: dict[_Place, Draft | None] = {}
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, user: str, session: str, draft: Draft) -> None:
        """Keep a draft, soon."""
        self._change((user, session, draft.key), draft)

    def remove(self, user: str, session: str, key: str) -> None:
        """Forget a draft, soon."""
        self._change((user, session, key), None)

    async def load(self, user: str, session: str) -> list[Draft]:
        """Give what is kept; nothing, where that cannot be read."""
        try:
            return await self._storage.load(user, session)
        except StorageError as exc:
            log.warning("what was kept is not sent: %s", exc)
            return []

    async def run(self) -> None:
        """Write, until it is cancelled."""
        while True:
            await self._news.wait()
            while self._changes:
                place = next(iter(self._changes))
                await self._carry_out(place, self._changes.pop(place))
            self._news.clear()
            self._idle.set()

    async def settled(self) -> None:
        """Wait until everything is written."""
        await self._idle.wait()

    def _change(self, place: _Place, draft: Draft | None) -> None:
        self._changes[place] = draft
        self._idle.clear()
        self._news.set()

    async def _carry_out(self, place: _Place, draft: Draft | None) -> None:
        user, session, key = place
        try:
            if draft is None:
                await self._storage.remove(user, session, key)
            else:
                await self._storage.put(user, session, draft)
        except StorageError as exc:
            log.warning("a message is kept in memory alone: %s", exc)
