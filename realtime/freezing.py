"""Who is frozen: known to each node by heart, so that a token is checked without asking anyone.

Postgres numbers the changes. Each node asks for what is newer on a beat, and at once when a hint says so; a lost hint,
or a Redis that is away, costs a beat.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from persistence.errors import StorageError
from persistence.freezes import Freeze, FrozenUsers
from persistence.hints import Hints
from persistence.seldom import Seldom
from realtime.domain import access
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.text import clean
from realtime.settings import Settings
from tokens.access import Identity

# The name under which its hints go; sessions have UUIDs.
HINTS: Final = "freezes"
seldom_log = Seldom(structlog.get_logger("freezing"))


class Freezing:
    """The frozen users, as far as this node has heard."""

    def __init__(self, storage: FrozenUsers, settings: Settings) -> None:
        self._storage = storage
        self._beat = settings.freeze_check_ms / 1000
        self._most = settings.reason_characters
        self._frozen: set[str] = set()
        self._version = 0
        self._wake = asyncio.Event()
        # One question at a time: an older answer must not come after a newer one.
        self._asking = asyncio.Lock()
        self._on_frozen: list[Callable[[str], None]] = []
        self._on_change: list[Callable[[str, bool], None]] = []
        self.hints: Hints

    def is_frozen(self, user: str) -> bool:
        """Tell whether a user is frozen."""
        return user in self._frozen

    def on_frozen(self, take: Callable[[str], None]) -> None:
        """Have `take(user)` called on every node for each user who is frozen from then on."""
        self._on_frozen.append(take)

    def on_change(self, take: Callable[[str, bool], None]) -> None:
        """Have `take(user, frozen)` called for each change that is asked for here, also of what is so already."""
        self._on_change.append(take)

    async def change(self, who: Identity, address: str, user: str, reason: str, *, frozen: bool) -> Freeze:
        """Freeze a user or end that, as `who` asks from this `address`; give how the user stands now.

        Raises:
            Refusal: `forbidden`; `conflict` for oneself; `bad_request` or `too_large` for the reason.
            StorageError
        """
        access.check_admin(who.role)
        if user == who.user:
            raise Refusal(Code.CONFLICT, "nobody freezes themselves")
        why = clean(reason, max_characters=self._most, max_bytes=4 * self._most)
        stands = await self._storage.change(user, frozen=frozen, by=who.user, reason=why, address=address)
        self.hints.publish(HINTS, b"")
        await self._check()
        # Also where nothing is new: the answer of the attempt before may be lost, and what follows from it undone.
        for take in self._on_change:
            take(user, frozen)
        return stands

    def hear(self, _hint: bytes) -> None:
        """Ask soon: something has changed."""
        self._wake.set()

    async def load(self) -> None:
        """Ask who is frozen.

        Raises:
            StorageError
        """
        async with self._asking:
            now = await self._storage.since(self._version)
            self._version = now.version
            before = self._frozen
            kept = set() if now.anew else before - now.changed.keys()
            self._frozen = kept | {user for user, frozen in now.changed.items() if frozen}
        for user in self._frozen - before:
            for take in self._on_frozen:
                take(user)

    async def _check(self) -> None:
        try:
            await self.load()
        except StorageError as exc:
            seldom_log.warning("freezes unknown", reason=str(exc))

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._beat):
                    await self._wake.wait()
            self._wake.clear()
            await self._check()
