from typing import Any

import msgspec
import pytest
from msgspec import UNSET, Raw

from realtime.protocol.events import (
    AnswerBody,
    Audience,
    AudienceSignal,
    ChangeBody,
    ChatBody,
    DirectBody,
    Event,
    Inbox,
    InboxEntry,
    InboxKind,
    Kind,
    MentionBody,
    NoticeBody,
    Ping,
    Push,
    QualityPush,
    ReactionsSignal,
    Removed,
    RequestBody,
    SessionBody,
    Stamp,
    TypingSignal,
)
from realtime.protocol.session_settings import Change, ChatMode
from realtime.protocol.types import Position

SESSION = "01932c07-3a6e-7cc0-8000-000000000001"
NOBODY = {"connections": 0, "users": 0, "watching": 0, "chatters": 0}


@pytest.mark.parametrize(
    ("push", "wire"),
    [
        (
            Event(
                session=SESSION,
                seq=58,
                at=9,
                media_ms=4,
                kind=Kind.CHAT_POSTED,
                by="alice",
                key="k",
                body=Raw(b'{"text":"hi"}'),
            ),
            {
                "type": "event",
                "session": SESSION,
                "seq": 58,
                "at": 9,
                "media_ms": 4,
                "kind": "chat.posted",
                "by": "alice",
                "key": "k",
                "body": {"text": "hi"},
            },
        ),
        (
            Event(session=SESSION, seq=1, at=0, media_ms=0, kind="session.created", by="h", body=Raw(b"{}")),
            {
                "type": "event",
                "session": SESSION,
                "seq": 1,
                "at": 0,
                "media_ms": 0,
                "kind": "session.created",
                "by": "h",
                "body": {},
            },
        ),
        (
            TypingSignal(session=SESSION, users=("bob",), count=1),
            {"type": "signal", "session": SESSION, "kind": "typing", "users": ["bob"], "count": 1},
        ),
        (
            ReactionsSignal(session=SESSION, counts={"heart": 2}),
            {"type": "signal", "session": SESSION, "kind": "reactions", "counts": {"heart": 2}},
        ),
        (
            AudienceSignal(session=SESSION, audience=Audience()),
            {"type": "signal", "session": SESSION, "kind": "audience", "audience": NOBODY},
        ),
        (
            AudienceSignal(session=SESSION, audience=Audience(), present=["bob"]),
            {"type": "signal", "session": SESSION, "kind": "audience", "audience": NOBODY, "present": ["bob"]},
        ),
        (
            AudienceSignal(session=SESSION, audience=Audience(), joined=["bob"], left=[]),
            {
                "type": "signal",
                "session": SESSION,
                "kind": "audience",
                "audience": NOBODY,
                "joined": ["bob"],
                "left": [],
            },
        ),
        (
            Inbox(epoch="e", upto=7, entries=Raw(b'[{"id":7}]')),
            {"type": "inbox", "epoch": "e", "upto": 7, "entries": [{"id": 7}]},
        ),
        (
            Inbox(epoch="e", upto=7, lost=2, entries=Raw(b"[]")),
            {"type": "inbox", "epoch": "e", "upto": 7, "lost": 2, "entries": []},
        ),
        (QualityPush(rtt_ms=0, quality="good"), {"type": "quality", "rtt_ms": 0, "quality": "good"}),
        (QualityPush(quality="poor"), {"type": "quality", "quality": "poor"}),
        (
            Removed(session=SESSION, code="forbidden", message="m"),
            {"type": "removed", "session": SESSION, "code": "forbidden", "message": "m"},
        ),
        (Ping(now=5, heads={}), {"type": "ping", "now": 5, "heads": {}}),
        (
            Ping(now=5, heads={SESSION: Position("e", 0)}),
            {"type": "ping", "now": 5, "heads": {SESSION: {"epoch": "e", "seq": 0}}},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_pushes_on_the_wire(push: Push, wire: dict[str, Any]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(push)) == wire
    assert not wire.keys() & {"id", "re"}


def test_the_body_of_a_message() -> None:
    assert msgspec.json.encode(ChatBody(text="hi")) == b'{"text":"hi"}'
    assert msgspec.json.encode(ChatBody(text="hi", reply_to=40)) == b'{"text":"hi","reply_to":40}'
    edited = ChatBody(text="hi", edited=Stamp(7, 0))
    assert msgspec.json.encode(edited) == b'{"text":"hi","edited":{"at":7,"seq":0}}'
    assert msgspec.json.encode(ChatBody(deleted=True)) == b'{"deleted":true}'


def test_the_body_of_a_change() -> None:
    assert msgspec.json.encode(ChangeBody(seq=3, text="hi")) == b'{"seq":3,"text":"hi"}'
    assert msgspec.json.encode(ChangeBody(seq=3)) == b'{"seq":3}'
    assert msgspec.json.encode(ChangeBody(seq=3, deleted=True)) == b'{"seq":3,"deleted":true}'


def test_entries_of_an_inbox_and_their_bodies() -> None:
    entry = InboxEntry(id=7, at=9, kind=InboxKind.DIRECT, by="ann", key="k", body=Raw(b'{"text":"hi"}'))
    wire = b'{"id":7,"at":9,"kind":"direct","by":"ann","key":"k","body":{"text":"hi"}}'
    assert msgspec.json.encode(entry) == wire
    assert msgspec.json.encode(DirectBody("hi")) == b'{"text":"hi"}'
    assert msgspec.json.encode(NoticeBody("hi")) == b'{"text":"hi"}'
    assert msgspec.json.encode(NoticeBody("hi", SESSION)) == b'{"text":"hi","session":"%s"}' % SESSION.encode()
    mention = MentionBody(session=SESSION, seq=3, text="@bob")
    assert msgspec.json.encode(mention) == b'{"session":"%s","seq":3,"text":"@bob"}' % SESSION.encode()


def test_the_body_of_a_session_event_may_grow() -> None:
    stored = b'{"state": "live", "version": 2, "later": true}'
    assert msgspec.json.decode(stored, type=SessionBody) == SessionBody("live", 2)


def test_session_events_can_be_told_by_their_kind() -> None:
    assert {kind.partition(".")[0] for kind in Kind} == {"chat", "session"}


def test_the_bodies_of_session_events() -> None:
    updated = b'{"state": "live", "version": 2, "changes": {"chat": "nobody", "language": null, "later": 1}}'
    body = msgspec.json.decode(updated, type=SessionBody)
    assert body == SessionBody("live", 2, changes=Change(chat=ChatMode.NOBODY, language=None))
    # What has no value is left out, what was taken away is null.
    assert msgspec.json.encode(body.changes) == b'{"chat":"nobody","language":null}'
    role = b'{"state":"live","version":2,"user":"bob","role":"cohost"}'
    assert msgspec.json.decode(role, type=SessionBody) == SessionBody("live", 2, user="bob", role="cohost")
    guests = b'{"state":"live","version":2,"allowed":["bob"],"removed":[]}'
    assert msgspec.json.decode(guests, type=SessionBody) == SessionBody("live", 2, allowed=["bob"], removed=[])
    assert msgspec.json.encode(SessionBody("live", 2, allowed=UNSET)) == b'{"state":"live","version":2}'


def test_the_bodies_of_requests_and_answers() -> None:
    assert msgspec.json.encode(RequestBody("s")) == b'{"session":"s"}'
    assert msgspec.json.encode(AnswerBody("s", accepted=False)) == b'{"session":"s","accepted":false}'
