from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from bench import wire
from bench.wire import Admission, Answers, Counter, Position, Unexpected
from realtime.frames import to_frame
from realtime.protocol import types
from realtime.protocol.codec import JSON
from realtime.protocol.commands import ChatSend, Hello, Join
from realtime.protocol.events import Event, Ping
from realtime.protocol.replies import Ack, Error

SESSION = "019e3bd2-5a5c-7000-8000-000000000001"


def event(seq: int, text: str = "hi") -> bytes:
    body = msgspec.Raw(msgspec.json.encode({"text": text}))
    return JSON.encode(Event(session=SESSION, seq=seq, at=1, media_ms=0, kind="chat.posted", by="a", body=body))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(ends)]


STREAM = b"".join(
    to_frame(message)
    for message in [
        event(1),
        JSON.encode(Ping(now=1, heads={})),
        event(2, '"type":"event" and {"type":"event"}'),
        JSON.encode(Ack(re=7, key="k", seq=2, at=1)),
        event(3, "x" * 300),
        JSON.encode(Error(re=71, code="rate_limited", message='"type":"ack","re":5,')),
        JSON.encode(Ack(re=712)),
    ]
)


@given(st.lists(st.integers(min_value=0)))
@example(list(range(len(STREAM))))
def test_events_are_counted_once_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    counter = Counter()
    for piece in pieces(STREAM, cuts):
        counter.feed(piece, len(piece))
    assert counter.count == 3


def test_only_the_given_part_of_a_buffer_counts() -> None:
    counter, buffer = Counter(), bytearray(STREAM + STREAM)
    counter.feed(buffer, len(STREAM))
    assert counter.count == 3


@given(st.lists(st.integers(min_value=0)))
@example(list(range(len(STREAM))))
def test_answers_are_found_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    answers = Answers()
    found = [answer for piece in pieces(STREAM, cuts) for answer in answers.feed(piece)]
    assert list(dict.fromkeys(found)) == [(True, 7), (False, 71), (True, 712)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_frames_of_every_length_are_read(size: int) -> None:
    whole = Frame(Opcode.TEXT, b"x" * size).serialize(mask=False)
    assert wire.next_frame(whole + b"rest") == (Opcode.TEXT, b"x" * size, b"rest")
    assert wire.next_frame(whole[:-1]) is None


def test_the_handshake_is_one_that_a_server_accepts() -> None:
    server = ServerProtocol()
    server.receive_data(wire.upgrade("127.0.0.1", 8000))
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type] # the first is always a Request
    (response,) = server.data_to_send()
    assert wire.after_head(response[:-1]) is None
    assert wire.after_head(response + b"rest") == b"rest"


def test_a_refused_handshake_says_so() -> None:
    with pytest.raises(Unexpected, match=r"refused: HTTP/1.1 503") as refused:
        wire.after_head(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n\r\nNot now.\n")
    assert refused.value.retry_after == 2
    with pytest.raises(Unexpected, match=r"refused: HTTP/1.1 404") as refused:
        wire.after_head(b"HTTP/1.1 404 Not Found\r\n\r\n")
    assert refused.value.retry_after is None


def command(frame: bytes) -> Any:
    server = ServerProtocol()
    server.receive_data(wire.upgrade("127.0.0.1", 8000))
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type] # the first is always a Request
    server.receive_data(frame)
    (received,) = server.events_received()
    assert isinstance(received, Frame)
    return JSON.decode(bytes(received.data))


@pytest.mark.parametrize("size", [1, 20, 200, 1000])
def test_a_message_is_encoded_as_the_server_reads_it(size: int) -> None:
    key = "0b6b2f5e-53a3-4d1e-8a54-fd0cbbd0a1c7"
    sent = command(wire.chat(7, SESSION, key, "x" * size))
    assert sent == ChatSend(id=7, session=SESSION, key=UUID(key), text="x" * size)


def test_the_way_in_is_hello_then_join() -> None:
    admission = Admission("a-token", SESSION)
    hello = command(admission.hello())
    assert isinstance(hello, Hello)
    assert hello.token == "a-token"
    join = command(admission.take(b'{"type":"welcome","re":0,"connection":"c"}'))
    assert isinstance(join, Join)
    assert join.session == SESSION
    assert not admission.position
    assert admission.take(b'{"type":"ping","now":1,"heads":{}}') == b""
    assert admission.take(b'{"type":"joined","re":0,"position":{"epoch":"e","seq":41},"events":[]}') == b""
    assert (admission.position, admission.complete) == (Position("e", 41), True)


def test_the_way_back_names_the_position() -> None:
    admission = Admission("a-token", SESSION, Position("e", 41))
    join = command(admission.take(b'{"type":"welcome","re":0,"connection":"c"}'))
    assert isinstance(join, Join)
    assert join.since == types.Position("e", 41)
    admission.take(b'{"type":"joined","re":0,"position":{"epoch":"f","seq":50},"complete":false,"events":[]}')
    assert (admission.position, admission.complete) == (Position("f", 50), False)


def test_without_a_session_hello_is_enough() -> None:
    admission = Admission("a-token", None)
    assert admission.take(b'{"type":"welcome","re":0}') == b""
    assert admission.position == Position("", 0)


def test_a_refusal_on_the_way_in_ends_it() -> None:
    with pytest.raises(Unexpected, match="unauthenticated, token expired"):
        Admission("old", None).take(b'{"type":"error","re":0,"code":"unauthenticated","message":"token expired"}')


def test_a_sample_reads_events_and_answers() -> None:
    found = wire.push(event(5, "hello"))
    assert (found.type, found.seq, found.kind, found.body) == ("event", 5, "chat.posted", wire.Body("hello"))
    assert wire.push(JSON.encode(Ack(re=1))).re == 1


def test_a_sample_reads_what_it_has_missed() -> None:
    told = b'{"type":"joined","re":0,"session":{"id":"s","state":"paused"},"events":[%b,%b]}' % (event(5), event(6))
    joined = wire.joined(told)
    assert joined.session.state == "paused"
    assert [missed.seq for missed in joined.events] == [5, 6]


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=1000))
def test_a_text_says_when_it_was_due(due: int, size: int) -> None:
    text = wire.stamp(due, size)
    assert wire.due_of(text) == due
    assert len(text) == max(size, len(f"{due} "))
