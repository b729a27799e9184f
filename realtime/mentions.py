"""Mentions: who is named in a message, belongs to its session and is not there now, finds it in the inbox.

Messages are searched after they are committed, by the node that appended them, in its own time: the chat
never waits for that. A mention has its message's address as its key, so it is made once.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid5

import structlog
from msgspec import Struct, json

from persistence.errors import StorageError, Unavailable
from persistence.log import Entry, Log, Record
from persistence.presence import Presence
from realtime.attendance import Attendance
from realtime.domain.inbox import mentioned
from realtime.mail import Mail, entry
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.events import ChatBody, InboxKind, Kind, MentionBody
from realtime.settings import Settings
from realtime.telemetry import metrics

# Seconds until what could not be asked or stored is tried again.
RETRY: Final = 1.0
log = structlog.get_logger("mentions")


class Sources(Struct, frozen=True):
    """Where it is known who has written in a session, and who is there: on this node, and on all of them."""

    log: Log
    attendance: Attendance
    presence: Presence


class _Found(Struct, frozen=True):
    session: str
    record: Record
    text: str
    users: list[str]


class Mentions:
    """Searches messages, and puts mentions into inboxes."""

    def __init__(self, sources: Sources, mail: Mail, settings: Settings) -> None:
        self._sources = sources
        self._mail = mail
        self._limit = settings.mention_queue
        self._waiting: deque[tuple[str, Record]] = deque()
        self._wake = asyncio.Event()
        self._done = asyncio.Event()
        self._done.set()

    def take(self, session: str, records: Sequence[Record]) -> None:
        """Search committed events soon. The oldest give way where too many wait."""
        for record in records:
            if record.kind == Kind.CHAT_POSTED and "@" in record.body:
                if len(self._waiting) >= self._limit:
                    self._waiting.popleft()
                    metrics.MENTIONS_LOST.inc()
                self._waiting.append((session, record))
                self._done.clear()
                self._wake.set()

    async def run(self) -> None:
        """Search what comes, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._search(*self._waiting.popleft())
            self._done.set()

    async def drain(self) -> None:
        """Wait until everything that was taken is searched."""
        await self._done.wait()

    async def _search(self, session: str, record: Record) -> None:
        try:
            text = json.decode(record.body, type=ChatBody).text
            found = _Found(session, record, text, mentioned(text, record.sender))
            while found.users and not await self._tell(found):  # noqa: ASYNC110 - nobody tells when a store is back
                await asyncio.sleep(RETRY)
        except Exception:
            metrics.MENTIONS_LOST.inc()
            log.exception("mentions lost", session=session, seq=record.seq)

    async def _tell(self, found: _Found) -> bool:
        """Make the mentions of one message; tell whether that is done, or is to be tried again."""
        try:
            for user in await self._absent(found):
                await self._mail.append(_entry(found, user))
        except Unavailable as exc:
            log.warning("mentions wait", reason=str(exc))
            return False
        except Refusal as exc:
            if exc.code is not Code.UNAVAILABLE:
                raise
            return False
        return True

    async def _absent(self, found: _Found) -> list[str]:
        known = await self._sources.log.writers(found.session, found.users)
        away = [user for user in found.users if user in known and not self._sources.attendance.has(found.session, user)]
        if not away:
            return []
        try:
            there = await self._sources.presence.elsewhere(found.session, away)
        except StorageError:
            # Then this node's own part is all that is known: better told twice than not at all.
            there = set()
        return [user for user in away if user not in there]


def _entry(found: _Found, user: str) -> Entry:
    body = MentionBody(session=found.session, seq=found.record.seq, text=found.text)
    key = uuid5(UUID(found.session), str(found.record.seq))
    return entry(user, found.record.sender, key, InboxKind.MENTION, body)
