"""Sessions are created and moved: decided by the table, done by a conditional update, told by the log."""

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from msgspec import UNSET, Struct, json, structs, to_builtins

from persistence.errors import Rejected
from persistence.log import Record
from persistence.sessions import Move, Moved, Outcome, Session, Sessions, Standing, Timer
from realtime.domain import access
from realtime.domain.access import May
from realtime.domain.session import DUE, KINDS, TIMERS, Action, Reason, State, Step, decide
from realtime.domain.session import Timer as Kind
from realtime.domain.session_settings import Bounds, merge, wanted
from realtime.feed import role_of
from realtime.feeds import Feeds
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.refusals import contended, key_used, no_such_session
from realtime.protocol.session_settings import Change, SessionSettings
from realtime.protocol.text import clean
from realtime.settings import Settings
from realtime.telemetry import metrics
from tokens.access import Identity

# A session that two hosts fight over is moved by someone else each time; three tries settle it.
ATTEMPTS: Final = 3
# Who moves sessions whose time is up. No user can have this name.
SERVER: Final = "@server"


class Wish(Struct, frozen=True):
    """What someone wants of a session; with `term` only while the host runs it from that device."""

    action: Action
    by: str
    key: UUID | None = None
    reason: str | None = None
    term: int | None = None
    timer: Timer | None = None


class TakenOver(Refusal):
    """The host runs the session from another device."""

    def __init__(self) -> None:
        super().__init__(Code.CONFLICT, "another device hosts this session: take over first")


class Lifecycle:
    """What is done with sessions, by their hosts and by their timers."""

    def __init__(self, sessions: Sessions, feeds: Feeds, settings: Settings) -> None:
        self._bounds = Bounds(settings.title_characters, settings.text_characters)
        self._sessions = sessions
        self._feeds = feeds
        self._settings = settings
        self._limits = limits(settings)
        self._on_end: list[Callable[[str], None]] = []

    def on_end(self, take: Callable[[str], None]) -> None:
        """Have `take(session)` called for every session that ends here."""
        self._on_end.append(take)

    async def create(self, who: Identity, change: Change, key: UUID | None = None) -> Session:
        """Create a scheduled session that has a title, and is set as `change` says.

        With a `key` that was used before, give the session of then.

        Raises:
            Refusal: `forbidden`; `bad_request` or `too_large` for the title or a setting; `conflict` for the key.
        """
        access.check_create(who.role)
        asked = wanted(change, self._bounds)
        assert asked.title is not UNSET, "nothing is created without a title"
        settings = merge(SessionSettings(), asked)
        stored, limits = json.encode(settings).decode(), self.limits(settings)
        timers = TIMERS[State.SCHEDULED]
        try:
            return await self._sessions.create(who.user, asked.title, limits, timers, key, stored)
        except Rejected:
            raise key_used() from None

    def limits(self, settings: SessionSettings) -> dict[str, int]:
        """Give the limits of a session: its own, and the server's where it has none."""
        own = {} if settings.limits is UNSET else to_builtins(settings.limits)
        return {**self._limits, **own}

    async def find(self, session: str) -> Session:
        """Find a session.

        Raises:
            Refusal: `not_found`.
        """
        found = await self._sessions.get(session)
        if found is None:
            raise no_such_session()
        return found

    async def move(self, who: Identity, session: str, wish: Wish) -> Record:
        """Carry out what a user wants, and give its event; with a key that was used before, the event of then.

        Raises:
            Refusal: `not_found`, `forbidden`, or `conflict`: with the state that stands in the way, for a key that
                was used for something else, or because another device hosts the session.
        """
        if wish.reason is not None:
            wish = structs.replace(wish, reason=self._clean(wish.reason, self._settings.reason_characters))
        for _ in range(ATTEMPTS):
            found = await self.find(session)
            may = May.END if wish.action is Action.END else May.RUN
            access.check(may, role_of(found, who), State(found.state))
            try:
                step = decide(State(found.state), wish.action, found.former)
            except Refusal:
                if event := await self.done(session, wish):
                    return event
                raise
            if event := _event(await self._move(found, step, wish)):
                return event
        raise contended()

    async def done(self, session: str, wish: Wish) -> Record | None:
        """Give the event of a wish that was carried out before, by its key.

        Raises:
            Refusal: `conflict`, the key was used for something else.
        """
        event = await self._sessions.done(session, wish.by, wish.key) if wish.key else None
        if event is not None and event.kind != KINDS[wish.action]:
            raise key_used()
        return event

    async def settle_all(self, timers: Sequence[Timer]) -> list[Timer]:
        """Do what is due, all at once; give those of which that was still to be done.

        What cannot be done at once, because a session has changed meanwhile, is due still.

        Raises:
            StorageError: all of it is due still.
        """
        steps = [(timer, step) for timer in timers if (step := _step(timer))]
        moves = [_move_of(timer.session, timer.version, step, _wish_of(timer)) for timer, step in steps]
        moved = await self._sessions.move_all(moves)
        for move, one in zip(moves, moved, strict=True):
            self._tell(move, one)
        return [timer for (timer, _), one in zip(steps, moved, strict=True) if one.outcome is Outcome.NEW]

    async def settle(self, timer: Timer) -> bool:
        """Do what is due; tell whether it was still to be done.

        Raises:
            StorageError: it is due still.
        """
        return await self._do(timer.session, _wish_of(timer))

    async def come_back(self, session: str, host: str) -> bool:
        """End an interruption: a host is there again. Tell whether there was one.

        Raises:
            StorageError
        """
        return await self._do(session, Wish(Action.RETURN, host, reason=Reason.HOST_RETURNED))

    async def _do(self, session: str, wish: Wish) -> bool:
        """Carry out what follows from what has happened, unless something else has happened since."""
        for _ in range(ATTEMPTS):
            found = await self._sessions.standing(session)
            if found is None:
                return False
            try:
                step = decide(State(found.state), wish.action, found.former)
            except Refusal:
                return False
            moved = await self._move(found, step, wish)
            if moved.outcome is not Outcome.STALE:
                return moved.outcome is Outcome.NEW
        return False

    async def _move(self, found: Session | Standing, step: Step, wish: Wish) -> Moved:
        move = _move_of(found.id, found.version, step, wish)
        moved = await self._sessions.move(move)
        self._tell(move, moved)
        return moved

    def _tell(self, move: Move, moved: Moved) -> None:
        if moved.outcome is not Outcome.NEW:
            return
        assert moved.event is not None
        metrics.TRANSITIONS.labels(move.kind, move.reason if move.by == SERVER else "user").inc()
        self._feeds.committed(move.session, moved.epoch, [moved.event])
        if move.to == State.ENDED:
            for take in self._on_end:
                take(move.session)

    def _clean(self, text: str, limit: int) -> str:
        return clean(text, max_characters=limit, max_bytes=4 * limit)


def _wish_of(timer: Timer) -> Wish:
    action, reason = DUE[Kind(timer.kind)]
    return Wish(action, SERVER, reason=reason, timer=timer)


def _step(timer: Timer) -> Step | None:
    """Give the step that a timer makes from where its session stood, if there is one."""
    try:
        return decide(State(timer.state), DUE[Kind(timer.kind)][0], timer.former)
    except Refusal:
        return None


def _move_of(session: str, version: int, step: Step, wish: Wish) -> Move:
    return Move(
        session=session,
        version=version,
        to=step.to,
        kind=step.kind,
        timers=TIMERS[step.to],
        by=wish.by,
        key=wish.key,
        reason=wish.reason,
        term=wish.term,
        timer=wish.timer,
    )


def limits(settings: Settings) -> dict[str, int]:
    """Give the limits of a new session: milliseconds by kind of timer, 0 for none."""
    return {
        "grace": int(settings.host_grace * 1000),
        Kind.AWAY: int(settings.host_window * 1000),
        Kind.SCHEDULED: int(settings.scheduled_limit * 1000),
        Kind.PAUSED: int(settings.paused_limit * 1000),
        Kind.LONGEST: int(settings.longest_limit * 1000),
        Kind.EMPTY: int(settings.empty_limit * 1000),
    }


def _event(moved: Moved) -> Record | None:
    """Give the event of what was done, or nothing where the session must be looked at again.

    Raises:
        Refusal
    """
    match moved.outcome:
        case Outcome.CONFLICT:
            raise key_used()
        case Outcome.DISPLACED:
            raise TakenOver
        case Outcome.MISSING:
            raise no_such_session()
    return moved.event
