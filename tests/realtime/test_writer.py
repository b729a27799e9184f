"""The writer, on a real Postgres."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from uuid import UUID, uuid4

import psutil
import pytest
from msgspec import structs

from persistence.log import Appended, Entry, Log, Outcome, Record
from persistence.postgres import PoolSettings, Postgres
from persistence.sessions import Sessions
from realtime import writer as writer_module
from realtime.protocol.codes import Code, Refusal
from realtime.settings import Settings
from realtime.writer import FILL, RETRY_MS, Answer, Pending, Writer
from tests.support.databases import connected
from tests.support.relay import relayed
from tests.support.sessions import move
from tests.support.waiting import until

DAY_MS = 86_400_000
ONE_LANE = Settings(batch_lanes=1, batch_size=8)
IMPATIENT = Settings(batch_lanes=1, batch_size=8, send_timeout=0.3)


class Watched(Log):
    """A log that remembers the size of each batch, and tells when the first one comes."""

    def __init__(self, postgres: Postgres) -> None:
        super().__init__(postgres)
        self.batches: list[int] = []
        self.begun = asyncio.Event()

    async def append(self, entries: Sequence[Entry], patience: float | None = None) -> list[Appended]:
        """Remember, and append."""
        self.batches.append(len(entries))
        self.begun.set()
        return await super().append(entries, patience)


class Desk:
    """A writer, and what it answered and published, in order."""

    def __init__(self, postgres: Postgres, settings: Settings = ONE_LANE, log: Log | None = None) -> None:
        self.log = log or Log(postgres)
        self.writer = Writer(self.log, self._publish, settings)
        self.answers: dict[int, Answer] = {}
        self.published: dict[str, list[Record]] = {}
        self.happened: list[str] = []

    def submit(self, entry: Entry) -> int:
        """Submit an entry, and give the number of its answer."""
        number = len(self.answers)
        # Taken already, so that numbers go on while answers are awaited.
        self.answers[number] = Refusal(Code.INTERNAL, "not answered yet")

        def answer(result: Answer) -> None:
            self.answers[number] = result
            self.happened.append(f"answer {number}")

        self.writer.submit(Pending(entry, answer))
        return number

    async def ask(self, *entries: Entry) -> list[Answer]:
        """Submit entries together, and give their answers."""
        numbers = [self.submit(entry) for entry in entries]
        await self.writer.drain()
        return [self.answers[number] for number in numbers]

    def _publish(self, session: str, epoch: str, records: list[Record]) -> None:
        assert epoch
        self.published.setdefault(session, []).extend(records)
        self.happened.append("publish")


@asynccontextmanager
async def pooled(settings: PoolSettings) -> AsyncIterator[Postgres]:
    """Open a pool, and close it."""
    pool = Postgres(settings)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def held(url: str, session: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Hold a session's log, so that appends to it wait, until that is let go of."""
    async with connected(url) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT FROM log_heads WHERE session = $1 FOR UPDATE", session)
        yield transaction.commit


@pytest.fixture
async def postgres(migrated: str) -> AsyncIterator[Postgres]:
    pool = Postgres(PoolSettings(migrated, connections=4))
    await pool.open()
    await Log(pool).add_partitions(7 * DAY_MS, 7 * DAY_MS)
    yield pool
    await pool.close()


@pytest.fixture
async def session(postgres: Postgres) -> str:
    return (await Sessions(postgres).create("alice", "A show")).id


def chat(session: str, text: str = "hi", key: UUID | None = None, sender: str = "bob") -> Entry:
    return Entry(session, sender, key or uuid4(), "chat.posted", f'{{"text":"{text}"}}')


def codes(answers: list[Answer]) -> list[str | int]:
    """Give the seq of what is in the log, and the code of what is not."""
    return [answer.code.value if isinstance(answer, Refusal) else answer.seq for answer in answers]


def outcomes(answers: list[Answer]) -> list[str]:
    return [answer.outcome if isinstance(answer, Appended) else answer.code for answer in answers]


async def texts(postgres: Postgres, session: str) -> list[str]:
    return [record.body for record in await Log(postgres).after(session, 1, 1000)]


async def test_entries_are_answered_when_they_are_durable_and_then_published(postgres: Postgres, session: str) -> None:
    desk = Desk(postgres)
    first, second = chat(session, "one"), chat(session, "two")
    answers = await desk.ask(first, second)
    assert outcomes(answers) == ["new", "new"]
    assert desk.happened == ["answer 0", "answer 1", "publish"]
    stored = await Log(postgres).after(session, 1, 10)
    assert [(record.seq, record.at) for record in stored] == [
        (answer.seq, answer.at) for answer in answers if isinstance(answer, Appended)
    ]
    assert [(r.seq, r.at, r.kind, r.sender, r.key) for r in desk.published[session]] == [
        (r.seq, r.at, r.kind, r.sender, r.key) for r in stored
    ]
    assert [record.body for record in desk.published[session]] == [first.body, second.body]


async def test_what_arrives_together_is_appended_together(postgres: Postgres, session: str) -> None:
    log = Watched(postgres)
    desk = Desk(postgres, log=log)
    for _ in range(20):
        desk.submit(chat(session))
    assert desk.writer.queued == 20
    await desk.writer.drain()
    assert log.batches == [8, 8, 4]
    assert desk.writer.queued == 0
    assert codes(list(desk.answers.values())) == list(range(2, 22))


async def test_what_arrives_during_an_append_makes_the_next_batch(postgres: Postgres, session: str) -> None:
    log = Watched(postgres)
    desk = Desk(postgres, log=log)
    desk.submit(chat(session))
    await log.begun.wait()
    for _ in range(3):
        desk.submit(chat(session))
    await desk.writer.drain()
    assert log.batches == [1, 3]


async def test_a_lane_rests_and_works_again(postgres: Postgres, session: str) -> None:
    desk = Desk(postgres)
    await desk.writer.drain()
    assert codes(await desk.ask(chat(session))) == [2]
    await desk.writer.drain()
    assert codes(await desk.ask(chat(session))) == [3]


async def test_a_key_repeated_within_a_batch_is_appended_once(postgres: Postgres, session: str) -> None:
    desk = Desk(postgres)
    key = uuid4()
    same, other, between = chat(session, "same", key), chat(session, "other", key), chat(session, "between")
    answers = await desk.ask(same, same, other, between, same, chat(session, "same", key, sender="eve"))
    assert outcomes(answers) == ["new", "repeat", "conflict", "new", "repeat", "new"]
    assert codes(answers) == [2, 2, "conflict", 3, 2, 4]
    assert [record.seq for record in desk.published[session]] == [2, 3, 4]
    assert len(await texts(postgres, session)) == 3


async def test_nothing_but_repetitions_of_one_key(postgres: Postgres, session: str) -> None:
    log = Watched(postgres)
    desk = Desk(postgres, log=log)
    entry = chat(session)
    assert codes(await desk.ask(*[entry] * 5)) == [2] * 5
    assert log.batches == [1] * 5


async def test_the_same_key_later_gets_the_first_answer_and_another_body_a_conflict(
    postgres: Postgres, session: str
) -> None:
    desk, key = Desk(postgres), uuid4()
    [first] = await desk.ask(chat(session, "one", key))
    assert isinstance(first, Appended)
    again = Entry(session, "bob", key, "chat.posted", '{ "text" : "one" }')
    repeated, conflict, other_kind = await desk.ask(
        again, chat(session, "two", key), Entry(session, "bob", key, "chat.edited", again.body)
    )
    assert repeated == Appended(Outcome.REPEAT, first.seq, first.at, first.epoch)
    assert isinstance(conflict, Refusal)
    assert conflict.code is Code.CONFLICT
    assert isinstance(other_kind, Refusal)
    assert len(desk.published[session]) == 1


async def test_ended_and_unknown_sessions(postgres: Postgres, session: str) -> None:
    desk, entry = Desk(postgres), chat(session)
    assert codes(await desk.ask(entry)) == [2]
    await move(postgres, session, 1, "ended", "session.ended")
    answers = await desk.ask(chat(session), chat(str(uuid4())), entry)
    assert codes(answers) == ["conflict", "not_found", 2]
    assert isinstance(answers[0], Refusal)
    assert answers[0].state == "ended"


async def test_the_queue_is_bounded(postgres: Postgres, session: str) -> None:
    desk = Desk(postgres, Settings(batch_lanes=1, batch_queue=3))
    entries = [chat(session) for _ in range(4)]
    for entry in entries[:3]:
        desk.submit(entry)
    with pytest.raises(Refusal) as refused:
        desk.submit(entries[3])
    assert (refused.value.code, refused.value.retry_after_ms) == (Code.UNAVAILABLE, RETRY_MS)
    await desk.writer.drain()
    assert codes(await desk.ask(entries[3])) == [5]


async def test_a_full_lane_leaves_the_others_open(postgres: Postgres) -> None:
    desk = Desk(postgres, Settings(batch_lanes=2, batch_queue=4))
    crowded, other = str(uuid4()), str(uuid4())
    for _ in range(2):
        desk.submit(chat(crowded))
    with pytest.raises(Refusal):
        desk.submit(chat(crowded))
    assert codes(await desk.ask(chat(other))) == ["not_found"]


async def test_a_session_that_was_in_a_crowded_lane_is_bound_to_it_no_more(postgres: Postgres, session: str) -> None:
    log = Watched(postgres)
    desk = Desk(postgres, Settings(batch_lanes=2, batch_queue=128, batch_size=8), log)
    quiet = (await Sessions(postgres).create("alice", "Another show")).id
    first = desk.submit(chat(quiet))
    for _ in range(16):
        desk.submit(chat(session))
    while len(log.batches) < 2:  # noqa: ASYNC110 - nothing else tells that the first batch is stored
        await asyncio.sleep(0)
    # The crowd goes on, and fills its lane.
    crowded = next(lane for lane in desk.writer._lanes if session in lane.sessions)
    while crowded.queued < 64:
        desk.submit(chat(session))
    with pytest.raises(Refusal):
        desk.submit(chat(session))
    second = desk.submit(chat(quiet))
    assert [session in lane.sessions for lane in desk.writer._lanes] == [True, False]
    await desk.writer.drain()
    assert codes([desk.answers[first], desk.answers[second]]) == [2, 3]


async def test_quiet_sessions_share_an_append(postgres: Postgres) -> None:
    desk = Desk(postgres, Settings(batch_lanes=4))
    for _ in range(FILL):
        desk.submit(chat(str(uuid4())))
    assert [lane.queued for lane in desk.writer._lanes] == [FILL, 0, 0, 0]
    await desk.writer.drain()


async def test_a_log_that_somebody_holds_keeps_no_other_session_waiting(
    migrated: str, postgres: Postgres, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "STUCK_SECONDS", 0)
    other = (await Sessions(postgres).create("alice", "Another show")).id
    log = Watched(postgres)
    desk = Desk(postgres, Settings(batch_lanes=2), log)
    async with held(migrated, session) as release:
        held_up = desk.submit(chat(session))
        await log.begun.wait()
        answered = desk.submit(chat(other))
        await until(lambda: f"answer {answered}" in desk.happened, within=2)
        assert desk.happened == [f"answer {answered}", "publish"]
        await release()
    await desk.writer.drain()
    assert codes([desk.answers[held_up], desk.answers[answered]]) == [2, 2]
    # What is over holds up nobody.
    assert not any(lane.stuck for lane in desk.writer._lanes)


async def test_busy_sessions_share_the_lanes_evenly_and_each_stays_in_its_own(postgres: Postgres) -> None:
    desk = Desk(postgres, Settings(batch_lanes=4))
    sessions = [str(uuid4()) for _ in range(8)]
    for session in sessions:
        for _ in range(FILL):
            desk.submit(chat(session))
    lanes = desk.writer._lanes
    assert [len(lane.sessions) for lane in lanes] == [2] * 4
    for session in sessions:
        desk.submit(chat(session))
        assert sum(session in lane.sessions for lane in lanes) == 1
    await desk.writer.drain()
    # What is over binds nobody.
    assert not any(lane.sessions for lane in lanes)


POISON: dict[str, Callable[[str], Entry]] = {
    "a NUL in the body": lambda session: Entry(session, "bob", uuid4(), "chat.posted", '{"text":"\\u0000"}'),
    "a bare NUL": lambda session: chat(session, sender="b\x00b"),
    "a surrogate escaped in the body": lambda session: Entry(session, "bob", uuid4(), "chat.posted", '"\\ud800"'),
    "a surrogate": lambda session: chat(session, sender="\ud800"),
    "no JSON": lambda session: Entry(session, "bob", uuid4(), "chat.posted", "{"),
    "no session id": lambda _: chat("x"),
    "too large an age": lambda session: Entry(session, "bob", uuid4(), "chat.posted", "{}", age=2**63),
    "too small an age": lambda session: Entry(session, "bob", uuid4(), "chat.posted", "{}", age=-(2**63)),
    "a number without end": lambda session: Entry(
        session, "bob", uuid4(), "chat.posted", '{"n":' + "9" * 200_000 + "}"
    ),
    "too deep a body": lambda session: Entry(session, "bob", uuid4(), "chat.posted", "[" * 50_000 + "]" * 50_000),
    "a name too long for the index": lambda session: chat(session, sender=Random(7).randbytes(9000).hex()),
    "no kind": lambda session: Entry(session, "bob", uuid4(), None, "{}"),  # type: ignore[arg-type] # that is the point
    "a body that is no text": lambda session: Entry(session, "bob", uuid4(), "chat.posted", b"{}"),  # type: ignore[arg-type] # likewise
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
async def test_an_entry_that_cannot_be_stored_fails_alone(
    postgres: Postgres, session: str, poison: Callable[[str], Entry]
) -> None:
    for at in (0, 3, 7):
        desk = Desk(postgres)
        head = (await Log(postgres).heads([session]))[session].seq
        entries = [chat(session, f"{n}") for n in range(8)]
        entries[at] = poison(session)
        seqs: list[str | int] = list(range(head + 1, head + 8))
        assert codes(await desk.ask(*entries)) == [*seqs[:at], "bad_request", *seqs[at:]]
        assert [record.seq for record in desk.published[session]] == seqs


async def test_several_bad_entries_fail_alone_and_what_follows_them_is_appended(
    postgres: Postgres, session: str
) -> None:
    desk = Desk(postgres)
    bad = POISON["a NUL in the body"]
    answers = await desk.ask(*[bad(session) if n in (0, 1, 5, 7, 9) else chat(session) for n in range(11)])
    found = codes(answers)
    assert [n for n, code in enumerate(found) if code == "bad_request"] == [0, 1, 5, 7, 9]
    assert [code for code in found if code != "bad_request"] == list(range(2, 8))


async def test_each_session_keeps_the_order_of_arrival(postgres: Postgres) -> None:
    desk = Desk(postgres, Settings(batch_lanes=4, batch_size=16))
    sessions = [(await Sessions(postgres).create("alice", "A show")).id for _ in range(6)]
    submitted: dict[str, list[str]] = {session: [] for session in sessions}
    for n in range(300):
        session = sessions[n * n % 6]
        entry = Entry(session, f"user{n % 7}", uuid4(), "chat.posted", f'{{"text": "{n}"}}')
        desk.submit(entry)
        submitted[session].append(entry.body)
        if n % 50 == 0:
            await asyncio.sleep(0)
    await desk.writer.drain()
    for session in sessions:
        assert await texts(postgres, session) == submitted[session]
        assert [record.body for record in desk.published.get(session, [])] == submitted[session]


async def test_a_client_that_leaves_cancels_no_write(postgres: Postgres, session: str) -> None:
    desk = Desk(postgres)

    async def client() -> None:
        desk.submit(chat(session))
        await asyncio.sleep(10)

    task = asyncio.create_task(client())
    await asyncio.sleep(0)
    task.cancel()
    await desk.writer.drain()
    assert codes(list(desk.answers.values())) == [2]


def unavailable(answers: list[Answer]) -> bool:
    return all(
        isinstance(answer, Refusal) and answer.code is Code.UNAVAILABLE and answer.retry_after_ms == RETRY_MS
        for answer in answers
    )


async def test_a_database_that_goes_away_is_unavailable_until_it_is_back(migrated: str, session: str) -> None:
    async with relayed(migrated) as relay:
        pool = Postgres(PoolSettings(relay.url, connections=1))
        await pool.open()
        desk = Desk(pool)
        entries = [chat(session) for _ in range(10)]
        await relay.cut()
        assert unavailable(await desk.ask(*entries))
        assert desk.published == {}
        await relay.listen()
        assert codes(await desk.ask(*entries)) == list(range(2, 12))
        await pool.close()


async def test_a_network_that_swallows_everything_is_not_waited_for_long(migrated: str, session: str) -> None:
    async with relayed(migrated) as relay, pooled(PoolSettings(relay.url, connections=1)) as pool:
        desk, entry = Desk(pool, IMPATIENT), chat(session)
        relay.freeze()
        async with asyncio.timeout(1):
            assert unavailable(await desk.ask(entry))
        relay.thaw()
        # Nobody knows whether it was appended: the same key again tells.
        assert codes(await desk.ask(entry)) == [2]


async def test_a_log_that_somebody_holds_is_not_waited_for_long(migrated: str, session: str) -> None:
    async with pooled(PoolSettings(migrated, connections=1)) as pool, held(migrated, session) as release:
        desk, entry = Desk(pool, IMPATIENT), chat(session)
        began = time.monotonic()
        assert unavailable(await desk.ask(entry))
        assert time.monotonic() - began < 0.5
        await release()
        assert codes(await desk.ask(entry)) == [2]


async def test_all_that_waits_is_refused_with_the_batch_that_failed(migrated: str, session: str) -> None:
    async with relayed(migrated) as relay, pooled(PoolSettings(relay.url, failures=99)) as pool:
        log = Watched(pool)
        desk = Desk(pool, IMPATIENT, log)
        entries = [chat(session, f"{n}") for n in range(30)]
        relay.freeze()
        began = time.monotonic()
        assert unavailable(await desk.ask(*entries))
        assert time.monotonic() - began < 0.5
        assert log.batches == [8]
        relay.thaw()
        # Sent again in their order, they get their places in that order, whatever became of the first batch.
        assert codes(await desk.ask(*entries)) == list(range(2, 32))
        assert await texts(pool, session) == [entry.body.replace(":", ": ") for entry in entries]


async def test_who_has_waited_for_long_is_refused_without_being_tried(migrated: str, session: str) -> None:
    async with pooled(PoolSettings(migrated)) as pool, held(migrated, session) as release:
        desk = Desk(pool, Settings(batch_lanes=1, batch_size=2, send_timeout=0.6))
        for _ in range(5):
            desk.submit(chat(session))
        await asyncio.sleep(0.4)
        desk.submit(chat(session))
        await release()
        await desk.writer.drain()
        # The first batch was on its way; the last one has come only just now.
        assert codes(list(desk.answers.values())) == [2, 3, "unavailable", "unavailable", "unavailable", 4]
        assert len(await texts(pool, session)) == 3


async def test_a_batch_that_must_be_taken_apart_has_no_more_time_than_another(migrated: str, session: str) -> None:
    async with pooled(PoolSettings(migrated)) as pool:
        desk = Desk(pool, Settings(batch_lanes=1, batch_size=64, send_timeout=0.05))
        bad = POISON["a NUL in the body"]
        began = time.monotonic()
        answers = await desk.ask(*[bad(session) if n % 2 else chat(session) for n in range(64)])
        assert time.monotonic() - began < 0.3
        # Some may have been settled in time, in order; from some point on nothing is tried any more.
        found = codes(answers)
        first = found.index("unavailable") if "unavailable" in found else 64
        assert set(found[first:]) <= {"unavailable"}
        assert set(found[1:first:2]) <= {"bad_request"}


async def test_refusals_say_when_the_database_is_tried_again(migrated: str, session: str) -> None:
    async with relayed(migrated) as relay, pooled(PoolSettings(relay.url, failures=1, pause=30.0)) as pool:
        desk = Desk(pool)
        await relay.cut()
        assert unavailable(await desk.ask(chat(session)))
        began = time.monotonic()
        [answer] = await desk.ask(chat(session))
        assert time.monotonic() - began < 0.05
        assert isinstance(answer, Refusal)
        assert answer.retry_after_ms is not None
        assert 29_000 < answer.retry_after_ms <= 30_100


async def test_an_append_that_was_given_up_may_still_come_and_changes_nothing(migrated: str, session: str) -> None:
    """The server has the first attempt in hand, stopped, while the client sends everything again."""
    async with pooled(PoolSettings(migrated, connections=2)) as pool:
        desk = Desk(pool, IMPATIENT)
        first, second = chat(session, "first"), chat(session, "second")
        await desk.ask(chat(session, "to warm up"))
        row = await pool.row("SELECT pg_backend_pid()")
        assert row is not None
        backend = psutil.Process(row[0])
        backend.suspend()
        try:
            assert unavailable(await desk.ask(first, second))
            assert codes(await desk.ask(first, second)) == [3, 4]
        finally:
            backend.resume()
        # It wakes, finds what it was sent, and only then that nobody is there.
        await asyncio.to_thread(backend.wait, 5)
        assert codes(await desk.ask(second, chat(session, "third"), first)) == [4, 5, 3]
        assert await texts(pool, session) == [f'{{"text": "{t}"}}' for t in ("to warm up", "first", "second", "third")]


async def test_an_append_that_was_given_up_may_also_come_first(migrated: str, session: str) -> None:
    """The first attempt waits for the log, still, when the second one begins to."""
    async with pooled(PoolSettings(migrated, connections=2)) as pool, held(migrated, session) as release:
        impatient, desk = Desk(pool, IMPATIENT), Desk(pool)
        first, second = chat(session, "first"), chat(session, "second")
        assert unavailable(await impatient.ask(first))
        again = asyncio.create_task(desk.ask(first, second))
        await asyncio.sleep(0.05)
        await release()
        assert codes(await again) == [2, 3]
        assert len(await texts(pool, session)) == 2


async def test_who_is_tired_of_the_drain_cancels_no_write(migrated: str, session: str) -> None:
    async with pooled(PoolSettings(migrated)) as pool, held(migrated, session) as release:
        desk = Desk(pool)
        number = desk.submit(chat(session))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await desk.writer.drain()
        await release()
        await desk.writer.drain()
        assert codes([desk.answers[number]]) == [2]


async def test_whoever_cannot_take_an_answer_keeps_it_from_nobody_else(postgres: Postgres, session: str) -> None:
    desk = Desk(postgres, Settings(batch_lanes=1, batch_size=2))

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    desk.writer.submit(Pending(chat(session), fail))
    assert codes(await desk.ask(chat(session), chat(session))) == [3, 4]
    assert [record.seq for record in desk.published[session]] == [2, 3, 4]
    broken = Writer(Log(postgres), fail, ONE_LANE)
    answers: list[Answer] = []
    broken.submit(Pending(chat(session), answers.append))
    await broken.drain()
    assert codes(answers) == [5]


class Broken(Log):
    """A log with a mistake in it."""

    async def append(self, entries: Sequence[Entry], patience: float | None = None) -> list[Appended]:  # noqa: ARG002 - the log's interface
        """Fail as only a mistake of ours does."""
        raise ZeroDivisionError


async def test_a_mistake_of_ours_is_answered_too(postgres: Postgres, session: str) -> None:
    answers = await Desk(postgres, log=Broken(postgres)).ask(chat(session), chat(session))
    assert codes(answers) == ["internal", "internal"]


async def test_what_waits_keeps_the_moment_at_which_it_happened(postgres: Postgres, session: str) -> None:
    desk = Desk(postgres)
    now = time.monotonic()
    entries = [chat(session), chat(session), chat(session)]
    answers: list[Answer] = []
    for entry, age, since in zip(entries, (1000, 1000, 0), (now, now - 0.4, now - 0.4), strict=True):
        desk.writer.submit(Pending(structs.replace(entry, age=age), answers.append, since))
    await desk.writer.drain()
    one, waited, new = [answer.at for answer in answers if isinstance(answer, Appended)]
    assert abs(one - waited - 400) <= 1
    # What was not written offline belongs to the moment when it is stored.
    assert new - one >= 1000
