import asyncio
import json
import time
from uuid import UUID, uuid4

import pytest

from persistence.errors import Rejected
from persistence.log import Entry, Log, Outcome, Record
from persistence.postgres import Postgres
from persistence.sessions import Outcome as Moves
from persistence.sessions import Session, Sessions
from tests.persistence.conftest import opened
from tests.support.sessions import move, try_to_move


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def found(postgres: Postgres, session: str) -> Session:
    stored = await Sessions(postgres).get(session)
    assert stored is not None
    return stored


async def test_a_new_session_is_scheduled_and_its_log_says_so(postgres: Postgres) -> None:
    before = now_ms()
    session = await Sessions(postgres).create("alice", "É '; --")
    assert (session.host, session.title, session.state, session.version) == ("alice", "É '; --", "scheduled", 1)
    assert (session.started_at, session.ended_at, session.head.seq) == (None, None, 1)
    assert before <= session.created_at <= now_ms()
    assert UUID(session.id).version == 7
    assert await Sessions(postgres).get(session.id) == session
    [created] = await Log(postgres).after(session.id, 0, 10)
    assert (created.seq, created.at, created.kind, created.sender) == (
        1, session.created_at, "session.created", "alice",
    )  # fmt: skip
    assert json.loads(created.body) == {"state": "scheduled", "version": 1}


async def test_each_log_has_an_epoch_of_its_own(postgres: Postgres) -> None:
    epochs = {(await Sessions(postgres).create("alice", "A show")).head.epoch for _ in range(20)}
    assert len(epochs) == 20
    assert all(1 <= len(epoch) <= 64 for epoch in epochs)


async def test_a_session_that_does_not_exist(postgres: Postgres) -> None:
    assert await Sessions(postgres).get(str(uuid4())) is None
    moved = await try_to_move(postgres, str(uuid4()), 1, "live", "session.started")
    assert moved.outcome is Moves.MISSING


async def test_text_that_cannot_be_stored(postgres: Postgres) -> None:
    with pytest.raises(Rejected):
        await Sessions(postgres).create("alice", "a\x00b")


LIFE = [
    ("live", "session.started"),
    ("paused", "session.paused"),
    ("live", "session.resumed"),
    ("ended", "session.ended"),
]


async def test_every_move_is_an_event_and_the_next_version(postgres: Postgres, session: str) -> None:
    times = {}
    for version, (state, kind) in enumerate(LIFE, 1):
        moved = await try_to_move(postgres, session, version, state, kind)
        record = moved.event
        assert record is not None
        times[kind] = record.at
        assert (record.seq, record.kind, record.sender, record.key) == (version + 1, kind, "alice", None)
        assert json.loads(record.body) == {"state": state, "version": version + 1}
        stored = await found(postgres, session)
        assert moved.epoch == stored.head.epoch
        assert (stored.state, stored.version, stored.head.seq) == (state, version + 1, version + 1)
        assert await Log(postgres).after(session, version, 10) == [record]
    ended = await found(postgres, session)
    assert (ended.started_at, ended.ended_at) == (times["session.started"], times["session.ended"])


async def test_a_move_from_another_version_does_nothing(postgres: Postgres, session: str) -> None:
    before = await found(postgres, session)
    for version in (0, 2):
        moved = await try_to_move(postgres, session, version, "live", "session.started")
        assert moved.outcome is Moves.STALE
    assert await found(postgres, session) == before


async def test_of_many_who_move_a_version_one_does(migrated: str, session: str) -> None:
    async with opened(migrated) as one, opened(migrated) as two:
        moves = [
            try_to_move(pool, session, 1, state, kind, f"user{n}")
            for n, (pool, (state, kind)) in enumerate(zip([one, two] * 4, LIFE * 2, strict=True))
        ]
        records = [moved.event for moved in await asyncio.gather(*moves) if moved.outcome is Moves.NEW]
        assert len(records) == 1
        stored = await found(one, session)
        assert (stored.version, stored.head.seq) == (2, 2)
        assert await Log(one).after(session, 1, 10) == records


async def test_moves_and_messages_share_one_order(migrated: str, session: str) -> None:
    async def talk(pool: Postgres) -> list[int]:
        seqs = []
        for _ in range(15):
            entries = [Entry(session, "bob", uuid4(), "chat.posted", "{}") for _ in range(3)]
            seqs += [answer.seq for answer in await Log(pool).append(entries)]
        return seqs

    async def shift(pool: Postgres) -> list[int]:
        seqs = []
        for version in range(1, 13):
            state, kind = LIFE[1:3][version % 2]
            seqs.append((await move(pool, session, version, state, kind)).seq)
        return seqs

    async with opened(migrated) as one, opened(migrated) as two:
        parts = await asyncio.gather(talk(one), talk(two), shift(one))
        assert sorted(seq for part in parts for seq in part) == list(range(2, 2 + 90 + 12))
        stored = await Log(two).after(session, 0, 1000)
        assert [record.seq for record in stored] == list(range(1, 104))
        assert [record.seq for record in stored if record.kind != "chat.posted"] == [1, *parts[2]]


async def test_nothing_follows_the_end(migrated: str, session: str) -> None:
    """Messages that are under way when the session ends are before the end, or refused."""

    async def talk(pool: Postgres) -> None:
        outcome = Outcome.NEW
        while outcome is Outcome.NEW:
            [answer] = await Log(pool).append([Entry(session, "bob", uuid4(), "chat.posted", "{}")])
            outcome = answer.outcome
        assert outcome is Outcome.CLOSED

    async def end(pool: Postgres) -> Record:
        while (await found(pool, session)).head.seq < 10:  # noqa: ASYNC110 - the others write, and tell nobody
            await asyncio.sleep(0)
        return await move(pool, session, 1, "ended", "session.ended")

    async with opened(migrated) as one, opened(migrated) as two:
        _, _, ended = await asyncio.gather(talk(one), talk(two), end(one))
        assert ended is not None
        assert (await Log(one).after(session, 0, 10_000))[-1] == ended
        assert (await found(one, session)).head.seq == ended.seq
