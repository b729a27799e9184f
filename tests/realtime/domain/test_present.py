import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from realtime.domain.present import News, Present

LIMIT = 3
GRACE = 5.0
USERS = st.sampled_from(["alice", "bob", "dan", "eve", "zoe"])
# The clients apply what is told here, and check the same lists.
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "audience.json").read_text())["told"]


def told(present: Present, there: list[str] | None, now: float) -> News | None:
    """Give what is told of this, if anything is."""
    present.see(there, now)
    return present.tell(now) if present.due(now) else None


def test_the_list_comes_as_a_whole_and_then_in_changes() -> None:
    present = Present(LIMIT, GRACE)
    assert present.told is None
    assert told(present, ["bob", "alice"], 0) == News(present=["alice", "bob"])
    assert told(present, ["bob", "alice"], 0) is None
    assert told(present, ["bob", "alice", "eve"], 0) == News(joined=["eve"], left=[])
    assert present.told == ["alice", "bob", "eve"]


def test_a_leave_is_told_after_the_grace() -> None:
    present = Present(LIMIT, GRACE)
    told(present, ["alice", "bob"], 0)
    assert told(present, ["alice"], 10) is None
    assert present.waiting
    assert told(present, ["alice"], 14.9) is None
    assert present.due(15)
    assert present.tell(15) == News(joined=[], left=["bob"])
    assert not present.waiting


def test_who_is_back_within_the_grace_has_not_left() -> None:
    present = Present(LIMIT, GRACE)
    told(present, ["alice", "bob"], 0)
    assert told(present, ["alice"], 10) is None
    assert told(present, ["alice", "bob"], 14) is None
    assert not present.waiting
    # And gets a whole grace the next time.
    assert told(present, ["alice"], 14) is None
    assert not present.due(18.9)
    assert told(present, ["alice"], 19) == News(joined=[], left=["bob"])


def test_above_the_limit_there_is_no_list_and_below_it_there_is_a_new_one() -> None:
    present = Present(LIMIT, GRACE)
    told(present, ["alice", "bob", "eve"], 0)
    assert told(present, ["alice", "bob", "dan", "eve"], 1) == News()
    assert present.told is None
    assert told(present, None, 2) is None
    assert told(present, ["alice", "dan"], 3) == News(present=["alice", "dan"])


def test_too_many_at_once_is_no_list() -> None:
    present = Present(LIMIT, GRACE)
    assert told(present, None, 0) is None
    assert present.told is None


def test_who_waits_to_be_told_is_bounded() -> None:
    present = Present(LIMIT, GRACE)
    told(present, ["a1", "a2", "a3"], 0)
    assert told(present, ["b1", "b2"], 1) == News(joined=["b1", "b2"], left=[])
    assert told(present, ["c1", "c2"], 2) == News(joined=["c1", "c2"], left=["a1", "a2"])
    assert present.told == ["a3", "b1", "b2", "c1", "c2"]


class PresentMachine(RuleBasedStateMachine):
    """Clients who apply what is told, and what they should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.present = Present(LIMIT, GRACE)
        self.there: set[str] = set()
        self.left_at: dict[str, float] = {}
        self.held: set[str] | None = None
        self.now = 0.0

    @rule(users=st.sets(USERS))
    def change(self, users: set[str]) -> None:
        for user in self.there - users:
            self.left_at[user] = self.now
        self.there = users
        self.present.see(sorted(users) if len(users) <= LIMIT else None, self.now)

    @rule(seconds=st.sampled_from([0.5, GRACE]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def tell(self) -> None:
        if not self.present.due(self.now):
            return
        news = self.present.tell(self.now)
        if news.present is not None:
            self.held = set(news.present)
        elif news.joined is None or news.left is None:
            self.held = None
        else:
            assert self.held is not None
            assert not self.held & set(news.joined)
            assert set(news.left) <= self.held
            self.held = (self.held | set(news.joined)) - set(news.left)
        assert not self.present.due(self.now)

    @rule()
    def settle(self) -> None:
        self.change(self.there)
        self.tell()
        self.now += GRACE
        self.tell()
        assert self.held == (self.there if len(self.there) <= LIMIT else None)
        assert not self.present.waiting

    @invariant()
    def agrees(self) -> None:
        assert self.present.told == (None if self.held is None else sorted(self.held))
        if self.held is not None and not self.present.due(self.now):
            assert self.there <= self.held
            assert len(self.held - self.there) <= LIMIT
            # Nobody is on it who has been away for long.
            assert all(self.now - self.left_at[user] < GRACE for user in self.held - self.there)


TestPresent = PresentMachine.TestCase


@given(st.lists(st.sets(USERS, max_size=LIMIT), min_size=2, max_size=2))
def test_without_a_pause_nobody_is_told_to_have_left(seen: list[set[str]]) -> None:
    present = Present(LIMIT, GRACE)
    told(present, sorted(seen[0]), 0)
    news = told(present, sorted(seen[1]), 0)
    assert news is None or news == News(joined=sorted(seen[1] - seen[0]), left=[])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_what_clients_are_told(vector: dict[str, Any]) -> None:
    present = Present(vector["limit"], vector["grace"])
    for step in vector["steps"]:
        news = told(present, step["there"], step["at"])
        tells = news and {kind: users for kind, users in msgspec.structs.asdict(news).items() if users is not None}
        assert (tells, present.told) == (step["tells"], step["list"])
