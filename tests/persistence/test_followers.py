import asyncio

from persistence.followers import Followers
from persistence.postgres import Postgres
from tests.persistence.conftest import opened


async def test_who_follows_whom(postgres: Postgres) -> None:
    followers = Followers(postgres)
    await followers.change("ann", ["bob", "eve", "bob"], [])
    assert await followers.follows("ann", "bob")
    assert not await followers.follows("bob", "ann")
    assert not await followers.follows("ann", "zoe")
    await followers.change("ann", ["zoe", "eve"], ["bob", "joe"])
    assert [await followers.follows("ann", user) for user in ("bob", "eve", "zoe", "joe")] == [False, True, True, False]
    # Who is in both lists follows.
    await followers.change("ann", ["bob"], ["bob"])
    assert await followers.follows("ann", "bob")


async def test_changes_at_once_do_not_wait_for_each_other_in_a_circle(migrated: str) -> None:
    users = [f"u{n}" for n in range(200)]
    async with opened(migrated) as one, opened(migrated) as two:
        for _ in range(5):
            await asyncio.gather(
                *(Followers(pool).change("art", users, []) for pool in (one, two)),
                *(Followers(pool).change("art", users[::-1], users) for pool in (one, two)),
            )
        assert await Followers(one).follows("art", "u7")
