from typing import Any

import msgspec
import pytest
from msgspec import Raw

from realtime.protocol.codes import Code, Refusal
from realtime.protocol.events import Audience
from realtime.protocol.replies import (
    Ack,
    AgoraToken,
    Created,
    Joined,
    Left,
    MediaClock,
    Page,
    Reply,
    SessionView,
    Welcome,
    error,
)
from realtime.protocol.session_settings import ChatMode, SessionSettings
from realtime.protocol.types import Position

SESSION = "01932c07-3a6e-7cc0-8000-000000000001"
VIEW = SessionView(
    id=SESSION,
    host="h",
    title="t",
    state="scheduled",
    version=1,
    created_at=0,
    since=0,
    media=MediaClock(0, 0, running=False),
)
VIEW_WIRE: dict[str, Any] = {
    "id": SESSION,
    "host": "h",
    "title": "t",
    "state": "scheduled",
    "version": 1,
    "created_at": 0,
    "since": 0,
    "media": {"ms": 0, "at": 0, "running": False},
    "settings": {"chat": "all", "slow_mode": 0, "links": True, "private": False},
}


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (
            Welcome(re=0, connection="c", user="u", now=1, heartbeat_ms=2, expires_at=3),
            {"type": "welcome", "re": 0, "connection": "c", "user": "u", "now": 1, "heartbeat_ms": 2, "expires_at": 3},
        ),
        (
            Joined(
                re=2,
                session=VIEW,
                role="viewer",
                position=Position("e", 0),
                events=Raw(b"[]"),
                complete=False,
                audience=Audience(),
            ),
            {
                "type": "joined",
                "re": 2,
                "session": VIEW_WIRE,
                "role": "viewer",
                "position": {"epoch": "e", "seq": 0},
                "events": [],
                "complete": False,
                "audience": {"connections": 0, "users": 0, "watching": 0, "chatters": 0},
            },
        ),
        (Created(re=2, session=VIEW), {"type": "session", "re": 2, "session": VIEW_WIRE}),
        (Left(re=3, session=SESSION), {"type": "left", "re": 3, "session": SESSION}),
        (Ack(), {"type": "ack"}),
        (Ack(re=4, key="k", seq=58, at=0), {"type": "ack", "re": 4, "key": "k", "seq": 58, "at": 0}),
        (
            Page(session=SESSION, events=Raw(b"[1,2]"), more=False),
            {"type": "history", "session": SESSION, "events": [1, 2], "more": False},
        ),
        (
            AgoraToken(
                session=SESSION, token="007", app_id="a", channel="c", uid=1, role="host", expires_at=2, renew_at=1
            ),
            {
                "type": "agora.token",
                "session": SESSION,
                "token": "007",
                "app_id": "a",
                "channel": "c",
                "uid": 1,
                "role": "host",
                "expires_at": 2,
                "renew_at": 1,
            },
        ),
        (
            error(Refusal(Code.RATE_LIMITED, "slower", retry_after_ms=900), 3),
            {"type": "error", "re": 3, "code": "rate_limited", "message": "slower", "retry_after_ms": 900},
        ),
        (
            error(Refusal(Code.CONFLICT, "ended", state="ended"), None),
            {"type": "error", "code": "conflict", "message": "ended", "state": "ended"},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_replies_on_the_wire(reply: Reply, wire: dict[str, Any]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(reply)) == wire


def test_a_snapshot_tells_the_times_that_there_are() -> None:
    ended = msgspec.structs.replace(VIEW, started_at=1, ended_at=0)
    assert msgspec.json.decode(msgspec.json.encode(ended)) == {**VIEW_WIRE, "started_at": 1, "ended_at": 0}


def test_a_snapshot_tells_what_is_set_and_who_was_named() -> None:
    settings = SessionSettings(chat=ChatMode.NOBODY, max_message=9, language="de", metadata={"a": None})
    view = msgspec.structs.replace(VIEW, settings=settings, members={"bob": "cohost"})
    wire = msgspec.json.decode(msgspec.json.encode(view))
    told = {"chat": "nobody", "max_message": 9, "language": "de", "metadata": {"a": None}}
    assert wire["settings"] == {**VIEW_WIRE["settings"], **told}
    assert wire["members"] == {"bob": "cohost"}
