"""Sessions' video channels: takes Agora's notices of who comes and goes, and tells whom that concerns.

Notices are gathered for a moment, as none is in a hurry, and taken in batches, one at a time: however many come, they
use one connection to Postgres, a few times a second, and leave the rest to the chat. Viewers who come and go are told
to all nodes, once, as a hint that may be lost; clients that report what they play mend that. What is told of a host is
confirmed in Postgres when it is done, and told again with the next notice of that host if it was not: so a notice is
not answered well before its effect is had.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from msgspec import Struct

from persistence.agora_notices import AgoraNotices, Seen, Taken
from realtime.attendance import Attendance
from realtime.domain.agora import Standing, news_of_host, news_of_viewer
from realtime.feeds import Feeds
from realtime.hosting import Hosting
from realtime.protocol.codes import Code, Refusal
from realtime.settings import Settings
from realtime.writer import RETRY_MS

log = structlog.get_logger("channels")


class ChannelEffects(Protocol):
    """Whom it concerns that somebody came or went."""

    async def host_left_channel(self, session: str, user: str, at: int) -> None:
        """Take note that a host of a session that is on air is not in its channel, or no longer as a broadcaster.

        `at` is when, in milliseconds by Agora's clock. May be called again for the same absence, on any node.
        """

    async def host_joined_channel(self, session: str, user: str) -> None:
        """Take note that a host broadcasts in the channel. May be called again, on any node."""

    def watching(self, session: str, user: str, there: bool) -> None:
        """Take note that a viewer is in the channel, or is not. Called on every node, whoever is connected to it."""


class Effects:
    """Hosts are missed, or are back; viewers watch, or don't."""

    def __init__(self, hosting: Hosting, attendance: Attendance, is_frozen: Callable[[str], bool]) -> None:
        self._hosting = hosting
        self._attendance = attendance
        self._is_frozen = is_frozen

    async def host_left_channel(self, session: str, user: str, at: int) -> None:
        """Have the session interrupted after the grace, unless the host comes back."""
        log.info("host left channel", session=session, user=user, at=at)
        await self._hosting.left_channel(session)

    async def host_joined_channel(self, session: str, user: str) -> None:
        """Have the session go on, unless the host is frozen, whom a token of before still lets into the channel."""
        log.info("host joined channel", session=session, user=user)
        if not self._is_frozen(user):
            await self._hosting.joined_channel(session, user)

    def watching(self, session: str, user: str, there: bool) -> None:
        """Count the viewer as watching, or not."""
        self._attendance.channel(session, user, there)


class _Pending(Struct, frozen=True):
    seen: Seen
    answer: "asyncio.Future[Taken]"


class Channels:
    """Takes notices, each once, and has their effects."""

    def __init__(self, notices: AgoraNotices, feeds: Feeds, effects: ChannelEffects, settings: Settings) -> None:
        self._notices = notices
        self._feeds = feeds
        self._effects = effects
        self._limit = settings.agora_notice_queue
        self._batch_size = settings.batch_size
        self._gather = settings.agora_notice_ms / 1000
        self._patience = settings.send_timeout
        self._waiting: deque[_Pending] = deque()
        self._wake = asyncio.Event()
        feeds.on_channel = effects.watching

    async def take(self, seen: Seen) -> str:
        """Take a notice; give what became of it when that is durable, and those are told whom it concerns.

        Raises:
            Refusal: `unavailable`, too many wait, or it took too long.
            StorageError: nobody knows whether it was taken. To take it again does no harm.
        """
        taken = await self._stored(seen)
        if _is_host(taken):
            await self._tell_of_host(seen, taken)
        return taken.outcome

    async def run(self) -> None:
        """Take what waits, for ever."""
        while True:
            await self._wake.wait()
            # Also while more than a batch waits: the pause is what the chat gets of Postgres and of this loop.
            await asyncio.sleep(self._gather)
            await self._take_some()
            if not self._waiting:
                self._wake.clear()

    async def _stored(self, seen: Seen) -> Taken:
        if len(self._waiting) >= self._limit:
            raise _busy()
        answer: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Pending(seen, answer))
        self._wake.set()
        try:
            async with asyncio.timeout(self._patience):
                return await answer
        except TimeoutError:
            raise _busy() from None

    async def _take_some(self) -> None:
        some = [self._waiting.popleft() for _ in range(min(self._batch_size, len(self._waiting)))]
        # Of those whom nobody awaits any more, Agora sends another.
        batch = [pending for pending in some if not pending.answer.done()]
        if not batch:
            return
        try:
            taken = await self._notices.take([pending.seen for pending in batch])
        except Exception as exc:  # noqa: BLE001 - whatever it is, those who wait must learn of it
            for pending in batch:
                if not pending.answer.done():
                    pending.answer.set_exception(exc)
            return
        self._tell_of_viewers([pending.seen.session for pending in batch], taken)
        for pending, outcome in zip(batch, taken, strict=True):
            if not pending.answer.done():
                pending.answer.set_result(outcome)

    def _tell_of_viewers(self, sessions: Sequence[str], taken: Sequence[Taken]) -> None:
        there: dict[str, dict[str, bool]] = {}
        for session, one in zip(sessions, taken, strict=True):
            news = news_of_viewer(_standing(one.told), _standing(one.standing))
            if one.user is not None and not _is_host(one) and news is not None:
                there.setdefault(session, {})[one.user] = news
        for session, users in there.items():
            self._feeds.announce_channel(session, users)

    async def _tell_of_host(self, seen: Seen, taken: Taken) -> None:
        told, now = _standing(taken.told), _standing(taken.standing)
        # Another notice may be told meanwhile, by another node: whoever is last tells what is then so.
        while now is not None and now is not told:
            await self._tell(seen, taken, told, now)
            told, now = now, _standing(await self._notices.told(seen.session, seen.uid, now))

    async def _tell(self, seen: Seen, taken: Taken, told: Standing | None, now: Standing) -> None:
        assert taken.user is not None
        assert taken.state is not None
        news = news_of_host(told, now, taken.state)
        if news is True:
            await self._effects.host_joined_channel(seen.session, taken.user)
        elif news is False:
            await self._effects.host_left_channel(seen.session, taken.user, seen.ts * 1000)


def _is_host(taken: Taken) -> bool:
    return bool(taken.hosts)


def _standing(name: str | None) -> Standing | None:
    return None if name is None else Standing(name)


def _busy() -> Refusal:
    return Refusal(Code.UNAVAILABLE, "too many notices wait", retry_after_ms=RETRY_MS)
