"""Sessions in Postgres: created, found, moved from state to state, and hosted."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, json

from persistence.errors import Rejected
from persistence.log import Head, Record, record_of, records
from persistence.postgres import Postgres


class Span(Struct, frozen=True, gc=False):
    """A time that a session has spent in one state, until the next one begins.

    `media_ms` is what the session's clock showed when it began, after that change of the session which made it
    this `version`.
    """

    version: int
    state: str
    began: int
    media_ms: int


class Session(Struct, frozen=True, kw_only=True):
    """A session as stored, with the head of its log at the same moment. Times are milliseconds.

    `settings` is JSON; `members` are those whom the host has named, and their roles.
    """

    id: str
    host: str
    title: str
    state: str
    version: int
    created_at: int
    started_at: int | None
    ended_at: int | None
    reason: str | None
    former: str | None
    ends_at: int | None
    spans: list[Span]
    settings: str = "{}"
    members: dict[str, str] = {}
    head: Head


class Outcome(StrEnum):
    """What became of a transition; the migration that defines `move_session` explains each."""

    NEW = "new"
    REPEAT = "repeat"
    CONFLICT = "conflict"
    STALE = "stale"
    DISPLACED = "displaced"
    FENCED = "fenced"
    MISSING = "missing"


class Standing(Struct, frozen=True):
    """Where a session stands: what a transition depends on."""

    id: str
    version: int
    state: str
    former: str | None


class Timer(Struct, frozen=True):
    """A timer that a node has taken because it is due; the last one that took it has the highest `term`.

    With it comes where the session stood then: what a transition depends on.
    """

    session: str
    kind: str
    term: int
    late_ms: int
    version: int
    state: str
    former: str | None


class Move(Struct, frozen=True, kw_only=True):
    """A transition of a session that has `version`: the state and the timers that follow, and its event.

    `by` a user or the server, for a `reason`, under a `key` of the sender's own. With `term` only while that is the
    term of the session's host; with `timer` only while that is due, and nobody else's.
    """

    session: str
    version: int
    to: str
    kind: str
    by: str
    timers: Collection[str]
    key: UUID | None = None
    reason: str | None = None
    term: int | None = None
    timer: Timer | None = None


class Moved(Struct, frozen=True):
    """What became of a transition: its event, and the epoch of the log that it was appended to, where there are any."""

    outcome: Outcome
    epoch: str = ""
    event: Record | None = None


class Host(Struct, frozen=True):
    """A connection that hosts a session, and the node that has it."""

    session: str
    connection: str
    member: str
    device: str | None = None


class Hosted(Struct, frozen=True):
    """What became of a host's connection: whether the session is run from it, in which term, and the session's state.

    `event`, in `epoch`, tells everyone where that was taken from another connection.
    """

    state: str
    hosting: bool
    term: int
    epoch: str
    event: Record | None


class Renewed(Struct, frozen=True):
    """Of the sessions whose hosts were renewed, those that are interrupted all the same, and those that have ended."""

    interrupted: list[str] = []
    ended: frozenset[str] = frozenset()


NO_LIMITS: Final[Mapping[str, int]] = {"grace": 0}
# What is read of a session; whoever selects adds which.
SELECT: Final = """
    SELECT s.id, s.host, s.title, s.state, s.version, s.created_at, s.started_at, s.ended_at, s.reason, s.former,
           ends_at(s.id), ARRAY(SELECT (p.version, p.state, p.began, p.media_ms) FROM spans p
                                 WHERE p.session = s.id ORDER BY p.version),
           s.settings, (SELECT jsonb_object_agg(m.member, m.role) FROM members m WHERE m.session = s.id),
           h.epoch, h.seq
      FROM sessions s JOIN log_heads h ON h.session = s.id
"""


_MOVE: Final = """
    SELECT m.outcome, m.epoch, m.seq, m.at, m.kind, m.sender, m.key, m.body
      FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[],
                  $8::integer[], $9::text[], $10::text[], $11::bigint[]) WITH ORDINALITY
           AS i (session, version, target, kind, sender, key, reason, term, timers, timer, timer_term, ordinal),
           LATERAL move_session(i.session, i.version, i.target, i.kind, i.sender, i.key, i.reason, i.term,
                                string_to_array(i.timers, ','), i.timer, i.timer_term) m
     ORDER BY i.ordinal
"""


class Sessions:
    """Create, find, move and host sessions. `lease_ms` is for how long a node's host counts without being renewed."""

    def __init__(self, postgres: Postgres, node: str = "", lease_ms: int = 0) -> None:
        self._postgres = postgres
        self._node = node
        self._lease_ms = lease_ms

    async def create(
        self,
        host: str,
        title: str,
        limits: Mapping[str, int] = NO_LIMITS,
        timers: Collection[str] = (),
        key: UUID | None = None,
        settings: str = "{}",
    ) -> Session:
        """Create a scheduled session with settings, in JSON; its log begins with that.

        `limits` are milliseconds by kind of timer. Under a `key` that the host has used before, gives the session of
        then.

        Raises:
            Rejected: that was created otherwise.
        """
        row = await self._postgres.row(
            "SELECT id, same FROM create_session_with($1, $2, $3, $4, $5, $6)",
            host,
            title,
            key,
            json.encode(limits).decode(),
            list(timers),
            settings,
        )
        assert row is not None
        if not row[1]:
            raise Rejected("the key was used for another session")
        session = await self.get(str(row[0]))
        assert session is not None
        return session

    async def get(self, session: str) -> Session | None:
        """Find a session by its id, which must be a UUID."""
        row = await self._postgres.row(f"{SELECT} WHERE s.id = $1", UUID(session))
        return session_of(row) if row else None

    async def standing(self, session: str) -> Standing | None:
        """Tell where a session stands."""
        row = await self._postgres.row("SELECT version, state, former FROM sessions WHERE id = $1", session)
        return Standing(session, *row) if row else None

    async def move(self, move: Move) -> Moved:
        """Move a session to another state, as an event of its log."""
        [moved] = await self.move_all([move])
        return moved

    async def move_all(self, moves: Sequence[Move]) -> list[Moved]:
        """Move sessions, all in one transaction: in the order of their ids, so that no two wait for each other.

        Raises:
            Unavailable: nobody knows whether any was moved.
            Rejected: none was moved, because of the data of one or more.
        """
        rows = await self._postgres.rows(
            _MOVE,
            [move.session for move in moves],
            [move.version for move in moves],
            [move.to for move in moves],
            [move.kind for move in moves],
            [move.by for move in moves],
            [move.key for move in moves],
            [move.reason for move in moves],
            [move.term for move in moves],
            [",".join(move.timers) for move in moves],
            [move.timer.kind if move.timer else None for move in moves],
            [move.timer.term if move.timer else None for move in moves],
        )
        return [Moved(Outcome(outcome), epoch or "", record_of(event)) for outcome, epoch, *event in rows]

    async def allowed(self, session: str) -> set[str]:
        """Give who may come to a session while it is private, besides those who were named in it."""
        rows = await self._postgres.rows(
            "SELECT member FROM guests WHERE session = $1 AND standing = 'allowed'", session
        )
        return {row[0] for row in rows}

    async def done(self, session: str, user: str, key: UUID) -> Record | None:
        """Give what a user has done to a session under a key, if anything."""
        rows = await self._postgres.rows(
            "SELECT seq, at, kind, sender, key, body FROM events WHERE session = $1 AND sender = $2 AND key = $3",
            session,
            user,
            key,
        )
        return records(rows)[0] if rows else None

    async def claim(self, host: Host, *, owner: bool, take: bool = False, key: UUID | None = None) -> Hosted | None:
        """Count a connection among those that host a session, until `renew` fails to come, or `lose` comes.

        The `owner` runs the session from one connection: this one, if there is no other, or the other is of the same
        device; with `take`, whatever there is. Gives nothing where the session doesn't exist, or has ended.
        """
        rows = await self._postgres.rows(
            "SELECT state, hosting, term, epoch, seq, at, kind, sender, key, body"
            " FROM host_session($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            host.session,
            host.connection,
            self._node,
            host.member,
            host.device,
            owner,
            take,
            self._lease_ms,
            key,
        )
        if not rows:
            return None
        state, hosting, term, epoch, *event = rows[0]
        return Hosted(state, hosting, term, epoch, record_of(event))

    async def lose(self, session: str, connection: str) -> None:
        """Count a connection of a host no more."""
        await self._postgres.rows("SELECT unhost_session($1, $2)", session, connection)

    async def renew(self, hosts: Collection[Host]) -> Renewed:
        """Count these connections for another lease."""
        rows = await self._postgres.rows(
            "SELECT session, ended FROM renew_hosts($1, $2, $3, $4, $5, $6)",
            self._node,
            self._lease_ms,
            [host.session for host in hosts],
            [host.connection for host in hosts],
            [host.member for host in hosts],
            [host.device for host in hosts],
        )
        return Renewed(
            interrupted=[str(session) for session, ended in rows if not ended],
            ended=frozenset(str(session) for session, ended in rows if ended),
        )

    async def on_video(self, session: str, *, there: bool) -> None:
        """Take note that a host has left the video channel, or is back in it."""
        await self._postgres.rows("SELECT arm_video($1, $2)", session, there)

    async def occupied(self, sessions: Collection[str], beat_ms: int) -> None:
        """Take note, to `beat_ms`, that somebody is in these sessions now."""
        await self._postgres.rows("SELECT renew_empty($1, $2)", list(sessions), beat_ms)

    async def due(self, count: int, hold_ms: int) -> list[Timer]:
        """Take at most `count` timers that are due: for `hold_ms` no other node gets them."""
        rows = await self._postgres.rows(
            "SELECT session, kind, term, late, version, state, former FROM take_timers($1, $2, $3) ORDER BY session",
            count,
            hold_ms,
            self._lease_ms,
        )
        return [Timer(str(session), *rest) for session, *rest in rows]


def session_of(row: Any) -> Session:
    """Read a row of `SELECT`."""
    (
        key,
        host,
        title,
        state,
        version,
        created_at,
        started_at,
        ended_at,
        reason,
        former,
        ends_at,
        spans,
        settings,
        members,
        *head,
    ) = row
    return Session(
        id=str(key),
        host=host,
        title=title,
        state=state,
        version=version,
        created_at=created_at,
        started_at=started_at,
        ended_at=ended_at,
        reason=reason,
        former=former,
        ends_at=ends_at,
        spans=[Span(*span) for span in spans],
        settings=settings,
        members=json.decode(members) if members else {},
        head=Head(*head),
    )
