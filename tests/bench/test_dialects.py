import msgspec
import pytest

from bench.dialects import DIALECTS, Said
from bench.wire import Unexpected, stamp

TEXT = stamp(1234, 100)
EVENT = {"type": "event", "seq": 7, "at": 1, "user": "bench-1", "text": TEXT}


def encoded(message: object) -> bytes:
    return msgspec.json.encode(message)


CENTRIFUGO = {"push": {"channel": "bench", "pub": {"data": {"type": "event", "text": TEXT}, "offset": 7}}}
EVENTS = {
    "room": encoded(EVENT),
    "socketio": b'42["event",' + encoded(EVENT) + b"]",
    "centrifugo": encoded(CENTRIFUGO),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_events_are_read_and_carry_their_marker_once(name: str) -> None:
    dialect = DIALECTS[name]
    assert dialect.events(EVENTS[name]) == [Said(7, 1234)]
    assert EVENTS[name].count(dialect.marker) == 1


@pytest.mark.parametrize("name", DIALECTS)
def test_no_text_can_hold_the_marker(name: str) -> None:
    dialect = DIALECTS[name]
    assert dialect.marker not in encoded(dialect.marker.decode())[1:-1]


def test_a_room_is_entered_by_asking() -> None:
    room = DIALECTS["room"]
    assert msgspec.json.decode(room.greet()) == {"type": "join", "room": "bench"}
    assert room.enter(b'{"type":"joined"}') is None
    assert room.events(b'{"type":"joined"}') == []
    said = msgspec.json.decode(room.say(3, "bench-1", "hi"))
    assert said == {"type": "chat", "user": "bench-1", "text": "hi"}


def test_the_floor_writes_events_of_a_stagewire() -> None:
    event = {"type": "event", "seq": 7, "kind": "chat.posted", "body": {"text": TEXT}}
    assert DIALECTS["room"].events(encoded(event)) == [Said(7, 1234)]


def test_the_way_into_socket_io() -> None:
    socketio = DIALECTS["socketio"]
    assert socketio.greet() == b""
    assert socketio.enter(b'0{"sid":"x","upgrades":[],"pingInterval":1}') == b"40"
    assert socketio.enter(b'40{"sid":"y"}') == b'420["join"]'
    assert socketio.enter(b'430["joined"]') is None
    assert socketio.events(b"2") == []
    assert socketio.say(3, "bench-1", "hi") == b'42["chat",{"user":"bench-1","text":"hi"}]'


def test_the_way_into_centrifugo() -> None:
    centrifugo = DIALECTS["centrifugo"]
    assert msgspec.json.decode(centrifugo.greet()) == {"id": 1, "connect": {}}
    subscribe = centrifugo.enter(b'{"id":1,"connect":{"client":"x","ping":25,"pong":true}}')
    assert subscribe is not None
    assert msgspec.json.decode(subscribe) == {"id": 2, "subscribe": {"channel": "bench"}}
    assert centrifugo.enter(b'{"id":2,"subscribe":{}}') is None
    said = msgspec.json.decode(centrifugo.say(3, "bench-1", "hi"))
    assert said == {
        "id": 6,
        "publish": {"channel": "bench", "data": {"type": "event", "user": "bench-1", "text": "hi"}},
    }


def test_centrifugo_puts_several_events_and_answers_into_a_frame() -> None:
    frame = b'{"id":5,"publish":{}}\n' + EVENTS["centrifugo"] + b"\n" + EVENTS["centrifugo"] + b"\n{}"
    assert DIALECTS["centrifugo"].events(frame) == [Said(7, 1234), Said(7, 1234)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("room", b'{"type":"error"}'),
        ("socketio", b'44{"message":"no"}'),
        ("centrifugo", b'{"id":1,"error":{"code":101,"message":"unauthorized"}}'),
        ("centrifugo", b"{}"),
    ],
)
def test_whoever_is_not_let_in_hears_why(name: str, message: bytes) -> None:
    with pytest.raises(Unexpected, match="not entered"):
        DIALECTS[name].enter(message)
