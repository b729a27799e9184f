"""What waits in inboxes: how far they go is Postgres's word, what is in them comes from Redis where it can.

A copy in Redis is believed if it has exactly the entries that Postgres says there are; else Postgres is
read, and the copy written anew. While Postgres is away, a copy is all there is, and as good as its own head.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Final

import structlog

from persistence.errors import StorageError
from persistence.inbox import Inboxes, InboxHead, Page
from persistence.inbox_streams import Change, InboxStreams
from persistence.seldom import Seldom
from realtime.domain.inbox import whole
from realtime.settings import Settings
from realtime.telemetry import metrics

# Seconds for which Redis is not asked after it has not answered: waiting for it helps nobody.
REST: Final = 5.0
# Changes copied at a time.
BATCH: Final = 256
seldom_log = Seldom(structlog.get_logger("inbox"))


class Backlog:
    """Reads inboxes, and keeps their copies up to date as well as it can."""

    def __init__(self, inboxes: Inboxes, streams: InboxStreams, settings: Settings) -> None:
        self._inboxes = inboxes
        self._streams = streams
        self._page = settings.inbox_page
        self._limit = settings.inbox_backlog
        self._changes: deque[Change] = deque()
        self._wake = asyncio.Event()
        self._copied = asyncio.Event()
        self._copied.set()
        self._rest_until = 0.0

    async def read(self, after: Mapping[str, int]) -> dict[str, Page]:
        """Give each user's next page above an id; users are left out of whom nothing can be known now."""
        try:
            heads = await self._inboxes.heads(list(after))
        except StorageError as exc:
            seldom_log.warning("inboxes unknown", reason=str(exc))
            return await self._read_copies(after)
        pages = await self._match({member: (heads.get(member, InboxHead()), above) for member, above in after.items()})
        missing = {member: above for member, above in after.items() if member not in pages}
        return pages | (await self._read_anew(missing) if missing else {})

    async def _match(self, wanted: Mapping[str, tuple[InboxHead, int]]) -> dict[str, Page]:
        """Give the pages that are empty, or that the copies have as they must be."""
        pages = {}
        asked = []
        for member, (head, above) in wanted.items():
            if head.seq <= max(above, head.gone):
                pages[member] = Page(head, max(above, head.gone))
            else:
                asked.append((member, max(above, head.gone)))
        starts = dict(asked)
        for member, copy in (await self._ask_copies(asked)).items():
            head = wanted[member][0]
            # A copy may be ahead of what Postgres has just said.
            newest = max(head.seq, copy.head.seq)
            if copy.head.epoch == head.epoch and self._whole(starts[member], copy, newest):
                pages[member] = Page(head, starts[member], copy.records)
                metrics.INBOX_READS.labels("redis").inc()
        return pages

    def _whole(self, start: int, page: Page, newest: int) -> bool:
        return whole(start, [record.seq for record in page.records], newest, self._page)

    async def _read_copies(self, after: Mapping[str, int]) -> dict[str, Page]:
        copies = await self._ask_copies([(member, max(above, 0)) for member, above in after.items()])
        return {member: copy for member, copy in copies.items() if self._whole(copy.after, copy, copy.head.seq)}

    async def _ask_copies(self, asked: list[tuple[str, int]]) -> dict[str, Page]:
        if not asked or monotonic() < self._rest_until:
            return {}
        try:
            found = await self._streams.read(asked, self._page)
        except StorageError as exc:
            self._rest(exc)
            return {}
        return {member: copy for (member, _), copy in zip(asked, found, strict=True) if copy is not None}

    async def _read_anew(self, after: Mapping[str, int]) -> dict[str, Page]:
        try:
            pages = await self._inboxes.pages(after, self._page)
        except StorageError as exc:
            seldom_log.warning("inboxes unknown", reason=str(exc))
            return {}
        metrics.INBOX_READS.labels("postgres").inc(len(pages))
        for member, page in pages.items():
            if page.records:
                self._rebuild(member, page)
        return pages

    def _rebuild(self, member: str, page: Page) -> None:
        head = page.head
        begins = page.after == head.gone
        # A later page is the next part of a copy that an earlier one began.
        self.copy(
            Change(
                member=member,
                epoch=head.epoch,
                after=page.after,
                records=page.records,
                acked=head.acked if begins else 0,
                dropped=head.dropped if begins else 0,
                anew=begins,
            )
        )
        metrics.INBOX_REBUILT.inc(begins)

    def copy(self, change: Change) -> None:
        """Have a change copied soon. The oldest gives way where too many wait: its copy is then dropped."""
        if len(self._changes) >= self._limit:
            self._changes.popleft()
        self._changes.append(change)
        self._copied.clear()
        self._wake.set()

    async def copy_always(self) -> None:
        """Copy changes, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._changes:
                await self._copy_some()
            self._copied.set()

    async def _copy_some(self) -> None:
        batch = [self._changes.popleft() for _ in range(min(BATCH, len(self._changes)))]
        if monotonic() < self._rest_until:
            return
        try:
            await self._streams.write(batch)
        except StorageError as exc:
            self._rest(exc)

    def _rest(self, exc: StorageError) -> None:
        self._rest_until = monotonic() + REST
        seldom_log.warning("inboxes not copied", reason=str(exc))

    async def drain(self) -> None:
        """Wait until every change is copied that can be."""
        await self._copied.wait()
