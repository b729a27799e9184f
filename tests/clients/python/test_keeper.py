import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from stagewire_client.errors import StorageError
from stagewire_client.keeper import Keeper
from stagewire_client.outbox import Draft
from stagewire_client.storage import MemoryStorage

DRAFTS = [Draft(key=f"k{number}", written_at=number, number=number) for number in range(3)]


class Slow(MemoryStorage):
    """Takes its time, counts, and may be broken."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.broken = False
        self.begins = asyncio.Event()
        self.begins.set()

    async def put(self, user: str, session: str, draft: Draft) -> None:
        await self._act(f"put {draft.key}")
        await super().put(user, session, draft)

    async def remove(self, user: str, session: str, key: str) -> None:
        await self._act(f"remove {key}")
        await super().remove(user, session, key)

    async def load(self, user: str, session: str) -> list[Draft]:
        await self._act("load")
        return await super().load(user, session)

    async def _act(self, what: str) -> None:
        await self.begins.wait()
        self.done.append(what)
        if self.broken:
            raise StorageError("the disk is full")


@pytest.fixture
async def storage() -> Slow:
    return Slow()


@pytest.fixture
async def keeper(storage: Slow) -> AsyncIterator[Keeper]:
    keeper = Keeper(storage)
    task = asyncio.create_task(keeper.run())
    yield keeper
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_changes_are_written_in_their_order(keeper: Keeper, storage: Slow) -> None:
    for draft in DRAFTS:
        keeper.put("alice", "s", draft)
    await keeper.settled()
    assert await keeper.load("alice", "s") == DRAFTS
    keeper.remove("alice", "s", "k1")
    await keeper.settled()
    assert await keeper.load("alice", "s") == [DRAFTS[0], DRAFTS[2]]


async def test_of_changes_that_wait_the_last_one_counts(keeper: Keeper, storage: Slow) -> None:
    storage.begins.clear()
    keeper.put("alice", "s", DRAFTS[0])
    await asyncio.sleep(0.01)
    for _ in range(100):
        keeper.put("alice", "s", DRAFTS[1])
        keeper.remove("alice", "s", "k1")
    storage.begins.set()
    await keeper.settled()
    assert storage.done == ["put k0", "remove k1"]


async def test_a_broken_storage_is_told_and_stops_nothing(
    keeper: Keeper, storage: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    storage.broken = True
    with caplog.at_level(logging.WARNING, "stagewire_client"):
        keeper.put("alice", "s", DRAFTS[0])
        await keeper.settled()
        assert await keeper.load("alice", "s") == []
    assert [record.message for record in caplog.records] == [
        "a message is kept in memory alone: the disk is full",
        "what was kept is not sent: the disk is full",
    ]
    storage.broken = False
    keeper.put("alice", "s", DRAFTS[1])
    await keeper.settled()
    assert await keeper.load("alice", "s") == [DRAFTS[1]]


async def test_a_storage_may_fail_in_its_own_way(
    keeper: Keeper, storage: Slow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    for name in ("put", "load"):
        monkeypatch.setattr(storage, name, fail)
    with caplog.at_level(logging.WARNING, "stagewire_client"):
        keeper.put("alice", "s", DRAFTS[0])
        await keeper.settled()
        assert await keeper.load("alice", "s") == []
    assert [record.message.split(": ")[1] for record in caplog.records] == ["ZeroDivisionError()"] * 2
    monkeypatch.undo()
    keeper.put("alice", "s", DRAFTS[1])
    await keeper.settled()
    assert await keeper.load("alice", "s") == [DRAFTS[1]]


async def test_what_is_not_written_yet_is_known_all_the_same(keeper: Keeper, storage: Slow) -> None:
    for draft in DRAFTS[:2]:
        keeper.put("alice", "s", draft)
    await keeper.settled()
    storage.begins.clear()
    keeper.remove("alice", "s", "k0")
    await asyncio.sleep(0.01)
    keeper.put("alice", "s", DRAFTS[2])
    keeper.put("alice", "other", DRAFTS[0])
    assert keeper.unwritten == 3
    loading = asyncio.create_task(keeper.load("alice", "s"))
    await asyncio.sleep(0.01)
    storage.begins.set()
    assert await loading == DRAFTS[1:]


async def test_what_changes_while_it_is_written_is_written_again(keeper: Keeper, storage: Slow) -> None:
    storage.begins.clear()
    keeper.put("alice", "s", DRAFTS[0])
    await asyncio.sleep(0.01)
    keeper.remove("alice", "s", "k0")
    storage.begins.set()
    await keeper.settled()
    assert storage.done == ["put k0", "remove k0"]
    assert await keeper.load("alice", "s") == []
