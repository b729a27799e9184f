"""What a user has written in a session, and is not in its log yet. Pure.

One message is on its way at a time, so the log has them in the order in which they were written, whatever is refused
or lost in between. A message keeps its key while nobody knows whether it was stored: the server stores it once.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from msgspec import Struct, structs

from stagewire_client.errors import Full, Refused
from stagewire_client.messages import Event
from stagewire_client.policy import passes, wait_of
from stagewire_client.settings import Settings


class DeliveryState(StrEnum):
    """What a message is at: it waits for its turn, is on its way, waits to be sent again later, or was refused.

    In the end it is stored, or was taken back.
    """

    WAITING = "waiting"
    SENDING = "sending"
    HELD = "held"
    FAILED = "failed"
    ACKED = "acked"
    DROPPED = "dropped"


class Draft(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be sent: a message, an edit or a deletion of the message `seq`, or a message `to` a user's inbox.

    `written_at` is by the writer's clock; `number` ascends with each draft of a writer.
    """

    key: str
    type: str = "chat.send"
    written_at: int
    number: int = 0
    text: str = ""
    seq: int | None = None
    reply_to: int | None = None
    to: str | None = None


class Pending(Struct, frozen=True, kw_only=True):
    """A draft, and what it is at. `due` is when it may be sent again; `error` is the last refusal."""

    draft: Draft
    state: DeliveryState = DeliveryState.WAITING
    tries: int = 0
    due: float = 0.0
    error: Refused | None = None

    @property
    def failed(self) -> bool:
        """Tell whether it was refused, and is not tried again by itself."""
        return self.state is DeliveryState.FAILED


def command(draft: Draft, session: str) -> dict[str, Any]:
    """Give the command that sends a draft."""
    if draft.type == "direct.send":
        return {"type": draft.type, "key": draft.key, "user": draft.to, "text": draft.text}
    about = {"type": draft.type, "session": session, "key": draft.key}
    if draft.type == "chat.delete":
        return {**about, "seq": draft.seq}
    if draft.type == "chat.edit":
        return {**about, "seq": draft.seq, "text": draft.text, "edited_at": draft.written_at}
    said = {**about, "text": draft.text, "sent_at": draft.written_at}
    return said if draft.reply_to is None else {**said, "reply_to": draft.reply_to}


class Outbox:
    """The pending messages of one user in one session, in the order of their writing; `limit` of them at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending: dict[str, Pending] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._pending

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def open(self) -> bool:
        """Tell whether something is still to be sent."""
        return any(not pending.failed for pending in self._pending.values())

    def get(self, key: str) -> Pending | None:
        """Give what a message is at; nothing where it is stored or dropped."""
        return self._pending.get(key)

    def entries(self) -> list[Pending]:
        """Give all, in their order."""
        return list(self._pending.values())

    def make_room(self) -> str | None:
        """Forget the oldest refused message where there is no room, and give its key.

        Raises:
            Full: none was refused.
        """
        if len(self._pending) < self._limit:
            return None
        for key, pending in self._pending.items():
            if pending.failed:
                del self._pending[key]
                return key
        raise Full(f"{self._limit} messages wait already")

    def add(self, draft: Draft) -> None:
        """Take a draft in, behind all others."""
        self._pending[draft.key] = Pending(draft=draft)

    def restore(self, drafts: Iterable[Draft]) -> list[Draft]:
        """Take in what was kept, before all others, and give what is new of it. What finds no room is left out."""
        room = self._limit - len(self._pending)
        old = sorted((draft for draft in drafts if draft.key not in self._pending), key=lambda draft: draft.number)
        kept = old[: max(0, room)]
        self._pending = {draft.key: Pending(draft=draft) for draft in kept} | self._pending
        return kept

    def renumber(self) -> list[Draft]:
        """Have the numbers ascend as the drafts do, and give those that have another one now."""
        moved, number = [], 0
        for pending in self.entries():
            number = max(number + 1, pending.draft.number)
            if number > pending.draft.number:
                moved.append(structs.replace(pending.draft, number=number))
                self._set(pending, draft=moved[-1])
        return moved

    def next(self, now: float) -> Draft | None:
        """Give what is to be sent now, and note that it is on its way; nothing while another one is, or is held."""
        first = self._first()
        if first is None or first.state is DeliveryState.SENDING or first.due > now:
            return None
        self._set(first, state=DeliveryState.SENDING, tries=first.tries + 1)
        return first.draft

    def wait(self, now: float) -> float | None:
        """Give the seconds until the next message may be sent; nothing where no time will change that."""
        first = self._first()
        return None if first is None or first.state is not DeliveryState.HELD else max(0.0, first.due - now)

    def lost(self) -> None:
        """Take note that no answer will come: what was on its way is to be sent again."""
        for pending in self.entries():
            if pending.state is DeliveryState.SENDING:
                self._set(pending, state=DeliveryState.WAITING)

    def stored(self, key: str) -> None:
        """Take note that the log has a message."""
        self._pending.pop(key, None)

    def recognised(self, event: Event, user: str) -> str | None:
        """Give the key of the pending message that an event of the log is, and forget it."""
        if event.by != user or event.key is None or event.key not in self._pending:
            return None
        del self._pending[event.key]
        return event.key

    def refused(self, key: str, error: Refused, now: float, random: float, settings: Settings) -> Pending | None:
        """Take note of a refusal: the message is tried again later, or has failed. Gives it as it is then."""
        pending = self._pending.get(key)
        if pending is None:
            return None
        if not passes(error, first=pending.error is None):
            return self._set(pending, state=DeliveryState.FAILED, error=error)
        due = now + wait_of(error, pending.tries, random, settings)
        return self._set(pending, state=DeliveryState.HELD, due=due, error=error)

    def retry(self, key: str) -> bool:
        """Have a refused message sent again, under its own key and in its old place."""
        pending = self._pending.get(key)
        if pending is None or not pending.failed:
            return False
        self._set(pending, state=DeliveryState.WAITING, tries=0, due=0.0, error=None)
        return True

    def drop(self, key: str) -> bool:
        """Forget a message; not while it is on its way, when nobody knows whether it is stored."""
        pending = self._pending.get(key)
        if pending is None or pending.state is DeliveryState.SENDING:
            return False
        del self._pending[key]
        return True

    def _first(self) -> Pending | None:
        return next((pending for pending in self._pending.values() if not pending.failed), None)

    def _set(self, pending: Pending, **changes: Any) -> Pending:
        changed = structs.replace(pending, **changes)
        self._pending[pending.draft.key] = changed
        return changed
