from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from realtime.domain.audience import Change, Difference, Roster

USERS = st.sampled_from(["alice", "bob", "eve"])


def change(connections: int, **lists: list[str]) -> Change:
    """Give a change in which nothing is said but this."""
    nothing: dict[str, list[str]] = {"entered": [], "left": [], "began": [], "stopped": [], "posted": []}
    return Change(connections=connections, **{**nothing, **lists})


class RosterMachine(RuleBasedStateMachine):
    """A roster, the connections that it should count, and a store that hears of nothing but changes."""

    def __init__(self) -> None:
        super().__init__()
        self.roster = Roster()
        self.connections: dict[str, str] = {}
        # Until when each connection is believed to play.
        self.playing: dict[str, int] = {}
        self.channel: set[str] = set()
        self.posted: set[str] = set()
        self.now = 0
        self.next = 0
        self.stored: set[str] = set()
        self.stored_watching: set[str] = set()
        self.stored_chatters: set[str] = set()

    @property
    def users(self) -> set[str]:
        return set(self.connections.values())

    @property
    def watching(self) -> set[str]:
        return {self.connections[connection] for connection in self.playing} | self.channel

    @rule(user=USERS)
    def enter(self, user: str) -> None:
        self.roster.enter(user)
        self.next += 1
        self.connections[f"c{self.next}"] = user

    @precondition(lambda self: self.connections)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        connection = data.draw(st.sampled_from(sorted(self.connections)))
        self.playing.pop(connection, None)
        self.roster.leave(self.connections.pop(connection), connection)
        self.channel &= self.users

    @precondition(lambda self: self.connections)
    @rule(data=st.data())
    def play(self, data: st.DataObject) -> None:
        connection = data.draw(st.sampled_from(sorted(self.connections)))
        user = self.connections[connection]
        assert self.roster.play(user, connection, self.now + 3) is (user not in self.watching)
        self.playing[connection] = self.now + 3

    @precondition(lambda self: self.connections)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        connection = data.draw(st.sampled_from(sorted(self.connections)))
        before = self.watching
        self.playing.pop(connection, None)
        assert self.roster.stop(connection) == next(iter(before - self.watching), None)

    @rule(user=USERS)
    def join_channel(self, user: str) -> None:
        begins = user in self.users and user not in self.watching
        assert self.roster.join_channel(user) is begins
        self.channel |= {user} & self.users

    @rule(user=USERS)
    def leave_channel(self, user: str) -> None:
        assert self.roster.leave_channel(user) is (user in self.watching)
        self.channel.discard(user)
        # What it has reported before counts no more.
        self.playing = {c: until for c, until in self.playing.items() if self.connections[c] != user}

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        before = self.watching
        self.playing = {connection: until for connection, until in self.playing.items() if until > self.now}
        assert set(self.roster.expire(self.now)) == before - self.watching

    @rule(user=USERS)
    def post(self, user: str) -> None:
        assert self.roster.post(user) is (user in self.users and user not in self.posted)
        if user in self.users:
            self.posted.add(user)

    @rule()
    def write(self) -> None:
        self._store(self.roster.take())
        assert self.roster.take() == change(len(self.connections))

    @rule()
    def write_anew(self) -> None:
        self.roster.forget()
        self.stored, self.stored_watching, self.stored_chatters = set(), set(), set()
        told = self.roster.take()
        assert told.left == told.stopped == []
        self._store(told)

    def _store(self, told: Change) -> None:
        for come, gone, stored in (
            (told.entered, told.left, self.stored),
            (told.began, told.stopped, self.stored_watching),
            (told.posted, [], self.stored_chatters),
        ):
            assert not set(come) & stored
            assert set(gone) <= stored
            assert len(set(come)) == len(come)
            assert len(set(gone)) == len(gone)
            stored.update(come)
            stored.difference_update(gone)
        # As whoever stores it does.
        self.stored_chatters.difference_update(told.left)
        self.posted &= self.users
        assert self.stored == self.users
        assert self.stored_watching == self.watching
        assert self.stored_chatters == self.posted
        assert told.connections == len(self.connections)

    @invariant()
    def counts(self) -> None:
        assert self.roster.users == len(self.users)
        assert self.roster.names() == sorted(self.users)
        assert self.roster.connections == len(self.connections)
        assert self.roster.watching == len(self.watching)
        assert self.roster.chatters == len(self.posted & self.users)
        for user in ("alice", "bob", "eve"):
            assert (user in self.roster) is (user in self.users)


TestRoster = RosterMachine.TestCase


def test_a_user_who_came_and_went_in_between_is_never_written() -> None:
    roster = Roster()
    roster.enter("alice")
    roster.play("alice", "c", 1)
    roster.post("alice")
    roster.leave("alice", "c")
    assert roster.take() == change(0)


def test_a_user_who_went_and_came_in_between_stays_written_and_a_chatter() -> None:
    roster = Roster()
    roster.enter("alice")
    roster.post("alice")
    roster.take()
    roster.leave("alice", "c")
    roster.enter("alice")
    assert roster.take() == change(1)
    assert roster.chatters == 1


def test_who_has_gone_is_no_chatter_also_before_that_is_written() -> None:
    roster = Roster()
    roster.enter("alice")
    roster.post("alice")
    roster.leave("alice", "c")
    assert (roster.connections, roster.users, roster.chatters) == (0, 0, 0)


def test_a_second_connection_is_no_second_user() -> None:
    roster = Roster()
    roster.enter("alice")
    roster.enter("alice")
    assert roster.take() == change(2, entered=["alice"])
    roster.leave("alice", "c")
    assert roster.take() == change(1)
    roster.leave("alice", "d")
    assert roster.take() == change(0, left=["alice"])


def test_who_reports_again_is_believed_for_longer() -> None:
    roster = Roster()
    for user in ("alice", "bob"):
        roster.enter(user)
        roster.play(user, user, 30)
    roster.play("alice", "alice", 50)
    assert roster.expire(29.9) == []
    assert roster.expire(30) == ["bob"]
    assert roster.expire(50) == ["alice"]
    assert roster.watching == 0


@given(users=st.lists(USERS))
def test_who_never_came_cannot_leave(users: list[str]) -> None:
    roster = Roster()
    for user in users:
        roster.enter(user)
    with pytest.raises(KeyError):
        roster.leave("a stranger", "c")
    assert (roster.connections, roster.users) == (len(users), len(Counter(users)))


def test_what_is_taken_out_and_was_never_in_changes_nothing() -> None:
    difference = Difference()
    difference.discard("alice")
    assert difference.take() == ([], [])
