import asyncio
from collections.abc import Iterator

import pytest

from persistence.audit import AuditLog
from persistence.embedded import Servers
from persistence.freezes import Freeze, FreezesNow, FrozenUsers
from persistence.postgres import Postgres
from tests.persistence.conftest import opened, prepare
from tests.support.databases import fresh_database


@pytest.fixture
def migrated(servers: Servers) -> Iterator[str]:
    """Give each test a database of its own: versions are counted for all users together."""
    with fresh_database(servers.database_url) as url:
        asyncio.run(prepare(url))
        yield url


async def freeze(users: FrozenUsers, user: str, *, frozen: bool = True, why: str = "spam") -> Freeze:
    return await users.change(user, frozen=frozen, by="root", reason=why, address="192.0.2.7")


async def test_a_user_is_frozen_and_let_in_again_and_both_are_noted(postgres: Postgres) -> None:
    users = FrozenUsers(postgres)
    frozen = await freeze(users, "bob")
    assert (frozen.frozen, frozen.by, frozen.reason) == (True, "root", "spam")
    # Again it is what it is, with the reason of then.
    assert await freeze(users, "bob", why="more spam") == frozen
    thawed = await freeze(users, "bob", frozen=False, why="sorry")
    assert (thawed.frozen, thawed.reason) == (False, "sorry")
    notes = await AuditLog(postgres).page("bob", None, None, 10)
    assert [(note.action, note.actor, note.address, bytes(note.details)) for note in notes] == [
        ("user.unfreeze", "root", "192.0.2.7", b'{"reason": "sorry"}'),
        ("user.freeze", "root", "192.0.2.7", b'{"reason": "spam"}'),
    ]


async def test_whoever_was_never_frozen_is_not_let_in_again(postgres: Postgres) -> None:
    users = FrozenUsers(postgres)
    assert await freeze(users, "eve", frozen=False) == Freeze("eve", frozen=False)
    assert await AuditLog(postgres).page("eve", None, None, 10) == []


async def test_changes_are_told_since_a_version(postgres: Postgres) -> None:
    users = FrozenUsers(postgres)
    assert await users.since(0) == FreezesNow(0, {})
    await freeze(users, "bob")
    await freeze(users, "eve")
    now = await users.since(0)
    assert now == FreezesNow(2, {"bob": True, "eve": True})
    await freeze(users, "bob", frozen=False)
    assert await users.since(now.version) == FreezesNow(3, {"bob": False})
    assert await users.since(3) == FreezesNow(3, {})


async def test_a_version_that_never_was_gets_everything(postgres: Postgres) -> None:
    """The database was restored to an older state."""
    users = FrozenUsers(postgres)
    await freeze(users, "bob")
    assert await users.since(7) == FreezesNow(1, {"bob": True}, anew=True)


async def test_changes_at_once_are_all_told(migrated: str) -> None:
    """Versions are committed in their order: whoever has seen one misses none below it."""
    async with opened(migrated) as one, opened(migrated) as two:
        seen: dict[str, bool] = {}
        version = 0

        async def watch() -> None:
            nonlocal version
            while len(seen) < 60:
                now = await FrozenUsers(one).since(version)
                version = now.version
                seen.update(now.changed)

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(watch())
            for n in range(60):
                group.create_task(freeze(FrozenUsers((one, two)[n % 2]), f"u{n}"))
    assert seen == {f"u{n}": True for n in range(60)}
