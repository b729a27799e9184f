from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from realtime.domain.audience import Change, Roster

USERS = st.sampled_from(["alice", "bob", "eve"])


class RosterMachine(RuleBasedStateMachine):
    """A roster, the connections that it should count, and a store that hears of nothing but changes."""

    def __init__(self) -> None:
        super().__init__()
        self.roster = Roster()
        self.connections: Counter[str] = Counter()
        self.stored: set[str] = set()

    @rule(user=USERS)
    def enter(self, user: str) -> None:
        self.roster.enter(user)
        self.connections[user] += 1

    @precondition(lambda self: self.connections)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        user = data.draw(st.sampled_from(sorted(self.connections)))
        self.roster.leave(user)
        self.connections -= Counter([user])

    @rule()
    def write(self) -> None:
        change = self.roster.take()
        assert not set(change.entered) & self.stored
        assert set(change.left) <= self.stored
        assert len(set(change.entered)) == len(change.entered)
        assert len(set(change.left)) == len(change.left)
        self.stored = self.stored.union(change.entered).difference(change.left)
        assert self.stored == set(self.connections)
        assert change.connections == self.connections.total()
        assert self.roster.take() == Change([], [], change.connections)

    @rule()
    def write_anew(self) -> None:
        self.roster.forget()
        self.stored = set()
        change = self.roster.take()
        assert sorted(change.entered) == sorted(self.connections)
        assert change.left == []
        self.stored = set(change.entered)

    @invariant()
    def counts(self) -> None:
        assert self.roster.users == len(self.connections)
        assert self.roster.connections == self.connections.total()
        assert self.roster.written == len(self.stored)


TestRoster = RosterMachine.TestCase


def test_a_user_who_came_and_went_in_between_is_never_written() -> None:
    roster = Roster()
    roster.enter("alice")
    roster.leave("alice")
    assert roster.take() == Change([], [], 0)


def test_a_user_who_went_and_came_in_between_stays_written() -> None:
    roster = Roster()
    roster.enter("alice")
    roster.take()
    roster.leave("alice")
    roster.enter("alice")
    assert roster.take() == Change([], [], 1)


def test_a_second_connection_is_no_second_user() -> None:
    roster = Roster()
    roster.enter("alice")
    roster.enter("alice")
    assert roster.take() == Change(["alice"], [], 2)
    roster.leave("alice")
    assert roster.take() == Change([], [], 1)
    roster.leave("alice")
    assert roster.take() == Change([], ["alice"], 0)


@given(users=st.lists(USERS))
def test_who_never_came_cannot_leave(users: list[str]) -> None:
    roster = Roster()
    for user in users:
        roster.enter(user)
    with pytest.raises(KeyError):
        roster.leave("a stranger")
    assert (roster.connections, roster.users) == (len(users), len(set(users)))
