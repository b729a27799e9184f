"""The audit log: notes of what was done with more than a user's own rights, written to Postgres in batches.

What was done is durable by itself, mostly as an event of a session's log. Its note follows at once, and waits while
Postgres is away. Each has a name made of what was done, so that a repetition, or a second attempt, is noted once.
"""

import asyncio
from contextlib import suppress
from enum import StrEnum
from time import monotonic
from typing import Any, Final
from uuid import UUID, uuid5

import structlog
from msgspec import json

from persistence.audit import Audited, AuditEntry, AuditLog
from persistence.errors import Rejected, StorageError
from persistence.guests import Guest
from persistence.log import Record
from persistence.rate_limits import StoredLimit
from persistence.seldom import Seldom
from realtime.domain import access
from realtime.domain.session import Action
from realtime.lifecycle import Lifecycle
from realtime.protocol.codes import Refusal
from realtime.settings import Settings
from realtime.telemetry import metrics
from tokens.access import AccessRole, Identity

# Entries of one statement.
BATCH: Final = 500
# Seconds until what could not be written is tried again, and that a node which stops waits for it.
PAUSE: Final = 1.0
_NAMES: Final = UUID("7a1c9a0e-4c1f-4d39-9f0e-6f6f0b1d2a55")
log = structlog.get_logger("audit")
seldom_log = Seldom(log)


class Act(StrEnum):
    """What is noted. Those of a session are noted of admins whose session it is not; roles always."""

    FREEZE = "user.freeze"
    UNFREEZE = "user.unfreeze"
    NOTICE = "user.notice"
    DELETE = "chat.delete"
    ROLE = "session.role"
    UPDATE = "session.update"
    GUESTS = "session.guests"
    ANSWER = "session.answer"
    START = "session.start"
    PAUSE = "session.pause"
    RESUME = "session.resume"
    END = "session.end"
    LIMIT = "limit.change"


def act_of(action: Action) -> Act:
    """Give as what a transition is noted that somebody wants."""
    return Act(f"session.{action}")


class Audit:
    """Notes acts, and gives what was noted. Freezes note themselves, in the statement that makes them."""

    def __init__(self, storage: AuditLog, lifecycle: Lifecycle, settings: Settings) -> None:
        self._storage = storage
        self._lifecycle = lifecycle
        self._most = settings.audit_queue
        # Each with when it was, by the monotonic clock.
        self._waiting: dict[UUID, tuple[AuditEntry, float]] = {}
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    def note(
        self,
        act: Act,
        by: str,
        address: str,
        name: str,
        *,
        subject: str | None = None,
        session: str | None = None,
        **details: Any,
    ) -> None:
        """Note an act soon. `name` tells it from all others of its kind by the same user."""
        key = uuid5(_NAMES, f"{act} {by} {name}")
        entry = AuditEntry(key, by, act, address, json.encode(details).decode(), subject, session)
        if key in self._waiting:
            return
        if len(self._waiting) >= self._most:
            _lose(entry, "too many wait")
            return
        self._waiting[key] = entry, monotonic()
        self._wake.set()

    async def intervened(
        self, who: Identity, address: str, act: Act, session: str, record: Record | None, **details: Any
    ) -> None:
        """Note a change of a session, if it was made by an admin whose session it is not."""
        if record is not None and await self._intervenes(who, session):
            self.note(act, who.user, address, f"{session} {record.seq}", session=session, seq=record.seq, **details)

    async def answered(self, who: Identity, address: str, session: str, guest: Guest, *, accepted: bool) -> None:
        """Note that one who has asked was let in or not, if an admin has answered whose session it is not."""
        if await self._intervenes(who, session):
            name = f"{session} {guest.user} {guest.at}"
            self.note(Act.ANSWER, who.user, address, name, subject=guest.user, session=session, accepted=accepted)

    def limited(self, who: Identity, address: str, action: str, changed: StoredLimit) -> None:
        """Note that a limit by rate was changed."""
        about: dict[str, Any] = {
            "action": action, "role": changed.role, "rate": changed.rate, "burst": changed.burst,
        }  # fmt: skip
        self.note(Act.LIMIT, who.user, address, f"{action} {changed.role} {changed.changed_at}", **about)

    def named(self, who: Identity, address: str, session: str, user: str, role: str, record: Record | None) -> None:
        """Note that a user was given a role in a session, or has lost it."""
        if record is not None:
            name, about = f"{session} {record.seq}", {"role": role, "seq": record.seq}
            self.note(Act.ROLE, who.user, address, name, subject=user, session=session, **about)

    async def _intervenes(self, who: Identity, session: str) -> bool:
        if who.role is not AccessRole.ADMIN:
            return False
        try:
            found = await self._lifecycle.find(session)
        except (StorageError, Refusal):
            # The act is done, and rather noted than not.
            return True
        return not access.hosts(found.host, who.user, found.members)

    async def page(self, user: str | None, act: str | None, before: int | None, limit: int) -> list[Audited]:
        """Give the newest notes below `before`, of everyone or about one user, of all acts or of one.

        Raises:
            Unavailable
        """
        return await self._storage.page(user, act, before, limit)

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self.write():
                await asyncio.sleep(PAUSE)
                self._wake.set()

    async def write(self) -> bool:
        """Write what waits; tell whether that went well."""
        async with self._writing:
            while batch := list(self._waiting.values())[:BATCH]:
                try:
                    await self._write(batch)
                except StorageError as exc:
                    seldom_log.warning("notes wait", notes=len(self._waiting), reason=str(exc))
                    return False
                for entry, _ in batch:
                    self._waiting.pop(entry.key, None)
            return True

    async def close(self) -> None:
        """Write what still waits, if that is done soon, and tell the operator of what is lost with this node."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE):
                await self.write()
        for entry, _ in self._waiting.values():
            _lose(entry, "the node stops")

    async def _write(self, batch: list[tuple[AuditEntry, float]]) -> None:
        now = monotonic()
        try:
            await self._storage.append([(entry, round((now - at) * 1000)) for entry, at in batch])
        except Rejected as exc:
            if len(batch) > 1:
                # One that is never taken must not cost the others.
                for each in batch:
                    await self._write([each])
                return
            _lose(batch[0][0], str(exc))


def _lose(entry: AuditEntry, reason: str) -> None:
    metrics.AUDIT_LOST.inc()
    said = {"subject": entry.subject, "session": entry.session, "address": entry.address, "details": entry.details}
    log.error("act not noted", act=entry.action, by=entry.actor, reason=reason, **said)
