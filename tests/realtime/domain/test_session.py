from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from realtime.domain.course import Course
from realtime.domain.session import COMMANDS, DUE, KINDS, TIMERS, Action, Reason, State, Timer, apply, decide, named
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.events import Kind, SessionBody
from realtime.protocol.replies import MediaClock, SessionView
from realtime.protocol.session_settings import Change, ChatMode, SessionSettings

SCHEDULED, LIVE, PAUSED, INTERRUPTED, ENDED = State
START, PAUSE, RESUME, END, INTERRUPT, RETURN = Action

LEGAL = {
    (SCHEDULED, START): (LIVE, "session.started"),
    (LIVE, PAUSE): (PAUSED, "session.paused"),
    (PAUSED, RESUME): (LIVE, "session.resumed"),
    (INTERRUPTED, RESUME): (LIVE, "session.resumed"),
    (LIVE, INTERRUPT): (INTERRUPTED, "session.interrupted"),
    (PAUSED, INTERRUPT): (INTERRUPTED, "session.interrupted"),
    (SCHEDULED, END): (ENDED, "session.ended"),
    (LIVE, END): (ENDED, "session.ended"),
    (PAUSED, END): (ENDED, "session.ended"),
    (INTERRUPTED, END): (ENDED, "session.ended"),
}
NEW = SessionView(
    id="s",
    host="h",
    title="t",
    state="scheduled",
    version=1,
    created_at=5,
    since=5,
    media=MediaClock(0, 5, running=False),
)


@pytest.mark.parametrize(("state", "action"), list(product(State, Action)))
def test_every_action_in_every_state(state: State, action: Action) -> None:
    if (state, action) in LEGAL:
        step = decide(state, action)
        assert (step.to, step.kind) == LEGAL[state, action]
        return
    with pytest.raises(Refusal) as refused:
        decide(state, action)
    assert (refused.value.code, refused.value.state) == (Code.CONFLICT, state)


@pytest.mark.parametrize("former", [LIVE, PAUSED])
def test_the_way_back_from_an_interruption_leads_to_the_state_before(former: State) -> None:
    step = decide(INTERRUPTED, RETURN, former)
    assert (step.to, step.kind) == (former, "session.resumed")


@pytest.mark.parametrize(("state", "former"), [(INTERRUPTED, ENDED), (LIVE, PAUSED), (PAUSED, LIVE), (ENDED, LIVE)])
def test_there_is_no_other_way_back(state: State, former: State) -> None:
    with pytest.raises(Refusal):
        decide(state, RETURN, former)


def test_every_state_can_end_and_none_can_follow() -> None:
    assert {state for state, action in LEGAL if action is END} == set(State) - {ENDED}


def test_each_command_makes_events_of_one_kind() -> None:
    for action in COMMANDS:
        assert {kind for (_, of), (_, kind) in LEGAL.items() if of is action} == {KINDS[action]}


@pytest.mark.parametrize(("timer", "state"), [(timer, state) for state in State for timer in sorted(TIMERS[state])])
def test_what_a_timer_does_is_legal_where_it_runs(timer: Timer, state: State) -> None:
    action, _ = DUE[timer]
    assert (state, action) in LEGAL


def test_every_timer_has_a_reason_of_its_own() -> None:
    assert set(DUE) == set(Timer)
    assert {reason for _, reason in DUE.values()} == set(Reason) - {Reason.HOST_RETURNED}
    assert len({reason for _, reason in DUE.values()}) == len(Timer)


def test_every_state_but_the_last_has_a_timer_that_ends_it() -> None:
    ending = {state for state in State if any(DUE[timer][0] is END for timer in TIMERS[state])}
    assert ending == set(State) - {ENDED}
    assert not TIMERS[ENDED]


Turn = tuple[str, int, int, SessionBody]


def run(actions: list[Action]) -> list[Turn]:
    """Carry out what is legal of `actions` on a new session; give its events: kind, at, media_ms and body of each."""
    state, former, course = SCHEDULED, None, Course()
    turns: list[Turn] = []
    for action in actions:
        try:
            step = decide(state, action, former)
        except Refusal:
            continue
        former, state = state, step.to
        number = len(turns)
        course.enter(state, 100 + 7 * number)
        body = SessionBody(state, 2 + number, reason=f"reason {number}", ends_at=1000 + number)
        turns.append((step.kind, 100 + 7 * number, course.media_at(100 + 7 * number), body))
    return turns


ACTIONS = st.lists(st.sampled_from(Action), max_size=12)


@given(actions=ACTIONS)
def test_the_snapshot_follows_the_events(actions: list[Action]) -> None:
    view, turns = NEW, run(actions)
    for turn in turns:
        view = apply(view, *turn)
    times = {kind: at for kind, at, _, _ in turns}
    assert view.version == 1 + len(turns)
    assert view.started_at == times.get("session.started")
    assert view.ended_at == times.get("session.ended")
    assert (view.id, view.host, view.title, view.created_at) == ("s", "h", "t", 5)
    if turns:
        _, at, media_ms, body = turns[-1]
        assert (view.state, view.since, view.reason, view.ends_at) == (body.state, at, body.reason, body.ends_at)
        assert view.media == MediaClock(media_ms, at, running=body.state == LIVE)


@given(actions=ACTIONS, data=st.data())
def test_events_that_come_again_change_nothing(actions: list[Action], data: st.DataObject) -> None:
    once = again = NEW
    seen = []
    for turn in run(actions):
        once = apply(once, *turn)
        seen.append(turn)
        for repeated in [turn, *data.draw(st.lists(st.sampled_from(seen), max_size=3))]:
            again = apply(again, *repeated)
        assert again == once


def test_the_creation_of_a_session_is_in_its_snapshot_already() -> None:
    assert apply(NEW, Kind.SESSION_CREATED, 5, 0, SessionBody("scheduled", 1)) is NEW


def test_a_takeover_changes_neither_the_state_nor_the_clock() -> None:
    live = apply(NEW, Kind.SESSION_STARTED, 10, 0, SessionBody("live", 2, ends_at=99))
    taken = apply(live, Kind.SESSION_TAKEN_OVER, 30, 20, SessionBody("live", 3, ends_at=99, term=4))
    assert taken == structs.replace(live, version=3)


def test_the_snapshot_follows_what_is_set_and_who_is_named() -> None:
    changes = Change(title="Other", chat=ChatMode.NOBODY)
    view = apply(NEW, Kind.SESSION_UPDATED, 7, 0, SessionBody("scheduled", 2, changes=changes))
    assert (view.title, view.settings, view.version) == ("Other", SessionSettings(chat=ChatMode.NOBODY), 2)
    view = apply(view, Kind.SESSION_ROLE, 8, 0, SessionBody("scheduled", 3, user="bob", role="cohost"))
    assert (view.members, view.version, view.started_at) == ({"bob": "cohost"}, 3, None)
    old = SessionBody("scheduled", 3, user="bob", role="viewer")
    assert apply(view, Kind.SESSION_ROLE, 9, 0, old) is view
    assert apply(view, Kind.SESSION_GUESTS, 9, 0, SessionBody("live", 4)).version == 4


def test_who_is_a_viewer_again_was_not_named() -> None:
    members = named(named({}, "bob", "cohost"), "eve", "moderator")
    assert members == {"bob": "cohost", "eve": "moderator"}
    assert named(members, "bob", "moderator") == {"bob": "moderator", "eve": "moderator"}
    assert named(members, "bob", "viewer") == {"eve": "moderator"}
    assert named(members, "zoe", "viewer") == members
