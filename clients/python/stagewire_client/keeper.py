"""Has the storage follow what is pending, without anybody waiting for it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from stagewire_client.errors import StorageError
from stagewire_client.outbox import Draft
from stagewire_client.storage import Storage

log: Final = logging.getLogger("stagewire_client")

_Place = tuple[str, str, str]


class Keeper:
    """Writes one change after the other, and tells `told` whether that fails.

    Of several changes of one draft that wait, the last one counts.

    A draft may be sent before it is kept, and acknowledged before it is removed: its key makes it the same message.
    """

    def __init__(self, storage: Storage, told: Callable[[bool], None] = lambda _fails: None) -> None:
        self._storage = storage
        self._tell = told
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
        """Give what is kept, or is about to be; nothing beyond that, where it cannot be read."""
        try:
            kept = {draft.key: draft for draft in await self._storage.load(user, session)}
        except Exception as exc:  # noqa: BLE001 - the application's own storage may fail in any way
            log.warning("what was kept is not sent: %s", _told(exc))
            kept = {}
        for (whose, where, key), draft in self._changes.items():
            if (whose, where) == (user, session):
                kept.pop(key, None)
                kept |= {} if draft is None else {key: draft}
        return list(kept.values())

    async def run(self) -> None:
        """Write, until it is cancelled."""
        while True:
            await self._news.wait()
            while self._changes:
                place, draft = next(iter(self._changes.items()))
                await self._carry_out(place, draft)
                # Another change of it may have come meanwhile.
                if self._changes[place] is draft:
                    del self._changes[place]
            self._news.clear()
            self._idle.set()

    @property
    def unwritten(self) -> int:
        """Give how many changes are still to be written."""
        return len(self._changes)

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
        except Exception as exc:  # noqa: BLE001 - the application's own storage may fail in any way
            log.warning("a message is kept in memory alone: %s", _told(exc))
            self._tell(True)
        else:
            self._tell(False)


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, StorageError) else repr(error)
