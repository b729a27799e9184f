"""Sessions of tests: moved without asking whether that is legal; their courses, and the numbers of users in them."""

from collections.abc import Iterable

import msgspec

from persistence.agora_uids import AgoraUids
from persistence.log import Record
from persistence.postgres import Postgres
from persistence.sessions import Move, Moved, Outcome, Sessions
from realtime.domain.course import Course
from realtime.protocol.events import SessionBody


async def try_to_move(postgres: Postgres, session: str, version: int, to: str, kind: str, by: str = "alice") -> Moved:
    """Move a session that has this version, without timers."""
    move = Move(session=session, version=version, to=to, kind=kind, by=by, timers=())
    return await Sessions(postgres).move(move)


async def move(postgres: Postgres, session: str, version: int, to: str, kind: str, by: str = "alice") -> Record:
    """Do so, and give the event of it."""
    moved = await try_to_move(postgres, session, version, to, kind, by)
    assert moved.outcome is Outcome.NEW
    assert moved.event is not None
    return moved.event


async def number_of(postgres: Postgres, session: str, user: str) -> int:
    """Give the number by which Agora knows a user in a session."""
    [number] = await AgoraUids(postgres).give([(session, user)])
    return number


def course_in(log: Iterable[Record]) -> Course:
    """Give the course of which a log tells from its beginning."""
    course = Course()
    for record in log:
        if record.kind.startswith("session."):
            course.enter(msgspec.json.decode(record.body, type=SessionBody).state, record.at)
    return course
