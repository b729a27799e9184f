from typing import Any

import msgspec
import pytest

from realtime.protocol import commands
from realtime.protocol.commands import AnyCommand, Command, type_of
from tests.realtime.protocol.strategies import COMMAND_TYPES

SESSION = "01932c07-3a6e-7cc0-8000-000000000001"
KEY = "5f0c3b1e-9d7a-4e52-8a3c-2f1b6d9e0c4a"
POSITION = {"epoch": "e", "seq": 1}
ABOUT = {"session": SESSION}

CHANGE = {
    "title": "A show",
    "chat": "followers",
    "slow_mode": 5,
    "links": False,
    "private": True,
    "max_message": 200,
    "language": "de-AT",
    "cover": "https://example.com/c.png",
    "metadata": {"shop": [1, {"a": None}]},
    "limits": {"grace": 0, "away": 60_000},
}

# The least that each command says, and all that it may say.
WIRE: dict[str, tuple[type[Command], dict[str, Any], dict[str, Any]]] = {
    "hello": (commands.Hello, {"token": "t"}, {"now": 1, "client": "web/1.0", "device": "phone"}),
    "token.refresh": (commands.TokenRefresh, {"token": "t"}, {}),
    "pong": (commands.Pong, {}, {"now": 1}),
    "join": (commands.Join, ABOUT, {"since": POSITION}),
    "leave": (commands.Leave, ABOUT, {}),
    "chat.send": (commands.ChatSend, {**ABOUT, "key": KEY, "text": ""}, {"sent_at": 1, "reply_to": 1}),
    "chat.edit": (commands.ChatEdit, {**ABOUT, "seq": 1, "key": KEY, "text": ""}, {"edited_at": 1}),
    "chat.delete": (commands.ChatDelete, {**ABOUT, "seq": 1, "key": KEY}, {}),
    "history": (commands.History, ABOUT, {"before": 2, "after": 1, "limit": 200}),
    "typing": (commands.Typing, {**ABOUT, "on": False}, {}),
    "react": (commands.React, {**ABOUT, "kind": "heart"}, {}),
    "playback": (commands.Playback, ABOUT, {"state": "paused"}),
    "session.create": (commands.SessionCreate, {"title": "A show"}, {**CHANGE, "key": KEY}),
    "session.update": (commands.SessionUpdate, ABOUT, {**CHANGE, "key": KEY}),
    "session.role": (commands.SessionRole, {**ABOUT, "user": "bob", "role": "cohost"}, {"key": KEY}),
    "session.ask": (commands.SessionAsk, ABOUT, {}),
    "session.answer": (commands.SessionAnswer, {**ABOUT, "user": "bob", "accept": True}, {}),
    "session.start": (commands.SessionStart, ABOUT, {"key": KEY, "reason": "a break"}),
    "session.pause": (commands.SessionPause, ABOUT, {"key": KEY, "reason": "a break"}),
    "session.resume": (commands.SessionResume, ABOUT, {"key": KEY, "reason": "a break"}),
    "session.end": (commands.SessionEnd, ABOUT, {"key": KEY, "reason": "a break"}),
    "session.takeover": (commands.SessionTakeover, ABOUT, {"key": KEY}),
    "direct.send": (commands.DirectSend, {"user": "bob", "key": KEY, "text": ""}, {}),
    "inbox.ack": (commands.InboxAck, {"upto": 1}, {}),
    "agora.token": (commands.AgoraToken, ABOUT, {}),
}
NAMES = list(WIRE)
NEVER_NULL = frozenset(["limit", "chat", "slow_mode", "links", "private"])
FULL = {name: {"type": name, "id": 7, **least, **more} for name, (_, least, more) in WIRE.items()}

NO_INTEGERS: list[Any] = [-1, 2**53 + 1, 2**63, 2**64, "5", 5.0, True]
NO_TEXTS: list[Any] = [5, True, None, ["a"], {"a": 1}]
BAD: dict[str, list[Any]] = {
    "id": NO_INTEGERS,
    "now": NO_INTEGERS,
    "sent_at": NO_INTEGERS,
    "edited_at": NO_INTEGERS,
    "seq": NO_INTEGERS,
    "reply_to": NO_INTEGERS,
    "before": NO_INTEGERS,
    "after": NO_INTEGERS,
    "limit": [0, 201, None, *NO_INTEGERS],
    "session": ["", "x", SESSION.upper(), SESSION + "\n", *NO_TEXTS],
    "key": ["", "x", KEY + "0", "../../etc/passwd", *NO_TEXTS],
    "token": ["", "x" * 8193, *NO_TEXTS],
    "client": ["x" * 65, 5, True, []],
    "device": ["", "x" * 65, 5, True, []],
    "reason": ["x" * 201, 5, True, []],
    "text": NO_TEXTS,
    "title": NO_TEXTS,
    "user": ["", "x" * 65, "bob\n", "b b", "b\x00", "bób", "*", "{bob}", "a:b", "../bob", *NO_TEXTS],
    "upto": NO_INTEGERS,
    "kind": ["", "x" * 33, "Heart", "heart\n", "a b", "❤", "a.b", *NO_TEXTS],
    "chat": ["", "ALL", "none", *NO_TEXTS],
    "slow_mode": [3601, None, *NO_INTEGERS],
    "links": ["true", 0, 1, None, []],
    "private": ["true", 0, 1, None, []],
    "accept": ["true", 0, 1, None, []],
    "max_message": [0, *NO_INTEGERS],
    "language": ["", "d", "de_AT", "de-", "-de", "de\n", "de--AT", "x" * 36, "de-" + "a" * 9, 5, True, []],
    "cover": [
        "",
        "http://example.com/c.png",
        "javascript:alert(1)",
        "https://",
        "https:///c.png",
        "https://user:secret@example.com/",
        "https://example.com/a b",
        "https://example.com/\n",
        "https://example.com/c.png\n",
        'https://example.com/"onload=',
        "https://example.com/')",
        "https://example.com/é",
        "https://example.com/\x00",
        "https://example.com/" + "a" * 2048,
        5,
        [],
    ],
    "metadata": ["{}", [], 5, True],
    "limits": ["{}", [], 5, {"grace": -1}, {"grace": "1"}, {"away": 366 * 86_400_000 + 1}, {"x": 1}, {"grace": None}],
    "role": ["host", "", "Cohost", *NO_TEXTS],
    "on": ["true", 0, 1, None, []],
    "state": ["", "stopped", "PLAYING", *NO_TEXTS],
    "since": [
        "e",
        "",
        "LAST",
        1,
        [],
        {},
        {"epoch": "e"},
        {**POSITION, "x": 1},
        *({**POSITION, "seq": n} for n in NO_INTEGERS),
    ],
}


def decode(fields: dict[str, Any]) -> Command:
    command: Command = msgspec.json.decode(msgspec.json.encode(fields), type=AnyCommand)
    return command


def test_every_command_is_in_the_table() -> None:
    assert [kind for kind, _, _ in WIRE.values()] == COMMAND_TYPES


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_known_by_its_name(name: str) -> None:
    kind, least, _ = WIRE[name]
    command = decode({"type": name, **least})
    assert type(command) is kind
    assert type_of(command) == name
    assert command.id is None


@pytest.mark.parametrize("name", NAMES)
def test_a_command_says_all_of_this_and_nothing_else(name: str) -> None:
    assert set(WIRE[name][0].__struct_fields__) == FULL[name].keys() - {"type"}
    command = decode(FULL[name])
    for field in FULL[name].keys() - {"type", "key", "since", "limits"}:
        assert getattr(command, field) == FULL[name][field]
    with pytest.raises(msgspec.ValidationError, match="unknown field `x`"):
        decode({**FULL[name], "x": None})


@pytest.mark.parametrize(("name", "field"), [(name, field) for name in NAMES for field in WIRE[name][1]])
def test_what_a_command_must_say(name: str, field: str) -> None:
    fields = dict(FULL[name])
    del fields[field]
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{field}`"):
        decode(fields)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        (name, field, value)
        for name in NAMES
        for field in sorted(FULL[name].keys() - {"type"})
        for value in BAD[field]
        # What may be left out may be null, or has no other value.
        if value is not None or field in WIRE[name][1] or field in NEVER_NULL
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_no_field_may_hold(name: str, field: str, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode({**FULL[name], field: value})


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("hello", "token", "x" * 8192),
        ("hello", "client", "x" * 64),
        ("history", "limit", 1),
        ("history", "limit", 200),
        ("direct.send", "user", "x" * 64),
        ("direct.send", "user", "_-09AZaz"),
        ("inbox.ack", "upto", 0),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_bounds_themselves_are_within(name: str, field: str, value: Any) -> None:
    assert getattr(decode({**FULL[name], field: value}), field) == value


def test_a_page_has_50_events_unless_asked_otherwise() -> None:
    history = decode({"type": "history", "session": SESSION})
    assert isinstance(history, commands.History)
    assert (history.before, history.after, history.limit) == (None, None, 50)


def test_null_is_as_good_as_nothing_where_a_field_may_be_left_out() -> None:
    assert decode({"type": "join", "session": SESSION, "since": None, "id": None}) == commands.Join(session=SESSION)
