"""The codec and the ports under input that nobody thought of: a little here, for long by `make fuzz`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.codec import JSON, MSGPACK, Codec, Malformed, Rejected
from realtime.protocol.codes import Code
from realtime.protocol.types import MAX_INTEGER
from tests.hostile import test_messages
from tests.hostile.attacker import Attacker, identified
from tests.hostile.conftest import Stage
from tests.hostile.strategies import mutated
from tests.hostile.test_frames import FRAMES, HANDSHAKES
from tests.hostile.test_http import REQUESTS
from tests.properties.effort import tried
from tests.support.frames import CLOSE, frame

SESSION = "01932c07-3a6e-7cc0-8000-000000000001"
COMMANDS = [test_messages.good(kind, SESSION) for kind in test_messages.TYPES]
CORPUS = {
    JSON: [sent for sent, _ in test_messages.JSON.values()] + [JSON.encode(command) for command in COMMANDS],
    MSGPACK: [sent for sent, _ in test_messages.MSGPACK.values()] + [MSGPACK.encode(command) for command in COMMANDS],
}
SHORT = 2000


@pytest.mark.parametrize("codec", CORPUS, ids=lambda codec: codec.name)
@tried(500)
@given(data=st.data())
def test_the_codec(codec: Codec, data: st.DataObject) -> None:
    sent = data.draw(mutated(CORPUS[codec]))
    try:
        command = codec.decode(sent)
    except Malformed:
        return
    except Rejected as exc:
        check_refusal(codec, exc)
    else:
        assert codec.decode(codec.encode(command)) == command


def check_refusal(codec: Codec, rejected: Rejected) -> None:
    assert rejected.refusal.code is Code.BAD_REQUEST
    assert rejected.re is None or 0 <= rejected.re <= MAX_INTEGER
    # It can be told, whatever it quotes.
    codec.encode(rejected.refusal.message)


@tried(60)
@given(sent=mutated([sent for sent, _ in FRAMES.values() if len(sent) < SHORT]))
def test_frames(stage: Stage, sent: bytes) -> None:
    """Whatever comes, the connection ends with a code, at the latest when the client says goodbye."""
    with identified(stage.node.websocket_port) as attacker:
        attacker.send(sent + frame(CLOSE, b"\x03\xe8"))
        attacker.socket.shutdown(1)
        assert isinstance(list(attacker.messages())[-1], int)


@tried(60)
@given(sent=mutated([sent for sent, _ in HANDSHAKES.values() if len(sent) < SHORT]))
def test_handshakes(stage: Stage, sent: bytes) -> None:
    with Attacker(stage.node.websocket_port) as attacker:
        attacker.send(sent)
        attacker.socket.shutdown(1)
        assert attacker.head()[0] in (0, 101, 400, 403, 404, 405, 414, 426, 431, 505)


@tried(60)
@given(sent=mutated([sent for sent, _ in REQUESTS.values() if len(sent) < SHORT]))
def test_requests(stage: Stage, sent: bytes) -> None:
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(sent)
        attacker.socket.shutdown(1)
        status = attacker.head()[0]
        assert status < 500 or status == 503
