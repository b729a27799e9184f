"""Slow mode: one viewer's turns in one session, in Redis, so that they count over all nodes and devices.

All that comes while Redis is being asked is asked next, in one go. While Redis is away each node counts its own.
"""

import asyncio
from collections import OrderedDict, deque
from time import monotonic
from typing import Final, TypeAlias

import structlog

from persistence.errors import StorageError, Unavailable
from persistence.seldom import Seldom
from persistence.turns import HELD, TAKEN, Turns, Wish
from realtime.bounded import keep
from realtime.domain.chat_rules import wait_ms
from realtime.settings import Settings
from realtime.tasks import Tasks

# Wishes of one pipeline, so that none holds Redis up for long.
BATCH: Final = 256
# Seconds for which Redis is left alone after it did not answer: nobody shall wait for that in vain.
PAUSE: Final = 1.0
seldom_log = Seldom(structlog.get_logger("slow_mode"))
Granted: TypeAlias = int | StorageError


class SlowMode:
    """Takes turns, and gives them back. The same message takes one turn, however often it is sent."""

    def __init__(self, turns: Turns, tasks: Tasks, settings: Settings) -> None:
        self._turns = turns
        self._tasks = tasks
        self._most = settings.slow_turns
        # One for each connection at most: none is served further before it is answered.
        self._waiting: deque[tuple[Wish, asyncio.Future[Granted]]] = deque()
        self._working = False
        self._alone_until = 0.0
        # Without Redis: when the last turn was taken, on the monotonic clock in ms, and by which message.
        self._own: OrderedDict[tuple[str, str], tuple[int, str]] = OrderedDict()

    async def take(self, session: str, user: str, key: str, interval_ms: int) -> int:
        """Take a turn; give `TAKEN`, `HELD` where the message has it already, or how many milliseconds must pass."""
        wish = Wish(session, user, key, interval_ms)
        if monotonic() >= self._alone_until:
            granted = await self._ask(wish)
            if isinstance(granted, int):
                return granted
        return self._take_own(wish, int(monotonic() * 1000))

    def give_back(self, session: str, user: str, key: str) -> None:
        """Give back, soon, the turn of a message that was not stored."""
        if self._own.get((session, user), (0, ""))[1] == key:
            del self._own[session, user]
        else:
            self._ask(Wish(session, user, key, 0))

    async def forget(self, session: str) -> None:
        """Forget all turns of a session.

        Raises:
            StorageError
        """
        self._own = OrderedDict((who, turn) for who, turn in self._own.items() if who[0] != session)
        await self._turns.forget(session)

    def _take_own(self, wish: Wish, now: int) -> int:
        who = wish.session, wish.user
        at, by = self._own.get(who, (now - wish.interval_ms, ""))
        if by == wish.key:
            return HELD
        if wait := wait_ms(at, wish.interval_ms, now):
            return wait
        keep(self._own, who, (now, wish.key), self._most)
        return TAKEN

    def _ask(self, wish: Wish) -> asyncio.Future[Granted]:
        granted: asyncio.Future[Granted] = asyncio.get_running_loop().create_future()
        self._waiting.append((wish, granted))
        if not self._working:
            self._working = True
            self._tasks.start(self._work())
        return granted

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._grant([self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))])
        finally:
            self._working = False

    async def _grant(self, batch: list[tuple[Wish, asyncio.Future[Granted]]]) -> None:
        answers: list[Granted] = [Unavailable("not asked")] * len(batch)
        try:
            answers = await self._turns.take([wish for wish, _ in batch])
        finally:
            for (_, granted), answer in zip(batch, answers, strict=True):
                if not granted.done():
                    granted.set_result(answer)
        if errors := [answer for answer in answers if isinstance(answer, StorageError)]:
            self._alone_until = monotonic() + PAUSE
            seldom_log.warning("slow mode alone", reason=str(errors[0]))
