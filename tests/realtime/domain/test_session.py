from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.session import TRANSITIONS, Action, State, apply, decide
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.events import Kind, SessionBody
from realtime.protocol.replies import SessionView

SCHEDULED, LIVE, PAUSED, ENDED = State.SCHEDULED, State.LIVE, State.PAUSED, State.ENDED
START, PAUSE, RESUME, END = Action.START, Action.PAUSE, Action.RESUME, Action.END

LEGAL = {
    (SCHEDULED, START): (LIVE, "session.started"),
    (LIVE, PAUSE): (PAUSED, "session.paused"),
    (PAUSED, RESUME): (LIVE, "session.resumed"),
    (SCHEDULED, END): (ENDED, "session.ended"),
    (LIVE, END): (ENDED, "session.ended"),
    (PAUSED, END): (ENDED, "session.ended"),
}
NEW = SessionView(id="s", host="h", title="t", state="scheduled", version=1, created_at=5)


@pytest.mark.parametrize(("state", "action"), list(product(State, Action)))
def test_every_action_in_every_state(state: State, action: Action) -> None:
    if (state, action) in LEGAL:
        step = decide(state, action)
        assert (step.to, step.kind) == LEGAL[state, action]
        return
    with pytest.raises(Refusal) as refused:
        decide(state, action)
    assert (refused.value.code, refused.value.state) == (Code.CONFLICT, state)


def test_every_state_can_end_and_none_can_follow() -> None:
    assert {state for state, action in TRANSITIONS if action is END} == set(State) - {ENDED}


def run(actions: list[Action]) -> list[tuple[str, int, SessionBody]]:
    """Carry out what is legal of `actions` on a new session; give the events: kind, at and body of each."""
    state = SCHEDULED
    events: list[tuple[str, int, SessionBody]] = []
    for action in actions:
        if (state, action) in LEGAL:
            state, kind = LEGAL[state, action]
            events.append((kind, 100 + len(events), SessionBody(state, 2 + len(events))))
    return events


ACTIONS = st.lists(st.sampled_from(Action), max_size=8)


@given(actions=ACTIONS)
def test_the_snapshot_follows_the_events(actions: list[Action]) -> None:
    view, events = NEW, run(actions)
    for kind, at, body in events:
        view = apply(view, kind, at, body)
    times = {kind: at for kind, at, _ in events}
    assert view.version == 1 + len(events)
    assert view.state == (events[-1][2].state if events else "scheduled")
    assert view.started_at == times.get("session.started")
    assert view.ended_at == times.get("session.ended")
    assert (view.id, view.host, view.title, view.created_at) == ("s", "h", "t", 5)


@given(actions=ACTIONS, data=st.data())
def test_events_that_come_again_change_nothing(actions: list[Action], data: st.DataObject) -> None:
    once = again = NEW
    seen = []
    for event in run(actions):
        once = apply(once, *event)
        seen.append(event)
        for repeated in [event, *data.draw(st.lists(st.sampled_from(seen), max_size=3))]:
            again = apply(again, *repeated)
        assert again == once


def test_the_creation_of_a_session_is_in_its_snapshot_already() -> None:
    assert apply(NEW, Kind.SESSION_CREATED, 5, SessionBody("scheduled", 1)) is NEW
