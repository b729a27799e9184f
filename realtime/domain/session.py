"""A session's lifecycle: one table says which transitions there are, another which timers run in each state.

scheduled ──start──▶ live ◀─pause/resume─▶ paused
    │                 │ ▲                   ▲ │
    │           interrupt return       return interrupt
    │                 ▼ │                   │ ▼
    │               interrupted (keeps which of them it was)
    └───end─────end───┴──────────end──────────┘──▶ ended (final)
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import UNSET, Struct, structs

from realtime.domain.session_settings import applied
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.events import Kind, SessionBody
from realtime.protocol.replies import MediaClock, SessionView

# The role of those who were not named for another.
VIEWER: Final = "viewer"


class State(StrEnum):
    """Where a session stands."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


class Action(StrEnum):
    """What can be done with a session: the first four by its host, the others by the server."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    END = "end"
    INTERRUPT = "interrupt"
    RETURN = "return"


COMMANDS: Final = (Action.START, Action.PAUSE, Action.RESUME, Action.END)


class Timer(StrEnum):
    """What is limited in time, each by a limit of the same name; LOST and VIDEO by the grace."""

    SCHEDULED = "scheduled"
    PAUSED = "paused"
    AWAY = "away"
    LONGEST = "longest"
    EMPTY = "empty"
    LOST = "lost"
    VIDEO = "video"


class Reason(StrEnum):
    """Why the server has moved a session."""

    NEVER_STARTED = "never_started"
    PAUSED_TOO_LONG = "paused_too_long"
    HOST_AWAY = "host_away"
    TOO_LONG = "too_long"
    NOBODY_THERE = "nobody_there"
    HOST_LOST = "host_lost"
    HOST_LEFT_CHANNEL = "host_left_channel"
    HOST_RETURNED = "host_returned"


class Step(Struct, frozen=True):
    """A legal transition: the state that follows, and the event that tells of it."""

    to: State
    kind: Kind


_END: Final = Step(State.ENDED, Kind.SESSION_ENDED)
_RESUME: Final = Step(State.LIVE, Kind.SESSION_RESUMED)
_INTERRUPT: Final = Step(State.INTERRUPTED, Kind.SESSION_INTERRUPTED)

TRANSITIONS: Final[Mapping[tuple[State, Action], Step]] = {
    (State.SCHEDULED, Action.START): Step(State.LIVE, Kind.SESSION_STARTED),
    (State.LIVE, Action.PAUSE): Step(State.PAUSED, Kind.SESSION_PAUSED),
    (State.PAUSED, Action.RESUME): _RESUME,
    (State.LIVE, Action.INTERRUPT): _INTERRUPT,
    (State.PAUSED, Action.INTERRUPT): _INTERRUPT,
    (State.INTERRUPTED, Action.RESUME): _RESUME,
    (State.SCHEDULED, Action.END): _END,
    (State.LIVE, Action.END): _END,
    (State.PAUSED, Action.END): _END,
    (State.INTERRUPTED, Action.END): _END,
}
# What tells that a command was carried out.
KINDS: Final[Mapping[Action, Kind]] = {action: step.kind for (_, action), step in TRANSITIONS.items()}
# The way back from an interruption, by the state before it.
RETURNS: Final[Mapping[str | None, Step]] = {
    State.LIVE: _RESUME,
    State.PAUSED: Step(State.PAUSED, Kind.SESSION_RESUMED),
}

# The timers that run in each state. Those that ran before and are not named stop.
TIMERS: Final[Mapping[State, frozenset[Timer]]] = {
    State.SCHEDULED: frozenset([Timer.SCHEDULED]),
    State.LIVE: frozenset([Timer.LOST, Timer.LONGEST, Timer.EMPTY]),
    State.PAUSED: frozenset([Timer.LOST, Timer.LONGEST, Timer.PAUSED]),
    State.INTERRUPTED: frozenset([Timer.AWAY, Timer.LONGEST]),
    State.ENDED: frozenset(),
}

# What is done when a timer is due, and why.
DUE: Final[Mapping[Timer, tuple[Action, Reason]]] = {
    Timer.SCHEDULED: (Action.END, Reason.NEVER_STARTED),
    Timer.PAUSED: (Action.END, Reason.PAUSED_TOO_LONG),
    Timer.AWAY: (Action.END, Reason.HOST_AWAY),
    Timer.LONGEST: (Action.END, Reason.TOO_LONG),
    Timer.EMPTY: (Action.END, Reason.NOBODY_THERE),
    Timer.LOST: (Action.INTERRUPT, Reason.HOST_LOST),
    Timer.VIDEO: (Action.INTERRUPT, Reason.HOST_LEFT_CHANNEL),
}


def decide(state: State, action: Action, former: str | None = None) -> Step:
    """Give the step that `action` makes from `state`, before which there was `former`, if it is an interruption.

    Raises:
        Refusal: `conflict`, with the state, where the table has no such transition.
    """
    returning = state is State.INTERRUPTED and action is Action.RETURN
    step = RETURNS.get(former) if returning else TRANSITIONS.get((state, action))
    if step is None:
        raise Refusal(Code.CONFLICT, f"cannot {action} a session that is {state}", state=state)
    return step


def apply(view: SessionView, kind: str, at: int, media_ms: int, body: SessionBody) -> SessionView:
    """Give the snapshot as it stands after a `session.*` event; an old event changes nothing.

    The event is of the moment `at`, when the session's clock showed `media_ms`.
    """
    if body.version <= view.version:
        return view
    if body.changes is not UNSET:
        view = applied(view, body.changes)
    if body.user is not UNSET and body.role is not UNSET:
        view = structs.replace(view, members=named(view.members, body.user, body.role))
    moved = structs.replace(
        view,
        state=body.state,
        version=body.version,
        reason=body.reason,
        ends_at=body.ends_at,
        started_at=at if kind == Kind.SESSION_STARTED else view.started_at,
        ended_at=at if kind == Kind.SESSION_ENDED else view.ended_at,
    )
    if body.state == view.state:
        return moved
    return structs.replace(moved, since=at, media=MediaClock(media_ms, at, running=body.state == State.LIVE))


def named(members: Mapping[str, str], user: str, role: str) -> dict[str, str]:
    """Give whom the host has named after one more: whoever is a viewer again is none of them."""
    others = {member: was for member, was in members.items() if member != user}
    return others if role == VIEWER else {**others, user: role}
