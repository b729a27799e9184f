"""Numbers are asked for in batches, one at a time, and each once for however many ask."""

import asyncio
from collections.abc import Sequence

import pytest

from persistence.errors import Rejected, Unavailable
from realtime.numbers import Numbers, Who
from realtime.settings import Settings
from realtime.tasks import Tasks

SESSION = "0192f0c8-1111-7abc-8def-0123456789ab"


class Store:
    """Gives numbers when it is let; `wrong` users are refused, and while it is `away` all."""

    def __init__(self, **settings: int) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.away: Exception | None = None
        self.wrong = ""
        self.numbers = Numbers(self._numbers_of, Tasks(), Settings(**settings))  # type: ignore[arg-type] # each is of its own type

    async def _numbers_of(self, of: Sequence[Who]) -> list[int]:
        users = [user for _, user in of]
        self.batches.append(users)
        await self.gate.wait()
        if self.away is not None:
            raise self.away
        if set(users) & set(self.wrong):
            raise Rejected("no such session")
        return [ord(user) for user in users]

    async def get(self, user: str) -> int:
        return await self.numbers.get((SESSION, user))

    async def get_all(self, users: str) -> list[int | BaseException]:
        asking = [asyncio.create_task(self.get(user)) for user in users]
        await asyncio.sleep(0)
        self.gate.set()
        return await asyncio.gather(*asking, return_exceptions=True)


async def test_a_number_is_asked_for_once_for_all_who_ask() -> None:
    store = Store()
    store.gate.clear()
    asking = [asyncio.create_task(store.get(user)) for user in "ab" * 10]
    await asyncio.sleep(0)
    asking[0].cancel()
    store.gate.set()
    given = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(given[0], asyncio.CancelledError)
    assert given[1:] == [98, *[97, 98] * 9]
    assert (await store.get("a"), store.numbers.known((SESSION, "c"))) == (97, None)
    assert store.batches == [["a", "b"]]


async def test_who_comes_while_others_are_asked_for_is_asked_for_next_in_batches() -> None:
    store = Store(batch_size=3)
    store.gate.clear()
    first = asyncio.create_task(store.get("z"))
    for _ in range(2):
        await asyncio.sleep(0)
    assert await store.get_all("gfedcbaz") == [*b"gfedcbaz"]
    assert await first == ord("z")
    # In order, so that two nodes that ask for the same ones do not wait for each other.
    assert store.batches == [["z"], ["e", "f", "g"], ["b", "c", "d"], ["a"]]


async def test_a_number_that_could_not_be_had_is_asked_for_again() -> None:
    store = Store(batch_size=2)
    for away in (Unavailable("away"), ValueError("a defect")):
        store.batches.clear()
        store.away = away
        # Who waits behind them has no better prospects, and is not kept.
        assert await store.get_all("abcde") == [away] * 5
        assert store.batches == [["a", "b"]]
        store.away = None
        assert await store.get_all("ab") == [97, 98]
        store.numbers._known.clear()


async def test_whoever_is_refused_holds_up_no_other() -> None:
    store = Store()
    store.wrong = "b"
    given = await store.get_all("abc")
    assert (given[0], given[2]) == (97, 99)
    assert isinstance(given[1], Rejected)
    with pytest.raises(Rejected):
        await store.get("b")


async def test_no_more_are_remembered_than_is_set() -> None:
    store = Store(agora_cache=2)
    for user in "abacab":
        await store.get(user)
    # Who was asked for the longest ago has gone.
    assert store.batches == [["a"], ["b"], ["c"], ["b"]]
