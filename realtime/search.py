"""The search of a session's chat: few at a time, so that none keeps Postgres from what is urgent."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from persistence.errors import Rejected, Unavailable
from persistence.log import Log
from persistence.sessions import Session
from realtime.feed import course_of, encode
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.types import MAX_INTEGER
from realtime.settings import Settings
from realtime.words import Words


class Search:
    """Finds messages by their words."""

    def __init__(self, log: Log, words: Words, settings: Settings) -> None:
        self._log = log
        self._words = words
        self._turn = asyncio.Semaphore(settings.searches)
        self._patience = settings.search_wait

    async def find(self, session: Session, words: str, before: int | None, limit: int) -> list[bytes]:
        """Give the last `limit` messages that have the words now, below `before`, descending, as pushes in JSON.

        Raises:
            Refusal: `unavailable`, too many are searching; `bad_request`, no text can have these words.
        """
        # As texts are stored.
        wanted = unicodedata.normalize("NFC", words)
        async with self._one_of_few():
            try:
                found = await self._log.search(session.id, wanted, before or MAX_INTEGER, limit)
            except Unavailable:
                # Perhaps because so much is not indexed. Whether that is so is found out with the next call.
                self._words.searched(session.id, session.head.seq)
                raise
            except Rejected:
                raise Refusal(Code.BAD_REQUEST, "no text can have these words") from None
        self._words.searched(session.id, found.behind)
        course = course_of(session)
        return [encode(session.id, record, course) for record in found.records]

    @asynccontextmanager
    async def _one_of_few(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience):
                await self._turn.acquire()
        except TimeoutError:
            raise Refusal(Code.UNAVAILABLE, "too many are searching", retry_after_ms=1000) from None
        try:
            yield
        finally:
            self._turn.release()
