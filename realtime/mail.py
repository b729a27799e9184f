"""What is put into inboxes: direct messages, mentions and notices. One way for all, in batches, as for a log."""

import asyncio
from functools import partial
from uuid import UUID

import structlog
from msgspec import Struct, json, structs

from persistence.inbox import Inboxes
from persistence.log import Appended, Entry
from realtime.mailroom import Mailroom
from realtime.protocol.codes import Refusal
from realtime.protocol.events import InboxKind, NoticeBody
from realtime.settings import Settings
from realtime.texts import clean_message
from realtime.writer import Answer, Pending, Writer

log = structlog.get_logger("mail")


class Mail:
    """Appends to inboxes."""

    def __init__(self, inboxes: Inboxes, mailroom: Mailroom, settings: Settings) -> None:
        self._settings = settings
        self._inboxes = inboxes
        lanes = structs.replace(settings, batch_lanes=settings.inbox_lanes)
        self._writer = Writer(inboxes, mailroom.committed, lanes)

    def submit(self, pending: Pending) -> None:
        """Append an entry soon.

        Raises:
            Refusal: `unavailable`, too many are waiting.
        """
        self._writer.submit(pending)

    async def append(self, entry: Entry) -> Appended:
        """Append an entry, and wait until it is durable. Whoever stops waiting does not stop it.

        Raises:
            Refusal: `conflict`, the key was used for something else; `unavailable`, nobody knows.
        """
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.submit(Pending(entry, partial(_settle, answered)))
        answer = await answered
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def notify(self, user: str, by: str, key: UUID, text: str, session: str | None = None) -> Appended:
        """Put a notice into a user's inbox, once for each key, and wait until it is durable.

        Raises:
            Refusal: `bad_request` or `too_large` for the text, `conflict` for the key; `unavailable`.
        """
        cleaned = clean_message(text, self._settings)
        return await self.append(entry(user, by, key, InboxKind.NOTICE, NoticeBody(cleaned, session)))

    def tell(self, entry: Entry) -> None:
        """Append an entry soon, as well as it can be done: nobody waits for it."""
        try:
            self.submit(Pending(entry, _unheard))
        except Refusal as exc:
            log.warning("notice lost", user=entry.session, reason=exc.message)

    async def wrote(self, user: str, sender: str) -> bool:
        """Tell whether the sender has written to the user, as far back as inboxes reach.

        Raises:
            Unavailable
        """
        return await self._inboxes.wrote(user, sender, InboxKind.DIRECT)

    async def drain(self) -> None:
        """Wait until everything that was submitted is answered."""
        await self._writer.drain()


def entry(user: str, by: str, key: UUID, kind: InboxKind, body: Struct) -> Entry:
    """Give an entry for a user's inbox."""
    return Entry(user, by, key, kind, json.encode(body).decode())


def _unheard(answer: Answer) -> None:
    if isinstance(answer, Refusal):
        log.warning("notice lost", reason=answer.message)


def _settle(answered: asyncio.Future[Answer], answer: Answer) -> None:
    if not answered.done():
        answered.set_result(answer)
