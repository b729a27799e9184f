"""The codec, the socket and the side API under input that nobody thought of: a little here, for long by `make fuzz`."""

import json
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.http.endpoints import Endpoint
from realtime.http.serving import FailureBody
from realtime.http.site import ENDPOINTS
from realtime.protocol.codec import JSON, MSGPACK, Codec, Malformed, Rejected
from realtime.protocol.codes import HTTP_STATUS, Code
from realtime.protocol.types import MAX_INTEGER
from tests.hostile import test_messages
from tests.hostile.attacker import Attacker, identified
from tests.hostile.conftest import Stage
from tests.hostile.strategies import almost, mutated
from tests.hostile.test_frames import FRAMES, HANDSHAKES
from tests.hostile.test_http import REQUESTS
from tests.properties.effort import tried
from tests.support.frames import CLOSE, frame
from tests.support.nodes import token
from tokens.access import AccessRole

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


@cache
def document(url: str) -> dict[str, Any]:
    """Give the server's OpenAPI document."""
    found: dict[str, Any] = httpx.get(f"{url}/openapi.json", verify=False).json()
    return found


@cache
def browser(url: str) -> httpx.Client:
    return httpx.Client(
        base_url=url, verify=False, headers={"Authorization": f"Bearer {token('fuzz', AccessRole.ADMIN)}"}
    )


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def escaped(value: Any) -> str:
    return quote(as_text(value).encode("utf-8", "surrogatepass"), safe="")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
@tried(25)
@given(data=st.data())
def test_the_api_answers_as_its_document_says(stage: Stage, endpoint: Endpoint, data: st.DataObject) -> None:
    """Drawn from the document, and almost: every answer is one that is documented, and none is an accident."""
    said = document(stage.node.http)
    schemas = said["components"]["schemas"]
    operation = said["paths"][endpoint.path][endpoint.method.lower()]
    drawn = {
        place: {
            p["name"]: data.draw(almost(p["schema"], schemas))
            for p in operation.get("parameters", [])
            if p["in"] == place and (p["required"] or data.draw(st.booleans()))
        }
        for place in ("path", "query")
    }
    path = endpoint.path
    for name, value in drawn["path"].items():
        # Most of all of a session that there is.
        given = stage.session if name == "id" and "sessions" in path and data.draw(st.booleans()) else value
        path = path.replace(f"{{{name}}}", escaped(given))
    query = "&".join(f"{name}={escaped(value)}" for name, value in drawn["query"].items())
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    content = json.dumps(data.draw(almost(body, schemas))).encode() if body else b""
    response = browser(stage.node.http).request(
        endpoint.method,
        f"{path}?{query}" if query else path,
        content=content,
        headers={"Content-Type": "application/json"},
    )
    check(endpoint, response)


def check(endpoint: Endpoint, response: httpx.Response) -> None:
    if response.status_code == endpoint.status:
        msgspec.json.decode(response.content, type=endpoint.reply)
        return
    refusal = msgspec.json.decode(response.content, type=FailureBody).error
    assert refusal.code != Code.INTERNAL, refusal
    # A method that an odd path has not is refused by the framework, in our words.
    assert response.status_code in (HTTP_STATUS[Code(refusal.code)], 405)
