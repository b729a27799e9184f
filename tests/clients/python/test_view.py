from typing import Any

from stagewire_client.messages import Event, Gap, Joined, MediaClock, Position, Signal, Snapshot
from stagewire_client.view import Since, Typists, View

SNAPSHOT = Snapshot(
    id="s", host="host", title="A show", state="live", version=3, created_at=0, since=0,
    media=MediaClock(0, 0, running=True),
)  # fmt: skip
NUMBERS = {"connections": 1, "users": 1, "watching": 0, "chatters": 0}


def event(seq: int, kind: str = "chat.posted", **body: object) -> Event:
    return Event(seq=seq, at=seq, kind=kind, by="bob", session="s", body=body)


def joined(seq: int, *events: Event, **fields: Any) -> Joined:
    filling = {"session": SNAPSHOT, "role": "viewer", "audience": NUMBERS, "complete": True}
    return Joined(**{**filling, "position": Position("a", seq), "events": list(events), **fields})


def view(since: Since | None = None) -> View:
    return View("s", "alice", since, 100)


def test_who_begins_at_the_head_is_given_what_comes_after() -> None:
    seen = view()
    assert (seen.since, seen.timeline.position) == (None, None)
    assert seen.enter(None, joined(7, role="host", hosting=True, present=["alice"])) == []
    assert (seen.since, seen.role, seen.hosting) == (Position("a", 7), "host", True)
    assert seen.audience.present == ("alice",)
    assert seen.merge([event(8)]) == [event(8)]


def test_who_comes_back_is_given_what_was_missed() -> None:
    seen = view(Position("a", 5))
    assert seen.since == Position("a", 5)
    assert seen.enter(seen.since, joined(7, event(6), event(7))) == [event(6), event(7)]
    assert seen.enter(seen.since, joined(8, event(8))) == [event(8)]


def test_who_comes_back_without_a_position_begins_below_what_is_given() -> None:
    seen = view("last")
    assert seen.enter("last", joined(7, event(6), event(7))) == [event(6), event(7)]
    assert seen.timeline.oldest == 6


def test_what_cannot_be_given_is_a_gap() -> None:
    seen = view(Position("a", 5))
    assert seen.enter(seen.since, joined(2000, complete=False)) == [Gap(6, 2000)]
    assert seen.enter(seen.since, joined(3000, complete=False)) == [Gap(2001, 3000)]
    assert seen.timeline.position == Position("a", 3000)


def test_of_a_log_that_began_anew_nobody_knows_what_is_missing() -> None:
    seen = view(Position("a", 5))
    assert seen.enter(seen.since, joined(4, complete=False, position=Position("b", 4))) == [Gap()]
    assert seen.enter(Position("b", 9), joined(4, complete=False, position=Position("b", 4))) == [Gap()]
    assert view("last").enter("last", joined(4, complete=False)) == [Gap()]


def test_a_heartbeat_proves_that_nothing_is_missing_or_says_what_is() -> None:
    seen = view()
    seen.enter(None, joined(7))
    seen.compare(Position("a", 7))
    assert (seen.proven, seen.amiss) == (Position("a", 7), False)
    seen.compare(Position("a", 8))
    assert (seen.proven, seen.amiss) == (Position("a", 7), True)
    seen.merge([event(8)])
    assert not seen.amiss
    seen.compare(Position("b", 1))
    assert (seen.anew, seen.amiss) == (True, True)
    seen.enter(seen.since, joined(1, complete=False, position=Position("b", 1)))
    assert not seen.amiss


def test_events_move_the_snapshot_and_ones_own_role() -> None:
    seen = view()
    seen.enter(None, joined(7))
    seen.merge([event(8, "session.paused", state="paused", version=4)])
    assert seen.snapshot.state == "paused"
    seen.merge([event(9, "session.role", state="paused", version=5, user="bob", role="cohost")])
    assert seen.role == "viewer"
    seen.merge([event(10, "session.role", state="paused", version=6, user="alice", role="moderator")])
    assert seen.role == "moderator"


def test_signals_tell_who_is_there_and_who_types() -> None:
    seen = view()
    seen.signal(Signal(session="s", kind="audience", audience=NUMBERS, present=["bob"]), 0)
    assert seen.audience.present == ("bob",)
    seen.signal(Signal(session="s", kind="typing", users=["alice", "bob"], count=4), 100)
    assert seen.typing(109, 10) == Typists(("bob",), 3, 100)
    assert seen.typing(110, 10) == Typists()
    seen.signal(Signal(session="s", kind="reactions", counts={"heart": 2}), 0)
    assert seen.audience.numbers == NUMBERS
