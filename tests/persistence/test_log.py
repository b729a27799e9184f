"""The log on a real Postgres: whatever happens at once, each session's events are consecutive."""

import asyncio
import time
from contextlib import AsyncExitStack
from itertools import pairwise
from random import Random
from uuid import UUID, uuid4

import pytest

from persistence.errors import Rejected, Unavailable
from persistence.log import Appended, Entry, Head, Log, Outcome, Record, records
from persistence.postgres import PoolSettings, Postgres
from persistence.sessions import Sessions
from tests.persistence.conftest import DAY_MS, opened, prepare
from tests.support.sessions import move


def chat(session: str, text: str = "hi", key: UUID | None = None, sender: str = "bob", age: int = 0) -> Entry:
    return Entry(session, sender, key or uuid4(), "chat.posted", f'{{"text": "{text}"}}', age)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_appends_from_everywhere_make_one_consecutive_log_per_session(migrated: str, postgres: Postgres) -> None:
    random, log = Random(7), Log(postgres)
    sessions = [(await Sessions(postgres).create("alice", "A show")).id for _ in range(3)]
    answered: dict[tuple[str, int], Entry] = {}
    writing = True

    async def write(own: Postgres, name: str) -> None:
        for _ in range(12):
            # In any order of sessions: the function locks them in one.
            batch = [chat(random.choice(sessions), sender=name) for _ in range(random.randint(1, 20))]
            for entry, answer in zip(batch, await Log(own).append(batch), strict=True):
                assert answer.outcome is Outcome.NEW
                assert answered.setdefault((entry.session, answer.seq), entry) is entry

    async def watch(session: str) -> None:
        reached = 0
        while writing:
            seen = [record.seq for record in await log.after(session, 0, 10_000)]
            assert seen == list(range(1, len(seen) + 1))
            assert len(seen) >= reached
            reached = len(seen)
            assert (await log.heads([session]))[session].seq >= reached

    async with AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(opened(migrated, connections=2)) for _ in range(3)]
        watchers = [asyncio.create_task(watch(session)) for session in sessions]
        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(write(pools[n % 3], f"writer{n}"))
        writing = False
        await asyncio.gather(*watchers)
    for session in sessions:
        stored = await log.after(session, 1, 10_000)
        head = await log.heads([session])
        assert [record.seq for record in stored] == list(range(2, head[session].seq + 1))
        assert {record.seq for record in stored} == {seq for owner, seq in answered if owner == session}
        for record in stored:
            assert record.key == str(answered[session, record.seq].key)
        assert all(one.at <= two.at for one, two in pairwise(stored))


async def test_the_same_key_sent_everywhere_at_once_is_stored_once(migrated: str, session: str) -> None:
    entries = [chat(session, f"{n}") for n in range(5)]
    async with opened(migrated) as one, opened(migrated) as two:
        answers = await asyncio.gather(*(Log(pool).append(entries) for pool in [one, two] * 4))
        assert sorted(batch[0].outcome for batch in answers) == ["new", *["repeat"] * 7]
        assert {tuple((answer.seq, answer.at) for answer in batch) for batch in answers} == {
            tuple((answer.seq, answer.at) for answer in answers[0])
        }
        assert len(await Log(one).after(session, 1, 100)) == 5


async def test_every_outcome_in_one_batch(postgres: Postgres, session: str) -> None:
    log, sessions = Log(postgres), Sessions(postgres)
    ended = (await sessions.create("alice", "Over")).id
    old, over = chat(session), chat(ended)
    [first], [last] = await log.append([old]), await log.append([over])
    await move(postgres, ended, 1, "ended", "session.ended")
    answers = await log.append(
        [
            chat(session),
            old,
            chat(session, "another", key=old.key),
            Entry(session, "bob", old.key, "chat.edited", old.body),
            over,
            chat(ended),
            chat(str(uuid4())),
            chat(session, sender="eve", key=old.key),
        ]
    )
    assert [answer.outcome for answer in answers] == [
        "new", "repeat", "conflict", "conflict", "repeat", "closed", "missing", "new",
    ]  # fmt: skip
    assert [answer.seq for answer in answers] == [3, 2, 2, 2, 2, 0, 0, 4]
    assert answers[1] == Appended(Outcome.REPEAT, first.seq, first.at, first.epoch)
    assert answers[4] == Appended(Outcome.REPEAT, last.seq, last.at, last.epoch)
    assert (answers[5].at, answers[6].at) == (0, 0)
    assert (await log.heads([session, ended]))[ended].seq == 3


async def test_a_body_is_the_same_however_it_is_written(postgres: Postgres, session: str) -> None:
    log, key = Log(postgres), uuid4()
    one = Entry(session, "bob", key, "chat.posted", '{"text":"é","reply_to":1}')
    two = Entry(session, "bob", key, "chat.posted", '{ "reply_to": 1, "text": "\\u00e9" }')
    assert [answer.outcome for entry in (one, two) for answer in await log.append([entry])] == ["new", "repeat"]


async def test_nothing_to_append(postgres: Postgres) -> None:
    assert await Log(postgres).append([]) == []


async def test_what_fails_leaves_no_hole(postgres: Postgres, session: str) -> None:
    log = Log(postgres)
    bad = Entry(session, "bob", uuid4(), "chat.posted", '"\\u0000"')
    with pytest.raises(Rejected):
        await log.append([chat(session), bad, chat(session)])
    twice = chat(session)
    with pytest.raises(Rejected):
        await log.append([twice, twice])
    assert [answer.seq for answer in await log.append([chat(session)])] == [2]


async def test_an_append_that_is_given_up_leaves_all_or_nothing(
    migrated: str, postgres: Postgres, session: str
) -> None:
    batch = [chat(session) for _ in range(5)]
    async with opened(migrated, connections=1, patience=0.2) as impatient, postgres.connection() as holder:
        async with holder.transaction():
            await holder.execute("SELECT FROM log_heads WHERE session = $1 FOR UPDATE", session)
            with pytest.raises(Unavailable):
                await Log(impatient).append(batch)
        answers = await Log(impatient).append(batch)
    assert [answer.seq for answer in answers] == [2, 3, 4, 5, 6]
    assert len({answer.outcome for answer in answers}) == 1


async def test_an_event_belongs_to_the_moment_it_happened(postgres: Postgres, session: str) -> None:
    before = now_ms()
    now, earlier = await Log(postgres).append([chat(session), chat(session, age=60_000)])
    assert before <= now.at <= now_ms()
    assert earlier.at == now.at - 60_000
    assert earlier.seq == now.seq + 1


async def test_what_one_sender_wrote_offline_keeps_its_order(postgres: Postgres, session: str) -> None:
    log = Log(postgres)
    [first] = await log.append([chat(session, age=60_000)])
    # The second was written later, and yet it seems older by what the first append took to come here.
    [second] = await log.append([chat(session, age=61_000)])
    assert second.at == first.at
    [other] = await log.append([chat(session, age=61_000, sender="eve")])
    assert other.at < first.at
    edit = Entry(session, "bob", uuid4(), "chat.edited", f'{{"seq": {first.seq}, "text": "edited"}}', 62_000)
    [edited] = await log.append([edit])
    assert edited.at < first.at


async def test_time_never_goes_back_within_a_log(postgres: Postgres, session: str) -> None:
    ahead = now_ms() + 3_600_000
    await postgres.rows("UPDATE log_heads SET at = $2 WHERE session = $1", session, ahead)
    assert [answer.at for answer in await Log(postgres).append([chat(session), chat(session)])] == [ahead, ahead]
    assert (await move(postgres, session, 1, "live", "session.started")).at == ahead


@pytest.mark.parametrize(
    ("after", "limit", "expected"),
    [(0, 3, [1, 2, 3]), (2, 100, [3, 4, 5, 6]), (5, 1, [6]), (6, 5, []), (100, 5, []), (0, 0, [])],
)
async def test_reading_forwards(postgres: Postgres, session: str, after: int, limit: int, expected: list[int]) -> None:
    log = Log(postgres)
    await log.append([chat(session) for _ in range(5)])
    assert [record.seq for record in await log.after(session, after, limit)] == expected


@pytest.mark.parametrize(
    ("before", "limit", "expected"),
    [(7, 3, [4, 5, 6]), (100, 2, [5, 6]), (4, 100, [1, 2, 3]), (1, 5, []), (0, 5, []), (7, 0, [])],
)
async def test_reading_backwards(
    postgres: Postgres, session: str, before: int, limit: int, expected: list[int]
) -> None:
    log = Log(postgres)
    await log.append([chat(session) for _ in range(5)])
    epoch = (await log.heads([session]))[session].epoch
    assert [record.seq for record in await log.before_in(session, epoch, before, limit)] == expected


async def test_reading_in_one_life_of_the_log(postgres: Postgres, session: str) -> None:
    log = Log(postgres)
    await log.append([chat(session) for _ in range(5)])
    epoch = (await log.heads([session]))[session].epoch
    assert await log.after_in(session, epoch, 2, 3) == await log.after(session, 2, 3) != []
    assert await log.before_in(session, epoch, 5, 3) == await log.after(session, 1, 3) != []
    await postgres.rows("UPDATE log_heads SET epoch = 'another' WHERE session = $1", session)
    assert await log.after_in(session, epoch, 2, 3) == []
    assert await log.before_in(session, epoch, 5, 3) == []
    assert len(await log.after_in(session, "another", 2, 3)) == 3


async def test_records_are_what_was_appended(postgres: Postgres, session: str) -> None:
    log, entry = Log(postgres), chat(session, "é 👍 \\\\ \\n")
    [answer] = await log.append([entry])
    created, posted = await log.after(session, 0, 10)
    assert posted == Record(answer.seq, answer.at, "chat.posted", "bob", str(entry.key), entry.body)
    assert (created.key, created.sender, created.kind) == (None, "alice", "session.created")


def test_rows_without_a_key() -> None:
    assert records([(1, 2, "kind", "sender", None, "{}")]) == [Record(1, 2, "kind", "sender", None, "{}")]


async def test_heads_of_those_sessions_that_exist(postgres: Postgres, session: str) -> None:
    log = Log(postgres)
    await log.append([chat(session)])
    stored = await Sessions(postgres).get(session)
    assert stored is not None
    assert await log.heads([session, str(uuid4())]) == {session: Head(stored.head.epoch, 2)}
    assert await log.heads([]) == {}


async def test_a_log_that_cannot_be_reached() -> None:
    log = Log(Postgres(PoolSettings("postgresql://nowhere/x")))
    with pytest.raises(Unavailable):
        await log.append([chat(str(uuid4()))])


# Partitions


async def spans(postgres: Postgres) -> list[tuple[str, int, int]]:
    """Give each partition's name, and its bounds as times, in order."""
    rows = await postgres.rows(
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'events'::regclass ORDER BY c.relname"
    )
    found = []
    for name, bound in rows:
        first, last = bound.removeprefix("FOR VALUES FROM ('").removesuffix("')").split("') TO ('")
        found.append((name, int(first.replace("-", "")[:12], 16), int(last.replace("-", "")[:12], 16)))
    return found


async def test_partitions_follow_each_other_from_now_to_the_time_asked_for(empty_url: str) -> None:
    await prepare(empty_url)
    async with opened(empty_url) as postgres:
        log = Log(postgres)
        before = await spans(postgres)
        assert await log.add_partitions(DAY_MS, DAY_MS) == 0
        assert await log.add_partitions(DAY_MS, 4 * DAY_MS) == 3
        # Another width goes on where the last one ended.
        assert await log.add_partitions(2 * DAY_MS, 9 * DAY_MS) == 3
        assert await log.add_partitions(DAY_MS, 9 * DAY_MS) == 0
        after = await spans(postgres)
        assert after[: len(before)] == before
        assert before[0][1] <= now_ms() < before[0][2]
        assert all(one[2] == two[1] for one, two in pairwise(after))
        assert [last - first for _, first, last in after] == [DAY_MS] * 5 + [2 * DAY_MS] * 3
        assert all(name == f"events_until_{last}" for name, _, last in after)


async def test_partitions_are_made_once_however_many_ask(empty_url: str) -> None:
    await prepare(empty_url)
    async with opened(empty_url) as one, opened(empty_url) as two:
        before = await spans(one)
        made = await asyncio.gather(*(Log(pool).add_partitions(DAY_MS, 6 * DAY_MS) for pool in [one, two] * 4))
        assert sum(made) == max(made) == len(await spans(one)) - len(before)


async def test_a_session_lies_in_the_partition_of_its_time(postgres: Postgres, session: str) -> None:
    row = await postgres.row("SELECT tableoid::regclass::text FROM events WHERE session = $1", session)
    assert row is not None
    born = int(session.replace("-", "")[:12], 16)
    assert [name for name, first, last in await spans(postgres) if first <= born < last] == [row[0]]


@pytest.mark.parametrize("at", [0, 1, 0xFFF, 1_732_147_200_123, 2**47, 2**48 - 1])
async def test_the_lowest_id_of_a_moment(postgres: Postgres, at: int) -> None:
    row = await postgres.row("SELECT uuid_floor($1)", at)
    assert row is not None
    assert row[0].int == at << 80
    # Whatever the version and the random bits are, an id of that moment is not below, one of the moment before is.
    lowest, highest = UUID(int=(at << 80) | (7 << 76) | (2 << 62)), UUID(int=(at << 80) - 1 if at else 0)
    assert highest.int <= row[0].int < lowest.int


async def test_ids_that_the_database_makes_are_of_their_moment(postgres: Postgres) -> None:
    rows = await postgres.rows(
        "SELECT id >= uuid_floor(at) AND id < uuid_floor(at + 1)"
        " FROM (SELECT uuidv7() AS id FROM generate_series(1, 100))"
        " CROSS JOIN LATERAL (SELECT (extract(epoch FROM uuid_extract_timestamp(id)) * 1000)::bigint AS at)"
    )
    assert [row[0] for row in rows] == [True] * 100


async def test_who_has_written_in_a_session(postgres: Postgres, session: str) -> None:
    log, other = Log(postgres), (await Sessions(postgres).create("alice", "Another show")).id
    await log.append([chat(session), chat(session, sender="eve"), chat(other, sender="zoe")])
    assert await log.writers(session, ["alice", "bob", "zoe", "nobody"]) == {"alice", "bob"}
    assert await log.writers(other, ["alice", "bob", "zoe"]) == {"alice", "zoe"}
    assert await log.writers(session, []) == set()
