import asyncio

import pytest

from persistence import migrate
from persistence.errors import Misconfigured, Rejected, Unavailable
from persistence.migrate import Migration
from persistence.postgres import PoolSettings, Postgres
from tests.persistence.conftest import opened

NAMES = [step.name for step in migrate.migrations()]


def test_the_steps_are_numbered_without_a_gap() -> None:
    steps = migrate.migrations()
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    for step in steps:
        assert step.name.startswith(f"{step.number:04}_")
        assert step.sql


async def test_what_is_missing_is_applied_once(empty_url: str) -> None:
    async with opened(empty_url) as postgres:
        assert await migrate.migrate(postgres) == NAMES
        assert await migrate.migrate(postgres) == []
        rows = await postgres.rows("SELECT number, name FROM migrations ORDER BY number")
        assert [tuple(row) for row in rows] == list(enumerate(NAMES, 1))


async def test_of_many_nodes_that_start_at_once_one_applies_each_step(empty_url: str) -> None:
    async with opened(empty_url) as one, opened(empty_url) as two:
        applied = await asyncio.gather(*(migrate.migrate(postgres) for postgres in [one, two] * 3))
        assert sorted(name for names in applied for name in names) == NAMES
        await migrate.check(one)


async def test_a_later_version_applies_only_its_own_steps(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(empty_url) as postgres:
        await migrate.migrate(postgres)
        later = Migration(len(NAMES) + 1, "later.sql", "CREATE TABLE later (); CREATE TABLE also ()")
        steps = [*migrate.migrations(), later]
        monkeypatch.setattr(migrate, "migrations", lambda: steps)
        with pytest.raises(Misconfigured, match=r"lacks migration later\.sql: run `stagewire migrate`"):
            await migrate.check(postgres)
        assert await migrate.migrate(postgres) == ["later.sql"]
        await migrate.check(postgres)


async def test_a_step_that_fails_leaves_nothing_of_itself(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        Migration(1, "good.sql", "CREATE TABLE good ()"),
        Migration(2, "bad.sql", "CREATE TABLE bad (); SELECT 1 / 0"),
    ]
    async with opened(empty_url, connections=1) as postgres:
        with monkeypatch.context() as patched:
            patched.setattr(migrate, "migrations", lambda: steps)
            with pytest.raises(Rejected):
                await migrate.migrate(postgres)
            row = await postgres.row("SELECT to_regclass('good') IS NULL, to_regclass('bad') IS NULL")
            assert row is not None
            assert tuple(row) == (False, True)
            steps[1] = Migration(2, "mended.sql", "CREATE TABLE mended ()")
            assert await migrate.migrate(postgres) == ["mended.sql"]
            # The lock was let go of, too.
            async with opened(empty_url, connections=1, patience=1) as other:
                assert await migrate.migrate(other) == []


async def test_an_empty_database_is_told_from_an_unreachable_one(empty_url: str) -> None:
    async with opened(empty_url) as postgres:
        with pytest.raises(Misconfigured, match="not migrated"):
            await migrate.check(postgres)
        await postgres.rows("CREATE TABLE migrations (number integer)")
        with pytest.raises(Misconfigured, match="run `stagewire migrate`"):
            await migrate.check(postgres)
    with pytest.raises(Unavailable):
        await migrate.check(Postgres(PoolSettings(empty_url)))
