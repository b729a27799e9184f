from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import json

from persistence.audit import AuditEntry, AuditLog
from persistence.errors import StorageError
from persistence.postgres import Postgres
from tests.persistence.conftest import opened

SESSION = "01932c07-3a6e-7cc0-8000-000000000001"


def entry(actor: str, action: str = "session.end", key: UUID | None = None, **more: Any) -> AuditEntry:
    return AuditEntry(key or uuid4(), actor, action, "192.0.2.7", '{"seq":4}', **more)


async def test_an_entry_is_kept_as_it_was_said(postgres: Postgres) -> None:
    audit = AuditLog(postgres)
    await audit.append([(entry("ann", "user.notice", subject="bob", session=SESSION), 60_000), (entry("ann"), 0)])
    late, early = await audit.page("ann", None, None, 10)
    assert (early.actor, early.action, early.address) == ("ann", "user.notice", "192.0.2.7")
    assert (early.subject, early.session, json.decode(early.details)) == ("bob", SESSION, {"seq": 4})
    assert (late.subject, late.session) == (None, None)
    assert 59_000 < late.at - early.at < 61_000


async def test_an_entry_that_is_added_again_is_there_once(postgres: Postgres) -> None:
    audit, key = AuditLog(postgres), uuid4()
    await audit.append([(entry("bea", key=key), 0)])
    await audit.append([(entry("bea", key=key), 0), (entry("bea", "session.start"), 0)])
    assert [found.action for found in await audit.page("bea", None, None, 10)] == ["session.start", "session.end"]


async def test_pages_by_user_and_action(postgres: Postgres) -> None:
    audit = AuditLog(postgres)
    await audit.append([(entry("cleo", f"act.{n % 2}", subject="dan"), 0) for n in range(6)])
    await audit.append([(entry("dan", "act.0"), 0), (entry("eve", "act.0"), 0)])
    assert len(await audit.page("dan", None, None, 10)) == 7
    assert len(await audit.page("dan", "act.0", None, 10)) == 4
    assert len(await audit.page(None, "act.0", None, 10)) == 5
    first = await audit.page("cleo", None, None, 4)
    rest = await audit.page("cleo", None, first[-1].id, 4)
    ids = [found.id for found in (*first, *rest)]
    assert len(ids) == 6
    assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'nobody'",
        "UPDATE audit_log SET actor = actor WHERE false",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "SET LOCAL session_replication_role = replica; DELETE FROM audit_log",
    ],
)
async def test_nothing_of_it_can_be_changed(migrated: str, statement: str) -> None:
    async with opened(migrated) as postgres:
        audit = AuditLog(postgres)
        await audit.append([(entry("fay"), 0)])
        with pytest.raises(StorageError, match="append-only"):
            async with postgres.connection() as connection, connection.transaction():
                await connection.execute(statement)
        assert await audit.page("fay", None, None, 10)
