"""Events told again from Postgres: the merge in SQL says what the pure one says."""

from typing import Any
from uuid import uuid4

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.log import Entry, Log, Outcome, Record
from persistence.postgres import Postgres
from persistence.sessions import Sessions
from realtime.domain import timeline
from realtime.domain.course import Course
from realtime.feed import event_of
from tests.support.chats import NOW, chats

# `session.created` is every log's first event.
FIRST = 2
few = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def append(log: Log, session: str, records: list[Record]) -> list[Record]:
    """Append records in one go, so that only their ages tell their times apart; give them as they are stored."""
    entries = [Entry(session, one.sender, uuid4(), one.kind, one.body, NOW - one.at) for one in records]
    answers = await log.append(entries)
    assert [(answer.outcome, answer.seq) for answer in answers] == [(Outcome.NEW, one.seq) for one in records]
    return [
        msgspec.structs.replace(one, at=answer.at, key=str(entry.key))
        for one, entry, answer in zip(records, entries, answers, strict=True)
    ]


def shown(session: str, records: list[Record]) -> list[Any]:
    return [msgspec.json.decode(msgspec.json.encode(event_of(session, record, Course()))) for record in records]


def merged(session: str, records: list[Record]) -> list[Any]:
    """Tell records again with all that they say of each other, by the pure merge."""
    events = [event_of(session, record, Course()) for record in records]
    facts = [timeline.read(event) for event in events]
    known = timeline.absorb({}, [fact for fact in facts if fact])
    told = [timeline.retell(event, known[fact.seq]) for event, fact in zip(events, facts, strict=True) if fact]
    return [msgspec.json.decode(msgspec.json.encode(event)) for event in told]


@few
@given(chats(FIRST), st.data())
async def test_what_is_told_again_is_what_the_pure_merge_says(
    postgres: Postgres, records: list[Record], data: st.DataObject
) -> None:
    log, session = Log(postgres), (await Sessions(postgres).create("alice", "A show")).id
    cut = data.draw(st.integers(0, len(records)))
    # Read in between: what comes after changes what was told before.
    stored = await append(log, session, records[:cut])
    assert shown(session, await log.after(session, 1, 100)) == merged(session, stored)
    stored += await append(log, session, records[cut:])
    everything = merged(session, stored)
    first, last = sorted(data.draw(st.lists(st.integers(0, 12), min_size=2, max_size=2)))
    page = everything[first:last]
    assert shown(session, await log.after(session, FIRST + first - 1, last - first)) == page
    epoch = (await log.heads([session]))[session].epoch
    before = await log.before_in(session, epoch, FIRST + last, last - first)
    assert shown(session, before)[-len(page) :] == page or not page
    for record, told in zip(stored, everything, strict=True):
        assert shown(session, [await _event(log, session, record.seq)]) == [told]


async def _event(log: Log, session: str, seq: int) -> Record:
    found = await log.event(session, seq)
    assert found is not None
    return found


@few
@given(chats(FIRST))
async def test_the_originals_and_the_changes_are_given_as_they_were_written(
    postgres: Postgres, records: list[Record]
) -> None:
    log, session = Log(postgres), (await Sessions(postgres).create("alice", "A show")).id
    stored = await append(log, session, records)
    for record in stored:
        original = await log.original(session, record.seq)
        assert original is not None
        assert shown(session, [original]) == shown(session, [record])
        about = [one for one in stored if msgspec.json.decode(one.body).get("seq") == record.seq]
        edits = [one for one in about if one.kind == "chat.edited"]
        edits.sort(key=lambda one: (one.at, one.seq), reverse=True)
        deletions = [one for one in about if one.kind == "chat.deleted"]
        for limit in (100, 2, 1, 0):
            changes = await log.changes(session, record.seq, limit)
            assert shown(session, changes[: len(edits[:limit])]) == shown(session, edits[:limit])
            rest = shown(session, changes[len(edits[:limit]) :])
            assert len(rest) == len(deletions[:limit])
            assert all(one in shown(session, deletions) for one in rest)


async def test_what_is_not_there_is_not_given(postgres: Postgres, session: str) -> None:
    log = Log(postgres)
    for seq in (0, 2, 2**53 - 1):
        assert await log.event(session, seq) is None
        assert await log.original(session, seq) is None
        assert await log.changes(session, seq, 100) == []
    assert await log.event(str(uuid4()), 1) is None
