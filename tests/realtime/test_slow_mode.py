"""How turns are asked for: in few goes, and alone where nobody answers."""

import asyncio
from collections.abc import Sequence

import pytest

from persistence.errors import StorageError, Unavailable
from persistence.turns import HELD, TAKEN, Wish
from realtime import slow_mode
from realtime.settings import Settings
from realtime.slow_mode import SlowMode
from realtime.tasks import Tasks

HOUR = 3_600_000


class Scripted:
    """Stands for Redis, for moments that a real one would not show reliably; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Wish]] = []
        self.answer: asyncio.Event = asyncio.Event()
        self.fails: BaseException | None = None

    async def take(self, wishes: Sequence[Wish]) -> list[int | StorageError]:
        self.asked.append(wishes)
        await self.answer.wait()
        if isinstance(self.fails, StorageError):
            return [self.fails] * len(wishes)
        if self.fails is not None:
            raise self.fails
        return [TAKEN] * len(wishes)

    async def forget(self, session: str) -> None:
        self.forgotten = session


def made(turns: Scripted, most: int = 100) -> SlowMode:
    return SlowMode(turns, Tasks(), Settings(slow_turns=most))  # type: ignore[arg-type] # what is used of it


async def test_what_comes_meanwhile_is_asked_next_in_one_go() -> None:
    turns = Scripted()
    slow = made(turns)
    asking = [asyncio.create_task(slow.take("s", f"u{n}", "k", HOUR)) for n in range(slow_mode.BATCH + 51)]
    while not turns.asked:  # noqa: ASYNC110 - it begins with the loop's next rounds
        await asyncio.sleep(0)
    slow.give_back("s", "u0", "k")
    turns.answer.set()
    assert await asyncio.gather(*asking) == [TAKEN] * (slow_mode.BATCH + 51)
    counts = [len(wishes) for wishes in turns.asked]
    assert sum(counts) >= slow_mode.BATCH + 51
    assert len(counts) <= 3
    assert max(counts) <= slow_mode.BATCH
    # What is given back comes after what was asked for before.
    assert [wish for wishes in turns.asked for wish in wishes][-1] == Wish("s", "u0", "k", 0)


async def test_without_an_answer_a_node_counts_its_own_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Scripted()
    turns.answer.set()
    turns.fails = Unavailable("away")
    slow = made(turns)
    assert await slow.take("s", "bob", "first", HOUR) == TAKEN
    assert await slow.take("s", "bob", "first", HOUR) == HELD
    assert HOUR - 5000 < await slow.take("s", "bob", "second", HOUR) <= HOUR
    # Nobody else was asked.
    assert len(turns.asked) == 1
    slow.give_back("s", "bob", "second")
    slow.give_back("s", "bob", "first")
    assert await slow.take("s", "bob", "second", HOUR) == TAKEN
    turns.fails = None
    monkeypatch.setattr(slow_mode, "monotonic", lambda: 1e12)
    assert await slow.take("s", "bob", "third", HOUR) == TAKEN


async def test_only_so_many_are_remembered() -> None:
    turns = Scripted()
    turns.answer.set()
    turns.fails = Unavailable("away")
    slow = made(turns, most=2)
    for user in ("a", "b", "c"):
        assert await slow.take("s", user, "k1", HOUR) == TAKEN
    assert await slow.take("s", "b", "k2", HOUR) > 0
    assert await slow.take("s", "a", "k2", HOUR) == TAKEN


async def test_a_session_is_forgotten() -> None:
    turns = Scripted()
    turns.answer.set()
    turns.fails = Unavailable("away")
    slow = made(turns)
    for session in ("s", "t"):
        assert await slow.take(session, "bob", "k1", HOUR) == TAKEN
    await slow.forget("s")
    assert turns.forgotten == "s"
    assert await slow.take("s", "bob", "k2", HOUR) == TAKEN
    assert await slow.take("t", "bob", "k2", HOUR) > 0


async def test_a_defect_leaves_nobody_waiting() -> None:
    turns = Scripted()
    turns.answer.set()
    turns.fails = ZeroDivisionError()
    slow = made(turns)
    async with asyncio.timeout(5):
        assert await slow.take("s", "bob", "first", HOUR) == TAKEN
        turns.fails = None
        assert await slow.take("s", "eve", "first", HOUR) == TAKEN


async def test_one_who_stops_waiting_takes_nothing_from_the_others() -> None:
    turns = Scripted()
    slow = made(turns)
    gone, stays = (asyncio.create_task(slow.take("s", user, "k", HOUR)) for user in ("bob", "eve"))
    while not turns.asked:  # noqa: ASYNC110 - it begins with the loop's next rounds
        await asyncio.sleep(0)
    gone.cancel()
    turns.answer.set()
    assert await stays == TAKEN
