"""A session's lifecycle: one table says which transitions there are.

scheduled ──start──▶ live ◀─pause/resume─▶ paused
    │                 │                      │
    └──────end────────┴─────────end──────────┴──▶ ended (final)
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from realtime.protocol.codes import Code, Refusal
from realtime.protocol.events import Kind, SessionBody
from realtime.protocol.replies import SessionView


class State(StrEnum):
    """Where a session stands."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    PAUSED = "paused"
    ENDED = "ended"


class Action(StrEnum):
    """What its host can do with a session."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    END = "end"


class Step(Struct, frozen=True):
    """A legal transition: the state that follows, and the event that tells of it."""

    to: State
    kind: Kind


TRANSITIONS: Final[dict[tuple[State, Action], Step]] = {
    (State.SCHEDULED, Action.START): Step(State.LIVE, Kind.SESSION_STARTED),
    (State.LIVE, Action.PAUSE): Step(State.PAUSED, Kind.SESSION_PAUSED),
    (State.PAUSED, Action.RESUME): Step(State.LIVE, Kind.SESSION_RESUMED),
    (State.SCHEDULED, Action.END): Step(State.ENDED, Kind.SESSION_ENDED),
    (State.LIVE, Action.END): Step(State.ENDED, Kind.SESSION_ENDED),
    (State.PAUSED, Action.END): Step(State.ENDED, Kind.SESSION_ENDED),
}


def decide(state: State, action: Action) -> Step:
    """Give the step that `action` makes from `state`.

    Raises:
        Refusal: `conflict`, with the state, where the table has no such transition.
    """
    step = TRANSITIONS.get((state, action))
    if step is None:
        raise Refusal(Code.CONFLICT, f"cannot {action} a session that is {state}", state=state)
    return step


def apply(view: SessionView, kind: str, at: int, body: SessionBody) -> SessionView:
    """Give the snapshot as it stands after a `session.*` event of `at`; an old event changes nothing."""
    if body.version <= view.version:
        return view
    return structs.replace(
        view,
        state=body.state,
        version=body.version,
        started_at=at if kind == Kind.SESSION_STARTED else view.started_at,
        ended_at=at if kind == Kind.SESSION_ENDED else view.ended_at,
    )
