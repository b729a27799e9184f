"""The numbers by which Agora knows users: asked of Postgres in batches, one at a time, and remembered.

When a show begins, all who have waited for it ask at once. However many they are, they use one connection, and leave
the others to the chat.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from persistence.errors import Rejected
from realtime.bounded import keep
from realtime.settings import Settings
from realtime.tasks import Tasks

# A session and a user.
Who: TypeAlias = tuple[str, str]
# Gives the number of each, in order.
NumbersOf: TypeAlias = Callable[[Sequence[Who]], Awaitable[Sequence[int]]]


class Numbers:
    """Knows numbers, which never change, and asks for those that it doesn't know: once for however many ask."""

    def __init__(self, numbers_of: NumbersOf, tasks: Tasks, settings: Settings) -> None:
        self._numbers_of = numbers_of
        self._tasks = tasks
        self._most = settings.agora_cache
        self._batch_size = settings.batch_size
        self._known: OrderedDict[Who, int] = OrderedDict()
        # Those that are awaited; of these, in order, those that are not asked for yet.
        self._awaited: dict[Who, asyncio.Future[int]] = {}
        self._waiting: deque[Who] = deque()

    def known(self, who: Who) -> int | None:
        """Give a number, if it is remembered."""
        number = self._known.get(who)
        if number is not None:
            self._known.move_to_end(who)
        return number

    async def get(self, who: Who) -> int:
        """Give a number.

        Raises:
            StorageError
        """
        known = self.known(who)
        if known is not None:
            return known
        answer = self._awaited.get(who)
        if answer is None:
            if not self._awaited:
                self._tasks.start(self._ask_all())
            answer = self._awaited[who] = asyncio.get_running_loop().create_future()
            self._waiting.append(who)
        return await asyncio.shield(answer)

    async def _ask_all(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._batch_size, len(self._waiting)))]
            try:
                await self._ask(sorted(batch))
            except Exception as exc:  # noqa: BLE001 - whatever it is, those who wait must learn of it
                # Nor would those get an answer who wait: they have waited for long enough.
                self._waiting.clear()
                for who in list(self._awaited):
                    self._awaited.pop(who).set_exception(exc)

    async def _ask(self, batch: Sequence[Who]) -> None:
        try:
            numbers = await self._numbers_of(batch)
        except Rejected as exc:
            await self._ask_each(batch, exc)
            return
        for who, number in zip(batch, numbers, strict=True):
            keep(self._known, who, number, self._most)
            self._awaited.pop(who).set_result(number)

    async def _ask_each(self, batch: Sequence[Who], exc: Rejected) -> None:
        """Find whom the data of is refused: the others of the batch have nothing to do with it."""
        if len(batch) == 1:
            self._awaited.pop(batch[0]).set_exception(exc)
            return
        for who in batch:
            await self._ask([who])
