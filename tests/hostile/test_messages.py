"""Messages of a user with a good token and bad manners, each with the answer that it gets."""

import json
from typing import Any, Final, get_args
from uuid import uuid4

import msgspec
import pytest

from realtime.protocol import commands
from realtime.protocol.codec import Format
from realtime.protocol.codes import Code
from tests.hostile.attacker import Attacker, answers, identified
from tests.hostile.conftest import Stage
from tests.support.nodes import token
from tokens.access import AccessRole

ELSEWHERE: Final = "01932c07-3a6e-7cc0-8000-000000000001"
BAD: Final = "bad_request"


def deep(levels: int) -> bytes:
    return b'{"id":1,"type":"session.create","title":"x","metadata":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


def pong(now: str) -> bytes:
    return f'{{"id":1,"type":"pong","now":{now}}}'.encode()


JSON: dict[str, tuple[bytes, list[str | int]]] = {
    "empty": (b"", [4400]),
    "spaces": (b" \n\t", [4400]),
    "null": (b"null", [4400]),
    "an array": (b"[]", [4400]),
    "a text": (b'"x"', [4400]),
    "a number": (b"5", [4400]),
    "cut off": (b'{"id":1,"type":"pong"', [4400]),
    "two values": (b'{"id":1,"type":"pong"}{}', [4400]),
    "a comment": (b'{"id":1,"type":"pong"/**/}', [4400]),
    "a comma too many": (b'{"id":1,"type":"pong",}', [4400]),
    "single quotes": (b"{'id':1,'type':'pong'}", [4400]),
    "16,000 brackets": (b"[" * 16_000, [4400]),
    "3,000 objects deep": (b'{"a":' * 3000, [4400]),
    "metadata 9 deep": (deep(9), [BAD]),
    "metadata 900 deep": (deep(900), [BAD]),
    "metadata 2,000 deep": (deep(2000), [4400]),
    "5,000 digits": (pong("9" * 5000), [4400]),
    "a fraction of 5,000 digits": (pong("0." + "9" * 5000), [BAD]),
    "an exponent of 5,000 digits": (pong("1e" + "9" * 5000), [BAD]),
    "NaN": (pong("NaN"), [BAD]),
    "Infinity": (pong("-Infinity"), [BAD]),
    "1e999": (pong("1e999"), [BAD]),
    "-0": (pong("-0"), ["ack"]),
    "hexadecimal": (pong("0x10"), [4400]),
    "a leading zero": (pong("01"), [4400]),
    "a byte-order mark": (b"\xef\xbb\xbf" + pong("1"), [BAD]),
    "UTF-16": (pong("1").decode().encode("utf-16"), [1007]),
    "UTF-32": (pong("1").decode().encode("utf-32-le"), [4400]),
    "a raw line feed in a text": (b'{"id":1,"type":"po\nng"}', [4400]),
    "a raw NUL in a text": (b'{"id":1,"type":"po\0ng"}', [4400]),
    "an escaped type": (b'{"id":1,"type":"\\u0070ong"}', ["ack"]),
    "a lone surrogate": (b'{"id":1,"type":"\\ud800"}', [BAD]),
    "surrogates in the wrong order": (b'{"id":1,"type":"\\udc00\\ud800"}', [BAD]),
    "an overlong form": (b'{"id":1,"type":"\xc0\xaf"}', [1007]),
    "a field twice": (b'{"id":1,"type":"pong","now":1,"now":2}', ["ack"]),
    "a field twice, wrong first": (b'{"id":1,"type":"pong","now":"x","now":2}', [BAD]),
    "a field twice, wrong last": (b'{"id":1,"type":"pong","now":2,"now":"x"}', [BAD]),
    "two types": (b'{"id":1,"type":"pong","type":"hello"}', [BAD]),
    "an unknown field": (b'{"id":1,"type":"pong","x":1}', [BAD]),
    "__proto__": (b'{"id":1,"type":"pong","__proto__":{"admin":true}}', [BAD]),
    "__class__": (b'{"id":1,"type":"pong","__class__":"Hello"}', [BAD]),
    "an empty name": (b'{"id":1,"type":"pong","":1}', [BAD]),
    "2,000 unknown fields": (b'{"id":1,"type":"pong"' + b',"x":1' * 2000 + b"}", [BAD]),
    "another case": (b'{"id":1,"type":"PONG"}', [BAD]),
    "an unknown type": (b'{"id":1,"type":"admin.shutdown"}', [BAD]),
    "a type that is not served yet": (b'{"id":1,"type":"session.delete"}', [BAD]),
    "no type": (b'{"id":1}', [BAD]),
    "a type that is an object": (b'{"id":1,"type":{}}', [BAD]),
    "an id that is a text": (b'{"id":"1","type":"pong"}', [BAD]),
    "an id of 2^53": (b'{"id":9007199254740992,"type":"pong"}', [BAD]),
    "no id": (b'{"type":"pong"}', []),
}


@pytest.mark.parametrize(("sent", "expected"), JSON.values(), ids=JSON)
def test_json(stage: Stage, sent: bytes, expected: list[str | int]) -> None:
    with identified(stage.node.websocket_port, role=AccessRole.SELLER) as attacker:
        assert answers(attacker, attacker.wrap(sent)) == expected


def packed(fields: Any) -> bytes:
    return msgspec.msgpack.encode(fields)


PONG = b"\x83\xa2id\x01\xa4type\xa4pong\xa3now"
MSGPACK: dict[str, tuple[bytes, list[str | int]]] = {
    "empty": (b"", [4400]),
    "nil": (b"\xc0", [4400]),
    "a reserved byte": (b"\xc1", [4400]),
    "a reserved byte within": (PONG + b"\xc1", [4400]),
    "an array": (b"\x90", [4400]),
    "an integer in eight bytes": (PONG + b"\xcf" + (5).to_bytes(8, "big"), ["ack"]),
    "2^64-1": (PONG + b"\xcf" + b"\xff" * 8, [BAD]),
    "-1": (PONG + b"\xff", [BAD]),
    "a fraction": (packed({"id": 1, "type": "pong", "now": 5.0}), [BAD]),
    "NaN": (PONG + b"\xcb\x7f\xf8" + b"\0" * 6, [BAD]),
    "an extension": (PONG + b"\xd4\x2a\x00", [BAD]),
    "an extension of nothing": (PONG + b"\xc7\x00\x2a", [BAD]),
    "an extension of 4 GiB": (PONG + b"\xc9\xff\xff\xff\xff\x2a", [4400]),
    "a timestamp": (PONG + b"\xd6\xff\x00\x00\x00\x05", [BAD]),
    "a timestamp that is none": (PONG + b"\xd7\xff" + b"\xff" * 8, [4400]),
    "bytes where text belongs": (packed({"id": 1, "type": b"pong"}), [BAD]),
    "a text of 4 GiB": (PONG + b"\xdb\xff\xff\xff\xff", [4400]),
    "bytes of 4 GiB": (PONG + b"\xc6\xff\xff\xff\xff", [4400]),
    "an array of 2^32-1": (PONG + b"\xdd\xff\xff\xff\xff", [4400]),
    "a map of 2^32-1": (b"\xdf\xff\xff\xff\xff", [4400]),
    "a map that is cut off": (b"\x83\xa2id\x01", [4400]),
    "bytes behind it": (packed({"id": 1, "type": "pong"}) + b"\x01", [4400]),
    "names that are numbers": (packed({1: 1, "type": "pong"}), [BAD]),
    "names that are bytes": (packed({b"id": 1, "type": "pong"}), [BAD]),
    "a map as a name": (b"\x82\x80\x01\xa4type\xa4pong", [4400]),
    "an extension as a name": (b"\x82\xd4\x2a\x00\x01\xa4type\xa4pong", [4400]),
    "16,000 arrays deep": (b"\x91" * 16_000, [4400]),
    "8,000 maps deep": (b"\x81\xa1a" * 5000, [4400]),
    "a field twice": (b"\x84\xa2id\x01\xa4type\xa4pong\xa3now\x01\xa3now\x02", ["ack"]),
    "not UTF-8": (PONG + b"\xa2\xff\xff", [1007]),
    "not UTF-8 as the type": (b"\x82\xa2id\x01\xa4type\xa2\xff\xff", [1007]),
    "JSON": (b'{"id":1,"type":"pong"}', [4400]),
}


@pytest.mark.parametrize(("sent", "expected"), MSGPACK.values(), ids=MSGPACK)
def test_msgpack(stage: Stage, sent: bytes, expected: list[str | int]) -> None:
    with identified(stage.node.websocket_port, fmt=Format.MSGPACK) as attacker:
        assert answers(attacker, attacker.wrap(sent)) == expected


TEXT, NUMBER, FLAG, OBJECT = "text", "number", "flag", "object"
KINDS: Final = {
    "id": NUMBER, "since": TEXT,
    "token": TEXT, "now": NUMBER, "client": TEXT, "device": TEXT, "session": TEXT, "key": TEXT,
    "text": TEXT, "sent_at": NUMBER, "reply_to": NUMBER, "seq": NUMBER, "edited_at": NUMBER, "before": NUMBER,
    "after": NUMBER, "limit": NUMBER, "on": FLAG, "kind": TEXT, "state": TEXT, "title": TEXT, "chat": TEXT,
    "slow_mode": NUMBER, "links": FLAG, "private": FLAG, "max_message": NUMBER, "language": TEXT, "cover": TEXT,
    "metadata": OBJECT, "limits": OBJECT, "user": TEXT, "role": TEXT, "accept": FLAG, "reason": TEXT, "upto": NUMBER,
}  # fmt: skip
OF_A_KIND: Final[dict[str, list[Any]]] = {
    TEXT: ["x"],
    NUMBER: [-1, 2**53, 2**53 + 1, 2**63, 2**64 - 1],
    FLAG: [True],
    OBJECT: [{"x": float("nan")}],
}
ALSO_WRONG: Final = [0.5, 5.0, -1.5, [], [[]], [{}]]
# What must be a number is refused beyond its bounds, too; the others have more rows of their own below.
WRONG: Final = {
    kind: ALSO_WRONG + [v for k, values in OF_A_KIND.items() if (k == NUMBER) or (k != kind) for v in values]
    for kind in OF_A_KIND
}
IDS: Final = [
    "", "x", "01932c07-3a6e-7cc0-8000-00000000000", "01932c07-3a6e-7cc0-8000-000000000001\n",
    "01932C07-3A6E-7CC0-8000-000000000001", "{01932c07-3a6e-7cc0-8000-000000000001}",
    "01932c073a6e7cc08000000000000001", "\uff101932c07-3a6e-7cc0-8000-000000000001", "../../etc/passwd", "*",
    "a" * 10_000, "01932c07-3a6e-7cc0-8000-000000000001\0", "'; DROP TABLE sessions; --", "sw:{x}",
]  # fmt: skip
USERS: Final = ["", "a" * 65, "a b", "a\n", "é", "@server", "a:b", "{a}", "*", "../a", "a\0", "\uff11"]


def good(kind: type[commands.Command], session: str) -> dict[str, Any]:
    """Give a command that would be carried out, or refused for what it asks."""
    fields = {
        "session": session, "token": "x", "text": "hi", "seq": 1, "on": True, "kind": "heart", "title": "x",
        "user": "bob", "role": "cohost", "accept": True, "upto": 0, "key": str(uuid4()),
    }  # fmt: skip
    wanted = {field.name for field in msgspec.structs.fields(kind) if field.required}
    # An update of nothing is refused.
    wanted |= {"title"} if kind is commands.SessionUpdate else set()
    return {"type": kind.__struct_config__.tag, **{name: fields[name] for name in wanted}}


def encoded(command: dict[str, Any], fmt: Format) -> bytes:
    # The standard library writes NaN, which no strict encoder does.
    return packed(command) if fmt is Format.MSGPACK else json.dumps(command).encode()


TYPES: Final[list[type[commands.Command]]] = list(get_args(commands.AnyCommand))


def spoilt(kind: type[commands.Command], session: str) -> list[dict[str, Any]]:
    """Give the command with each field missing, and of every type that it must not have."""
    command = good(kind, session)
    wanted = {field.name for field in msgspec.structs.fields(kind) if field.required}
    found = [{k: v for k, v in command.items() if k != name} for name in wanted]
    for field in msgspec.structs.fields(kind):
        wrong = list(WRONG[KINDS[field.name]])
        wrong += [None] if field.required else []
        wrong += IDS if field.name == "session" else USERS if field.name == "user" else []
        found += [{**command, field.name: value} for value in wrong]
    return [{"id": n + 1, **command} for n, command in enumerate(found)]


@pytest.mark.parametrize("fmt", Format)
@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__struct_config__.tag)
def test_every_field_of_every_wrong_type(stage: Stage, kind: type[commands.Command], fmt: Format) -> None:
    with identified(stage.node.websocket_port, fmt=fmt) as attacker:
        wrong = spoilt(kind, ELSEWHERE)
        given = answers(attacker, *(attacker.wrap(encoded(command, fmt)) for command in wrong))
        assert given == [BAD] * len(wrong), [c for c, code in zip(wrong, given, strict=True) if code != BAD]


def asked(attacker: Attacker, **command: Any) -> str | int:
    """Send one command, and give what it was answered. Chat is answered after its commit, behind what came later."""
    attacker.say(**{"id": 1, **command})
    for message in attacker.messages():
        if isinstance(message, int):
            return message
        if message.get("re") == 1:
            return str(message.get("code", message["type"]))
    raise AssertionError


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__struct_config__.tag)
@pytest.mark.parametrize("joined", [True, False])
def test_a_viewer_in_a_session_that_is_not_theirs(stage: Stage, kind: type[commands.Command], joined: bool) -> None:
    """Nothing that only its host may do is done, and nothing at all where the user has not even joined."""
    harmless = {"pong": "ack", "join": "joined", "leave": "left", "hello": "conflict", "inbox.ack": "ack"}
    harmless["token.refresh"] = "unauthenticated"
    unasked = {**harmless, "session.create": "forbidden", "session.ask": "conflict"}
    # What is at 1 is no message.
    unknown = {"chat.edit": "not_found", "chat.delete": "not_found"}
    allowed = {**unknown, "chat.send": "ack", "history": "history", "typing": "ack", "react": "ack", "playback": "ack"}
    allowed["agora.token"] = "agora.token"
    command = good(kind, stage.session)
    with identified(stage.node.websocket_port) as attacker:
        if joined:
            assert asked(attacker, type="join", session=stage.session) == "joined"
        expected = {**unasked, **(allowed if joined else {})}.get(command["type"], "forbidden")
        assert asked(attacker, **command) == expected


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__struct_config__.tag)
def test_a_session_that_does_not_exist(stage: Stage, kind: type[commands.Command]) -> None:
    command = good(kind, ELSEWHERE)
    if "session" not in command:
        return
    with identified(stage.node.websocket_port, role=AccessRole.SELLER) as attacker:
        found = asked(attacker, **command)
        assert found in ("left", Code.NOT_FOUND, Code.FORBIDDEN)


def test_positions_that_cannot_be(stage: Stage) -> None:
    with identified(stage.node.websocket_port) as attacker:
        unreachable: list[Any] = [
            {"epoch": "x", "seq": 1},
            {"epoch": "0123456789ab", "seq": 2**53 - 1},
            {"epoch": "\0", "seq": 0},
        ]
        for since in unreachable:
            attacker.say(id=1, type="join", session=stage.session, since=since)
            joined = next(m for m in attacker.messages() if isinstance(m, dict) and m.get("re") == 1)
            assert (joined["type"], joined["complete"]) == ("joined", False)
        wrong: list[Any] = [
            "first",
            "LAST",
            {},
            {"epoch": "", "seq": 1},
            {"epoch": "x" * 65, "seq": 1},
            {"seq": 1},
            [],
            0,
        ]
        for since in wrong:
            assert asked(attacker, type="join", session=stage.session, since=since) == BAD


def test_one_key_and_two_bodies(stage: Stage) -> None:
    with identified(stage.node.websocket_port) as attacker:
        assert asked(attacker, type="join", session=stage.session) == "joined"
        assert asked(attacker, type="join", session=stage.session) == "joined"
        send = {"type": "chat.send", "session": stage.session, "key": str(uuid4())}
        given = [asked(attacker, **send, text=text) for text in ("one", "two", "one")]
        assert given == ["ack", "conflict", "ack"]


def test_hello_again_as_someone_else(stage: Stage) -> None:
    with identified(stage.node.websocket_port) as attacker, identified(stage.node.websocket_port, "eve") as eve:
        assert asked(attacker, type="hello", token="x.y.z") == "conflict"
        assert asked(eve, type="pong") == "ack"


@pytest.mark.parametrize("text", ["", "\0", "\u200b" * 50, "\u202e\u2066", " \n ", "\u0301", "x" * 1001, "👍" * 1001])
def test_texts_that_are_asked(stage: Stage, text: str) -> None:
    with identified(stage.node.websocket_port) as attacker:
        asked(attacker, type="join", session=stage.session)
        command = {"type": "chat.send", "session": stage.session, "key": str(uuid4()), "text": text}
        assert asked(attacker, **command) == ("too_large" if len(text) > 1000 else BAD)


TEXTS: dict[str, tuple[str, str]] = {
    "controls": ("a\0b\x07c\x1b[31md", "abc[31md"),
    "line breaks": ("a\r\nb\rc\u2028d\u2029e", "a\nb\nc\nd\ne"),
    "bidi": ("\u202eabc\u202c \u2066d\u2069\u200f\u061c", "abc d"),
    "2,000 marks": ("x" + "\u0301" * 2000, "x" + "\u0301" * 4),
    "NFC": ("e\u0323\u0302", "ệ"),
    "ligatures": ("\ufdfa" * 1000, "\ufdfa" * 1000),
    "HTML": ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    "SQL": ("'; DROP TABLE events; --", "'; DROP TABLE events; --"),
    "formats": ("%n%s {0.__class__} ${x} \\u0000", "%n%s {0.__class__} ${x} \\u0000"),
}


@pytest.mark.parametrize(("sent", "told"), TEXTS.values(), ids=TEXTS)
def test_what_was_changed_is_what_is_stored_and_sent(stage: Stage, sent: str, told: str) -> None:
    key = str(uuid4())
    with (
        identified(stage.node.websocket_port) as attacker,
        identified(stage.node.websocket_port, "eve", fmt=Format.MSGPACK) as eve,
    ):
        assert asked(eve, type="join", session=stage.session) == "joined"
        asked(attacker, type="join", session=stage.session)
        assert asked(attacker, type="chat.send", session=stage.session, key=key, text=sent) == "ack"
        heard = next(m for m in eve.messages() if isinstance(m, dict) and m.get("key") == key)
        assert heard["body"]["text"] == told
        eve.say(type="history", id=2, session=stage.session, limit=1)
        stored = next(m for m in eve.messages() if isinstance(m, dict) and m.get("re") == 2)
        assert stored["events"][0]["body"]["text"] == told


NUL = "a\0b"


@pytest.mark.parametrize("device", [NUL, "\x1b[31m", "a\n", "", "a" * 65])
def test_devices_that_are_refused(stage: Stage, device: str) -> None:
    """Hosts are written to Postgres, many in one statement: one of them must not spoil it for the others."""
    with Attacker(stage.node.websocket_port) as attacker:
        attacker.shake_hands()
        said = {"type": "hello", "token": token("mallory", AccessRole.SELLER), "device": device}
        assert [asked(attacker, **said), *attacker.messages()] == [BAD, 4401]


def test_a_reason_that_postgres_cannot_store(stage: Stage) -> None:
    with identified(stage.node.websocket_port, role=AccessRole.SELLER) as attacker:
        attacker.say(id=1, type="session.create", title="x")
        created = next(m for m in attacker.messages() if isinstance(m, dict) and m.get("re") == 1)
        end = {"type": "session.end", "session": created["session"]["id"]}
        assert asked(attacker, **end, reason="\0\u202e") == BAD
        assert asked(attacker, **end, reason=NUL) == "ack"
