import msgspec
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from bench.peers.floor import Flushes, accepted, frame
from realtime.frames import to_frame
from realtime.protocol.codec import JSON
from realtime.protocol.events import Event


def test_the_handshake_is_one() -> None:
    client = ClientProtocol(parse_uri("ws://127.0.0.1:1/"))
    client.send_request(client.connect())
    (request,) = client.data_to_send()
    client.receive_data(accepted(request) + frame(1, 1_732_147_200_000, "hi"))
    _, event = client.events_received()
    assert client.state is State.OPEN
    assert isinstance(event, Frame)
    assert bytes(event.data).endswith(b'"body":{"text":"hi"}}')


@given(st.integers(1, 10**6), st.integers(0, 10**13), st.integers(1, 1000))
def test_its_frames_are_those_of_a_stagewire(seq: int, now: int, size: int) -> None:
    made = frame(seq, now, "x" * size)
    event = msgspec.json.decode(made[4:], type=Event | None)
    assert event is not None
    assert made == to_frame(JSON.encode(event))


def flushed(events_per_write: float, events: int) -> list[int]:
    flushes, written, sizes = Flushes(events_per_write), 0, []
    while written < events:
        after = flushes.after(written)
        sizes.append(after - written)
        written = after
    return sizes


def test_writes_have_the_events_that_a_server_gathered() -> None:
    assert flushed(1, 4) == [1, 1, 1, 1]
    assert flushed(2.5, 10) == [2, 3, 2, 3]


@given(st.floats(1, 500), st.integers(1, 5000))
def test_the_mean_is_kept(events_per_write: float, events: int) -> None:
    sizes = flushed(events_per_write, events)
    assert min(sizes) >= 1
    assert abs(len(sizes) - events / events_per_write) <= 1 + 1e-6 * events
