import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.protocol.codec import CODECS as BY_NAME
from realtime.protocol.codec import JSON, MAX_REASON, MSGPACK, Codec, Format, Malformed, NotText, Rejected
from realtime.protocol.codes import Code
from realtime.protocol.commands import ChatSend, Command, Join, Pong
from realtime.protocol.replies import error
from realtime.protocol.types import MAX_INTEGER, Position
from tests.realtime.protocol.strategies import CODECS, COMMANDS, frames

SESSION = "01932c07-3a6e-7cc0-8000-000000000001"
KEY = UUID("5f0c3b1e-9d7a-4e52-8a3c-2f1b6d9e0c4a")
DEEP = 100_000

both = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


def join(since: str) -> bytes:
    return f'{{"id":1,"type":"join","session":"{SESSION}","since":{{"epoch":"a","seq":{since}}}}}'.encode()


def send(text: bytes) -> bytes:
    return b'{"id":1,"type":"chat.send","session":"%b","key":"%b","text":"%b"}' % (
        SESSION.encode(),
        str(KEY).encode(),
        text,
    )


@both
@given(command=COMMANDS)
def test_every_command_encodes_and_decodes_to_itself(codec: Codec, command: Command) -> None:
    assert codec.decode(codec.encode(command)) == command


def check_answer(codec: Codec, rejected: Rejected) -> None:
    assert rejected.refusal.code is Code.BAD_REQUEST
    assert len(rejected.refusal.message) <= MAX_REASON
    assert rejected.re is None or 0 <= rejected.re <= MAX_INTEGER
    reply = codec.encode(error(rejected.refusal, rejected.re))
    assert (msgspec.msgpack if codec.binary else msgspec.json).decode(reply).get("re") == rejected.re


@both
@given(data=st.data())
def test_any_bytes_are_a_command_or_rejected_or_malformed(codec: Codec, data: st.DataObject) -> None:
    frame = data.draw(frames(codec))
    try:
        command = codec.decode(frame)
    except Malformed:
        return
    except Rejected as exc:
        check_answer(codec, exc)
    else:
        assert codec.decode(codec.encode(command)) == command


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"   ", id="spaces"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="array"),
        pytest.param(b'"x"', id="string"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"nonsense", id="nonsense"),
        pytest.param(b"[" * DEEP, id="deep arrays"),
        pytest.param(b'{"a":' * DEEP, id="deep objects"),
        pytest.param(b"9" * 5000, id="an integer of 5,000 digits"),
        pytest.param(b'{"id":1,"type":"pong","now":' + b"9" * 5000 + b"}", id="a field of 5,000 digits"),
        pytest.param(b'{"id":1,"type":"pong"} {}', id="two values"),
        pytest.param(b'{"id":1,"type":"pong"', id="cut off"),
        pytest.param(send(b"a\nb"), id="a raw control character"),
    ],
)
def test_json_that_is_no_object_is_malformed(frame: bytes) -> None:
    with pytest.raises(Malformed) as raised:
        JSON.decode(frame)
    assert raised.type is Malformed


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b'"\xff"', id="never a byte of UTF-8"),
        pytest.param(send(b"\xc3\x28"), id="a broken sequence"),
        pytest.param(send(b"\xed\xa0\x80"), id="a surrogate"),
        pytest.param(send(b"\xc0\xaf"), id="an overlong form"),
        pytest.param(b'{"id":1,"type":"pong","x":"\xf4\x90\x80\x80"}', id="beyond Unicode, in an unknown field"),
        pytest.param('{"id":1,"type":"pong"}'.encode("utf-16"), id="UTF-16"),
    ],
)
def test_json_that_is_not_utf_8_is_not_text(frame: bytes) -> None:
    with pytest.raises(NotText):
        JSON.decode(frame)


@pytest.mark.parametrize(
    ("frame", "re", "reason"),
    [
        pytest.param(b"{}", None, "missing required field `type`", id="empty object"),
        pytest.param(b'{"id":7}', 7, "missing required field `type`", id="no type"),
        pytest.param(b'{"id":7,"type":"dance"}', 7, "Invalid value 'dance'", id="unknown type"),
        pytest.param(b'{"id":7,"type":5}', 7, "Expected `str`", id="a type that is no text"),
        pytest.param(b'{"id":7,"type":"pong","x":1}', 7, "unknown field `x`", id="unknown field"),
        pytest.param(b'{"id":7,"type":"leave"}', 7, "missing required field `session`", id="missing field"),
        pytest.param(b'{"id":7,"id":8,"type":"leave"}', 8, "session", id="duplicate keys"),
        pytest.param(b'\xef\xbb\xbf{"id":7,"type":"pong"}', 7, "cannot be read", id="byte-order mark"),
        pytest.param(b'{"id":7,"type":"pong","now":NaN}', 7, "cannot be read", id="NaN"),
        pytest.param(b'{"id":7,"type":"pong","now":-Infinity}', 7, "cannot be read", id="infinity"),
        pytest.param(b'{"id":7,"type":"pong","now":1e999}', 7, "out of range", id="1e999"),
        pytest.param(send(b"\\ud800"), 1, "cannot be read", id="lone surrogate"),
        pytest.param(send(b"\\udc00\\ud800"), 1, "cannot be read", id="surrogates in the wrong order"),
        pytest.param(join("-1"), 1, ">= 0", id="seq -1"),
        pytest.param(join(f"{2**53 + 1}"), 1, f"<= {MAX_INTEGER}", id="seq 2^53+1"),
        pytest.param(join(f"{2**63}"), 1, f"<= {MAX_INTEGER}", id="seq 2^63"),
        pytest.param(join(f"{2**64}"), 1, f"<= {MAX_INTEGER}", id="seq 2^64"),
        pytest.param(join('"5"'), 1, "got `str`", id="seq as text"),
        pytest.param(join("5.0"), 1, "got `float`", id="seq 5.0"),
        pytest.param(join("true"), 1, "got `bool`", id="seq true"),
        pytest.param(join("null"), 1, "got `null`", id="seq null"),
        pytest.param(b'{"id":-1,"type":"pong"}', None, ">= 0", id="id -1"),
        pytest.param(b'{"id":9007199254740993,"type":"pong"}', None, f"<= {MAX_INTEGER}", id="id 2^53+1"),
        pytest.param(b'{"id":18446744073709551616,"type":"pong"}', None, f"<= {MAX_INTEGER}", id="id 2^64"),
        pytest.param(b'{"id":"5","type":"pong"}', None, "got `str`", id="id as text"),
        pytest.param(b'{"id":5.0,"type":"pong"}', None, "got `float`", id="id 5.0"),
        pytest.param(b'{"id":true,"type":"pong"}', None, "got `bool`", id="id true"),
        pytest.param(b'{"id":1,"type":"leave","session":"x"}', 1, "matching regex", id="a session that is no UUID"),
        pytest.param(
            f'{{"id":1,"type":"leave","session":"{SESSION}\\n"}}'.encode(), 1, "length <= 36", id="a session and a line"
        ),
    ],
)
def test_an_object_that_is_no_command_is_rejected(frame: bytes, re: int | None, reason: str) -> None:
    with pytest.raises(Rejected, match=reason) as raised:
        JSON.decode(frame)
    assert raised.value.re == re
    assert raised.value.refusal.code is Code.BAD_REQUEST


def test_of_duplicate_keys_the_last_one_counts() -> None:
    assert JSON.decode(b'{"id":1,"id":2,"type":"pong","now":3,"now":4}') == Pong(id=2, now=4)


def test_only_a_part_of_a_long_complaint_is_told() -> None:
    with pytest.raises(Rejected) as raised:
        JSON.decode(json.dumps({"id": 3, "type": "x" * 10_000}).encode())
    assert len(raised.value.refusal.message) == MAX_REASON


ENCODE = msgspec.msgpack.encode


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"", id="empty"),
        pytest.param(ENCODE(None), id="null"),
        pytest.param(ENCODE([]), id="array"),
        pytest.param(ENCODE("x"), id="string"),
        pytest.param(b"\x91" * DEEP, id="deep arrays"),
        pytest.param(b"\x81" * DEEP, id="deep maps"),
        pytest.param(b"\xc1", id="a reserved byte"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="a map of 2^32-1"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="an array of 2^32-1"),
        pytest.param(b"\x81\x80\x01", id="a map as a key"),
        pytest.param(ENCODE({"id": 1, "type": "pong"}) + b"\x01", id="two values"),
        pytest.param(b"\xd7\xff" + b"\xff" * 8, id="a time that is none"),
    ],
)
def test_msgpack_that_is_no_map_is_malformed(frame: bytes) -> None:
    with pytest.raises(Malformed) as raised:
        MSGPACK.decode(frame)
    assert raised.type is Malformed


def test_msgpack_with_text_that_is_not_utf_8() -> None:
    with pytest.raises(NotText):
        MSGPACK.decode(b"\x82\xa2id\x01\xa4type\xa2\xff\xff")


@pytest.mark.parametrize(
    ("fields", "re", "reason"),
    [
        ({}, None, "missing required field `type`"),
        ({"id": 7, "type": "dance"}, 7, "Invalid value 'dance'"),
        ({"id": 7, "type": "pong", "x": 1}, 7, "unknown field `x`"),
        ({"id": 7, "type": "leave", "session": SESSION.encode()}, 7, "got `bytes`"),
        ({"id": 7, "type": "pong", "now": 5.0}, 7, "got `float`"),
        ({"id": 7, "type": "pong", "now": True}, 7, "got `bool`"),
        ({"id": 7, "type": "pong", "now": 2**63}, 7, f"<= {MAX_INTEGER}"),
        ({"id": 2**64 - 1, "type": "pong"}, None, f"<= {MAX_INTEGER}"),
        ({"id": -1, "type": "pong"}, None, ">= 0"),
        ({b"id": 1, "type": "pong"}, None, "Expected `str`, got `bytes`"),
        ({1: 1}, None, "Expected `str`, got `int`"),
    ],
    ids=str,
)
def test_a_map_that_is_no_command_is_rejected(fields: dict[Any, Any], re: int | None, reason: str) -> None:
    with pytest.raises(Rejected, match=reason) as raised:
        MSGPACK.decode(ENCODE(fields))
    assert raised.value.re == re


@both
def test_commands_come_out_with_their_types(codec: Codec) -> None:
    since = Position("e", 41)
    assert codec.decode(codec.encode({"type": "join", "id": 2, "session": SESSION, "since": since})) == Join(
        id=2, session=SESSION, since=since
    )
    assert codec.decode(
        codec.encode({"type": "chat.send", "session": SESSION, "key": str(KEY), "text": "\x00 'é'"})
    ) == ChatSend(session=SESSION, key=KEY, text="\x00 'é'")


def test_each_format_has_its_codec() -> None:
    assert {Format.JSON: JSON, Format.MSGPACK: MSGPACK} == BY_NAME
    assert (JSON.binary, MSGPACK.binary) == (False, True)


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers(0, 2**63)), max_size=4))
@example([])
def test_documents_join_and_translate(values: list[dict[str, Any]]) -> None:
    documents = [msgspec.json.encode(value) for value in values]
    assert msgspec.json.decode(bytes(JSON.array(documents))) == values
    assert msgspec.msgpack.decode(bytes(MSGPACK.array(documents))) == values
    for document, value in zip(documents, values, strict=True):
        assert JSON.translate(document) is document
        assert msgspec.msgpack.decode(MSGPACK.translate(document)) == value
