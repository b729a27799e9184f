"""Inboxes on a real Postgres: consecutive whatever happens at once, bounded, and gone when acknowledged."""

import asyncio
import time
from random import Random
from uuid import UUID, uuid4

import pytest

from persistence.errors import Rejected, Unavailable
from persistence.inbox import Inboxes, InboxHead, Page
from persistence.log import Entry, Outcome, Record
from persistence.postgres import PoolSettings, Postgres
from tests.persistence.conftest import opened
from tests.support.databases import connected

LIMIT = 100
# In milliseconds: what other tests of this module wrote is not so old.
LONG_AGO = 10**9


@pytest.fixture
def inboxes(postgres: Postgres) -> Inboxes:
    return Inboxes(postgres, LIMIT)


@pytest.fixture
def bob() -> str:
    """Give a user whom no other test writes to."""
    return f"bob-{uuid4().hex}"


def letter(user: str, text: str = "hi", key: UUID | None = None, sender: str = "ann", kind: str = "direct") -> Entry:
    return Entry(user, sender, key or uuid4(), kind, f'{{"text": "{text}"}}')


async def page(inboxes: Inboxes, user: str, after: int = -1, limit: int = 1000) -> Page:
    return (await inboxes.pages({user: after}, limit))[user]


async def texts(inboxes: Inboxes, user: str) -> list[str]:
    return [record.body[len('{"text": "') : -2] for record in (await page(inboxes, user)).records]


async def test_entries_are_read_as_they_were_appended(inboxes: Inboxes, bob: str) -> None:
    first, second = letter(bob, "one"), letter(bob, "two", sender="eve", kind="notice")
    began = time.time_ns() // 1_000_000
    answers = await inboxes.append([first, second])
    assert [(a.outcome, a.seq) for a in answers] == [(Outcome.NEW, 1), (Outcome.NEW, 2)]
    assert began - 5 <= answers[0].at <= answers[1].at <= time.time_ns() // 1_000_000 + 5
    [head] = (await inboxes.heads([bob, "nobody"])).values()
    assert head == InboxHead(answers[0].epoch, 2, 0, 0)
    read = await page(inboxes, bob)
    assert (read.head, read.after, read.end, read.sure) == (head, 0, 2, True)
    assert read.records == [
        Record(answer.seq, answer.at, entry.kind, entry.sender, str(entry.key), entry.body)
        for answer, entry in zip(answers, (first, second), strict=True)
    ]


async def test_a_key_is_good_for_one_entry_also_after_that_is_gone(inboxes: Inboxes, bob: str) -> None:
    key = uuid4()
    [first] = await inboxes.append([letter(bob, "one", key)])
    same = Entry(bob, "ann", key, "direct", '{ "text" : "one" }')
    others = [letter(bob, "two", key), letter(bob, "one", key, kind="notice")]
    for _ in range(2):
        [repeat] = await inboxes.append([same])
        assert (repeat.outcome, repeat.seq, repeat.at) == (Outcome.REPEAT, first.seq, first.at)
        for other in others:
            assert [a.outcome for a in await inboxes.append([other])] == [Outcome.CONFLICT]
        await inboxes.ack(bob, 1)
    elsewhere = [letter(bob, "one", key, sender="eve"), letter(f"{bob}2", "one", key)]
    assert [a.outcome for a in await inboxes.append(elsewhere)] == [Outcome.NEW] * 2


async def test_appends_from_everywhere_make_consecutive_inboxes(migrated: str, bob: str) -> None:
    random = Random(11)
    users = [f"{bob}{n}" for n in range(4)]
    answered: dict[tuple[str, int], str] = {}
    writing = True

    async def write(own: Postgres, name: str) -> None:
        for n in range(10):
            # In any order of users: the function locks them in one.
            batch = [letter(random.choice(users), f"{name} {n} {i}", sender=name) for i in range(random.randint(1, 12))]
            for entry, answer in zip(batch, await Inboxes(own, 10_000).append(batch), strict=True):
                assert answer.outcome is Outcome.NEW
                assert answered.setdefault((entry.session, answer.seq), entry.body) is entry.body

    async def watch(inboxes: Inboxes, user: str) -> None:
        reached = 0
        while writing:
            found = (await inboxes.pages({user: -1}, 10_000)).get(user)
            if found is not None:
                assert [record.seq for record in found.records] == list(range(1, found.head.seq + 1))
                assert found.head.seq >= reached
                reached = found.head.seq

    async with opened(migrated) as one, opened(migrated) as two, opened(migrated) as reader:
        inboxes = Inboxes(reader, 10_000)
        watchers = [asyncio.create_task(watch(inboxes, user)) for user in users]
        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(write((one, two)[n % 2], f"w{n}"))
        writing = False
        await asyncio.gather(*watchers)
        for user in users:
            stored = (await page(inboxes, user, limit=10_000)).records
            assert {(user, r.seq): r.body for r in stored} == {k: v for k, v in answered.items() if k[0] == user}


async def test_the_same_key_sent_everywhere_at_once_is_stored_once(migrated: str, bob: str) -> None:
    entries = [letter(bob, f"{n}") for n in range(5)]
    async with opened(migrated) as one, opened(migrated) as two:
        answers = await asyncio.gather(*(Inboxes(pool, LIMIT).append(entries) for pool in [one, two] * 4))
        assert sorted(batch[0].outcome for batch in answers) == ["new", *["repeat"] * 7]
        assert len({tuple(answer.seq for answer in batch) for batch in answers}) == 1
        assert await texts(Inboxes(one, LIMIT), bob) == ["0", "1", "2", "3", "4"]


async def test_the_oldest_give_way_and_are_counted(postgres: Postgres, bob: str) -> None:
    inboxes = Inboxes(postgres, 3)
    await inboxes.append([letter(bob, "1"), letter(bob, "2")])
    await inboxes.ack(bob, 1)
    for n in range(3, 8):
        await inboxes.append([letter(bob, f"{n}")])
    assert await texts(inboxes, bob) == ["5", "6", "7"]
    head = (await inboxes.heads([bob]))[bob]
    assert (head.seq, head.acked, head.dropped, head.gone) == (7, 1, 4, 4)
    assert await bodies(postgres, bob) == [5, 6, 7]


async def bodies(postgres: Postgres, user: str) -> list[int]:
    """Give the ids of the entries whose text is still stored."""
    rows = await postgres.rows("SELECT id FROM inbox WHERE member = $1 AND body IS NOT NULL ORDER BY id", user)
    return [row[0] for row in rows]


async def test_what_is_acknowledged_is_gone_and_once_is_enough(postgres: Postgres, inboxes: Inboxes, bob: str) -> None:
    assert await inboxes.ack(bob, 5) is None
    await inboxes.append([letter(bob, f"{n}") for n in range(1, 6)])
    other = f"{bob}2"
    await inboxes.append([letter(other)])
    head = await inboxes.ack(bob, 2)
    assert head is not None
    assert (head.seq, head.acked, head.dropped) == (5, 2, 0)
    assert await texts(inboxes, bob) == ["3", "4", "5"]
    assert await bodies(postgres, bob) == [3, 4, 5]
    for upto in (2, 1, 0):
        assert await inboxes.ack(bob, upto) is None
    # Nobody can acknowledge what is not there yet.
    head = await inboxes.ack(bob, 1000)
    assert head is not None
    assert (head.seq, head.acked) == (5, 5)
    await inboxes.append([letter(bob, "6")])
    assert await texts(inboxes, bob) == ["6"]
    assert await texts(inboxes, other) == ["hi"]


async def test_pages(inboxes: Inboxes, bob: str) -> None:
    other = f"{bob}2"
    await inboxes.append([letter(bob, f"{n}") for n in range(1, 8)] + [letter(other)])
    await inboxes.ack(bob, 1)
    pages = await inboxes.pages({bob: 3, other: -1, f"{bob}3": 0}, 2)
    assert {user: ([r.seq for r in p.records], p.after, p.end) for user, p in pages.items()} == {
        bob: ([4, 5], 3, 5),
        other: ([1], 0, 1),
    }
    assert (await page(inboxes, bob, 7)).records == ()
    begins = await page(inboxes, bob, -1, 2)
    assert ([r.seq for r in begins.records], begins.after) == ([2, 3], 1)


async def test_what_is_old_is_swept_with_its_key(migrated: str, bob: str) -> None:
    async with opened(migrated, connections=2) as postgres:
        inboxes = Inboxes(postgres, LIMIT)
        old, key = f"{bob}2", uuid4()
        await inboxes.append([letter(bob, "1"), letter(bob, "2"), letter(old, "x", key)])
        await inboxes.ack(bob, 1)
        await postgres.rows("UPDATE inbox SET at = at - 10000 WHERE member = ANY ($1)", [bob, old])
        await inboxes.append([letter(bob, "3")])
        assert await inboxes.wrote(old, "ann", "direct")
        swept = 0
        while found := await inboxes.sweep(9000, 1):
            swept += found
        assert swept == 3
        heads = await inboxes.heads([bob, old])
        assert [(heads[user].seq, heads[user].acked, heads[user].dropped) for user in (bob, old)] == [
            (3, 1, 2),
            (1, 0, 1),
        ]
        assert await texts(inboxes, bob) == ["3"]
        assert not await inboxes.wrote(old, "ann", "direct")
        [again] = await inboxes.append([letter(old, "x", key)])
        assert (again.outcome, again.seq) == (Outcome.NEW, 2)


async def test_one_node_at_a_time_sweeps(migrated: str, bob: str) -> None:
    async with opened(migrated, connections=1) as postgres, connected(migrated) as other:
        inboxes = Inboxes(postgres, LIMIT)
        await inboxes.append([letter(bob)])
        await postgres.rows("UPDATE inbox SET at = 0 WHERE member = $1", bob)
        async with other.transaction():
            await other.execute("SELECT pg_advisory_xact_lock(hashtext('stagewire.inboxes'))")
            assert await inboxes.sweep(LONG_AGO, 10) == 0
        assert await inboxes.sweep(LONG_AGO, 10) == 1
        assert await inboxes.sweep(LONG_AGO, 10) == 0


async def test_who_wrote_to_whom(inboxes: Inboxes, bob: str) -> None:
    await inboxes.append([letter(bob), letter(bob, sender="eve", kind="mention")])
    await inboxes.ack(bob, 2)
    assert await inboxes.wrote(bob, "ann", "direct")
    assert not await inboxes.wrote(bob, "eve", "direct")
    assert not await inboxes.wrote("ann", bob, "direct")


async def test_changes_since_a_moment(inboxes: Inboxes, bob: str) -> None:
    await inboxes.append([letter(bob)])
    first = await inboxes.changed(None, 10_000)
    assert first.heads[bob].seq == 1
    await asyncio.sleep(0.005)
    nothing = await inboxes.changed(first.now + 3, 0)
    assert bob not in nothing.heads
    assert nothing.now >= first.now
    await inboxes.append([letter(bob)])
    assert (await inboxes.changed(nothing.now, 0)).heads[bob].seq == 2


async def test_an_append_that_took_long_is_not_overlooked(migrated: str, bob: str) -> None:
    async with opened(migrated) as postgres, connected(migrated) as other:
        inboxes = Inboxes(postgres, LIMIT)
        async with other.transaction():
            await other.execute(
                "SELECT append_inbox($1, $2, $3::uuid[], $4, $5, 9)", [bob], ["ann"], [uuid4()], ["direct"], ["{}"]
            )
            await asyncio.sleep(0.05)
            before = await inboxes.changed(None, 1000)
            assert bob not in before.heads
        assert (await inboxes.changed(before.now, 1000)).heads[bob].seq == 1


@pytest.mark.parametrize("body", ["{", '{"text": "\\u0000"}', '"\\ud800"'])
async def test_what_cannot_be_stored_is_rejected_and_leaves_no_hole(inboxes: Inboxes, bob: str, body: str) -> None:
    with pytest.raises(Rejected):
        await inboxes.append([letter(bob), Entry(bob, "ann", uuid4(), "direct", body)])
    assert [a.seq for a in await inboxes.append([letter(bob)])] == [1]


async def test_a_database_that_is_away() -> None:
    inboxes = Inboxes(Postgres(PoolSettings("postgresql:///nowhere")), LIMIT)
    for asked in (inboxes.append([letter("bob")]), inboxes.heads(["bob"]), inboxes.ack("bob", 1), inboxes.sweep(1, 1)):
        with pytest.raises(Unavailable):
            await asked
    for plan in (inboxes.pages({"bob": 0}, 1), inboxes.changed(None, 0)):
        with pytest.raises(Unavailable):
            await plan


async def test_the_beat_and_the_pages_use_indexes(postgres: Postgres, inboxes: Inboxes, bob: str) -> None:
    users = [f"{bob}{n}" for n in range(3000)]
    await inboxes.append([letter(user) for user in users])
    await postgres.rows("UPDATE inbox_heads SET at = 0 WHERE member = ANY ($1)", users)
    await postgres.rows("ANALYZE inbox, inbox_heads")
    for query in (
        "SELECT member FROM inbox_heads WHERE at >= 1000000000000",
        f"SELECT * FROM inbox WHERE member = '{users[7]}' AND id > 0 ORDER BY id LIMIT 50",
        f"SELECT FROM inbox WHERE member = '{users[7]}' AND sender = 'ann' AND kind = 'direct' LIMIT 1",
        "SELECT member FROM inbox WHERE at < 1000 ORDER BY at LIMIT 10",
    ):
        plan = "\n".join(row[0] for row in await postgres.rows(f"EXPLAIN {query}"))
        assert "Seq Scan" not in plan, plan
