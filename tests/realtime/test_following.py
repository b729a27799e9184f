"""What a node remembers of who follows whom."""

import pytest

from realtime import following
from realtime.following import Following
from realtime.settings import Settings


class Asked:
    """Stands for Postgres; keeps what it was asked."""

    def __init__(self) -> None:
        self.pairs: set[tuple[str, str]] = set()
        self.asked = 0

    async def follows(self, host: str, user: str) -> bool:
        self.asked += 1
        return (host, user) in self.pairs

    async def change(self, host: str, add: list[str], remove: list[str]) -> None:
        self.pairs = self.pairs | {(host, user) for user in add} - {(host, user) for user in remove}


async def test_an_answer_is_remembered_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(following, "monotonic", lambda: now)
    postgres = Asked()
    known = Following(postgres, Settings(followers_ms=30_000))  # type: ignore[arg-type] # what is used of it
    postgres.pairs.add(("ann", "bob"))
    assert known.known("ann", "bob") is None
    for user, follows, seconds in (("bob", True, 30.0), ("eve", False, 1.0)):
        assert await known.follows("ann", user) is follows
        asked, began = postgres.asked, now
        now = began + seconds - 0.01
        assert (await known.follows("ann", user), known.known("ann", user), postgres.asked) == (follows, follows, asked)
        now = began + seconds
        assert known.known("ann", user) is None
        await known.follows("ann", user)
        assert postgres.asked == asked + 1


async def test_only_so_many_answers_are_remembered() -> None:
    known = Following(Asked(), Settings(followers_cache=2))  # type: ignore[arg-type] # likewise
    for user in ("a", "b", "a", "c"):
        await known.follows("ann", user)
    assert [known.known("ann", user) for user in ("a", "b", "c")] == [None, False, False]


async def test_what_is_changed_here_is_not_remembered_otherwise() -> None:
    postgres = Asked()
    known = Following(postgres, Settings())  # type: ignore[arg-type] # likewise
    assert not await known.follows("ann", "bob")
    await known.change("ann", ["bob"], [])
    assert await known.follows("ann", "bob")
    await known.change("ann", [], ["bob"])
    assert known.known("ann", "bob") is None
    assert await known.ask("ann", "bob") is (("ann", "bob") in postgres.pairs)
