"""Which pages of inboxes are believed, and how their copies are kept, on real stores."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest

from persistence.inbox import Inboxes, InboxHead, Page
from persistence.inbox_streams import Change, InboxStreams
from persistence.log import Entry, Record
from persistence.postgres import PoolSettings, Postgres
from persistence.redis import Redis, connect
from realtime.backlog import Backlog
from realtime.settings import Settings
from tests.support.relay import relayed

SETTINGS = Settings(inbox_page=3, inbox_backlog=2)
DAY = 86_400_000


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url, connections=4, timeout=2) as made:
        yield made


@pytest.fixture
async def inboxes(migrated: str) -> AsyncIterator[Inboxes]:
    postgres = Postgres(PoolSettings(migrated, 2))
    await postgres.open()
    yield Inboxes(postgres, 100)
    await postgres.close()


@pytest.fixture
def away() -> Inboxes:
    """Give inboxes in a Postgres that cannot be reached."""
    return Inboxes(Postgres(PoolSettings("postgresql:///nowhere")), 100)


async def appended(inboxes: Inboxes, user: str, count: int) -> list[Record]:
    """Append entries, and give them as stored."""
    await inboxes.append([Entry(user, "ann", uuid4(), "direct", '{"text": "hi"}') for _ in range(count)])
    return list((await inboxes.pages({user: -1}, 100))[user].records)


async def copied(backlog: Backlog) -> None:
    """Copy what waits."""
    task = asyncio.create_task(backlog.copy_always())
    await backlog.drain()
    task.cancel()


async def test_long_inboxes_are_copied_a_page_at_a_time_as_they_are_read(inboxes: Inboxes, client: Redis) -> None:
    user = f"bob-{uuid4().hex}"
    records = await appended(inboxes, user, 7)
    streams = InboxStreams(client, 100, DAY)
    backlog = Backlog(inboxes, streams, SETTINGS)
    for after, seen in ((-1, 3), (3, 6), (6, 7)):
        page = (await backlog.read({user: after}))[user]
        assert page.records == records[max(after, 0) : seen]
        await copied(backlog)
        [copy] = await streams.read([(user, -1)], 100)
        assert copy is not None
        assert copy.records == records[:seen]
    # The whole of it is believed now: Postgres is asked for the head alone.
    assert await client.delete(f"sw:inbox:{{{user}}}:head") == 1
    await backlog.read({user: -1})
    await copied(backlog)
    assert await client.exists(f"sw:inbox:{{{user}}}:head") == 1


async def test_where_nothing_waits_redis_is_not_asked(inboxes: Inboxes) -> None:
    user = f"bob-{uuid4().hex}"
    async with connect("unix:///nonexistent/valkey.sock", connections=1, timeout=1) as nowhere:
        backlog = Backlog(inboxes, InboxStreams(nowhere, 100, DAY), SETTINGS)
        assert (await backlog.read({user: -1}))[user].head == InboxHead()
        await appended(inboxes, user, 2)
        await inboxes.ack(user, 2)
        page = (await backlog.read({user: -1}))[user]
        assert (page.after, page.end, page.sure) == (2, 2, True)
        assert backlog._rest_until == 0
        await appended(inboxes, user, 1)
        assert [r.seq for r in (await backlog.read({user: -1}))[user].records] == [3]
        assert backlog._rest_until > 0


async def test_only_a_whole_copy_is_given_while_postgres_is_away(away: Inboxes, client: Redis) -> None:
    streams = InboxStreams(client, 100, DAY)
    backlog = Backlog(away, streams, SETTINGS)
    records = [Record(n, n, "direct", "ann", "key", "{}") for n in range(1, 5)]
    await streams.write([Change(member="bob", epoch="e", after=0, records=records, acked=0)])
    pages = await backlog.read({"bob": -1, "eve": -1})
    assert pages.keys() == {"bob"}
    assert (pages["bob"].records, pages["bob"].sure) == (records[:3], False)
    assert (await backlog.read({"bob": 3}))["bob"].records == records[3:]
    await client.xdel("sw:inbox:{bob}", "2-0")
    assert await backlog.read({"bob": -1}) == {}


async def test_a_postgres_that_goes_away_in_the_middle(migrated: str, client: Redis) -> None:
    user = f"bob-{uuid4().hex}"
    async with relayed(migrated) as relay:
        postgres = Postgres(PoolSettings(relay.url, 1, 1.0, 1.0))
        await postgres.open()
        inboxes = Inboxes(postgres, 100)
        records = await appended(inboxes, user, 2)

        class Cut(InboxStreams):
            async def read(self, after: Sequence[tuple[str, int]], limit: int) -> list[Page | None]:
                """Lose Postgres, and then give what there is."""
                await relay.cut()
                return await super().read(after, limit)

        backlog = Backlog(inboxes, Cut(client, 100, DAY), SETTINGS)
        assert await backlog.read({user: -1}) == {}
        await relay.listen()
        await InboxStreams(client, 100, DAY).write(
            [Change(member=user, epoch=(await inboxes.heads([user]))[user].epoch, after=0, records=records)]
        )
        assert (await backlog.read({user: -1}))[user].records == records
        await postgres.close()


async def test_what_waits_to_be_copied_is_bounded(away: Inboxes, client: Redis) -> None:
    streams = InboxStreams(client, 100, DAY)
    backlog = Backlog(away, streams, SETTINGS)
    for n in range(1, 4):
        record = Record(1, 1, "direct", "ann", "key", "{}")
        backlog.copy(Change(member=f"user{n}", epoch="e", after=0, records=[record]))
    await copied(backlog)
    found = await streams.read([(f"user{n}", -1) for n in range(1, 4)], 10)
    assert [page is not None for page in found] == [False, True, True]
