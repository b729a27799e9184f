"""A token is planted wherever one can be written, and is found in no log, no metric and no answer."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.hostile.attacker import Attacker, answers, identified
from tests.hostile.conftest import AGORA, Stage
from tests.hostile.test_http import said
from tests.support.frames import PING, TEXT, frame, request
from tests.support.nodes import SECRET, token
from tests.support.processes import wait_until
from tokens.access import AccessRole, SharedSecret, mint

# A word that stands nowhere else, within each of the three parts of what is planted.
MARK = "Qx7PLANTEDzK"
PLANTED = f"{MARK}h.{MARK}p.{MARK}s"
# An account at Agora's API, where nobody answers.
ACCOUNT = {
    "STAGEWIRE_AGORA_CUSTOMER_ID": "customer",
    "STAGEWIRE_AGORA_CUSTOMER_SECRET": "a-secret-of-the-account",
    "STAGEWIRE_AGORA_API": "http://127.0.0.1:1",
}


@pytest.fixture(scope="module", params=["json", "console"])
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"STAGEWIRE_LOG_FORMAT": request.param, "STAGEWIRE_LOG_LEVEL": "debug", **ACCOUNT}


def told(stage: Stage) -> Iterator[str]:
    """Give what the server has written, and what anyone may ask of it."""
    yield stage.log.read_text()
    for path in ("/metrics", "/readyz", "/healthz", "/openapi.json"):
        yield httpx.get(stage.node.http + path, verify=False).text


def check(stage: Stage, *secrets: str) -> None:
    for text in told(stage):
        for secret in secrets:
            assert secret not in text, text[max(0, text.index(secret) - 300) : text.index(secret) + 50]


REQUESTS: dict[str, bytes] = {
    "query": said(f"GET /v1/sessions?token={PLANTED} HTTP/1.1"),
    "query of the health check": said(f"GET /healthz?access_token={PLANTED} HTTP/1.1"),
    "path": said(f"GET /v1/sessions/{PLANTED} HTTP/1.1"),
    "path of no endpoint": said(f"GET /{PLANTED} HTTP/1.1"),
    "path of the studio": said(f"GET /studio/{PLANTED} HTTP/1.1"),
    "method": said(f"{PLANTED} / HTTP/1.1"),
    "version": said(f"GET / {PLANTED}"),
    "Authorization": said("GET /v1/sessions HTTP/1.1", f"Authorization: Bearer {PLANTED}"),
    "Authorization without a scheme": said("GET /v1/sessions HTTP/1.1", f"Authorization: {PLANTED}"),
    "Basic": said("GET /v1/sessions HTTP/1.1", f"Authorization: Basic {PLANTED}"),
    "scheme": said("GET /v1/sessions HTTP/1.1", f"Authorization: {PLANTED} x"),
    "a broken header": said("GET /v1/sessions HTTP/1.1", f"Authorization: Bearer {PLANTED}\0"),
    "a header's name": said("GET /v1/sessions HTTP/1.1", f"{PLANTED}: x"),
    "cookie": said("GET /v1/sessions HTTP/1.1", f"Cookie: token={PLANTED}"),
    "host": said("GET / HTTP/1.1", host=f"Host: {PLANTED}"),
    "upgrade": said("GET / HTTP/1.1", "Connection: Upgrade", f"Upgrade: {PLANTED}"),
    "signature": said(
        "POST /v1/agora/events HTTP/1.1", f"Agora-Signature-V2: {PLANTED}", "Content-Type: application/json",
        "Content-Length: 2", body=b"{}",
    ),
    "body": said(
        "POST /dev/token HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(PLANTED) + 11}",
        body=b'{"user":"%b"}' % PLANTED.encode(),
    ),
    "a body that is none": said(
        "POST /dev/token HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(PLANTED)}",
        body=PLANTED.encode(),
    ),
    "content type": said("POST /dev/token HTTP/1.1", f"Content-Type: {PLANTED}", "Content-Length: 2", body=b"{}"),
}  # fmt: skip


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
def test_in_requests(stage: Stage, sent: bytes) -> None:
    with Attacker(stage.node.http_port) as attacker:
        attacker.send(sent)
        attacker.response()
    check(stage, MARK)


HANDSHAKES: dict[str, bytes] = {
    "query": request(f"/v1/ws?token={PLANTED}"),
    "path": request(f"/{PLANTED}"),
    "subprotocol": request(extra=f"Sec-WebSocket-Protocol: stagewire.v1.json, {PLANTED}\r\n"),
    "cookie": request(extra=f"Cookie: {PLANTED}\r\n"),
    "Authorization": request(extra=f"Authorization: Bearer {PLANTED}\r\n"),
    "origin": request(extra=f"Origin: https://{PLANTED}\r\n"),
    "host": request(host=f"Host: {PLANTED}\r\n"),
    "extension": request(extra=f"Sec-WebSocket-Extensions: {PLANTED}\r\n"),
    "version": request(extra=f"Sec-WebSocket-Version: {PLANTED}\r\n"),
    "a broken header": request(extra=f"{PLANTED}\r\n"),
    "method": request().replace(b"GET", PLANTED.encode()),
}


@pytest.mark.parametrize("sent", HANDSHAKES.values(), ids=HANDSHAKES)
def test_in_handshakes(stage: Stage, sent: bytes) -> None:
    with Attacker(stage.node.websocket_port) as attacker:
        attacker.send(sent)
        if attacker.head()[0] == 101:
            attacker.send(frame(TEXT, b"goodbye"))
            assert list(attacker.messages()) == [4400]
    check(stage, MARK)


FIELDS: dict[str, dict[str, Any]] = {
    "token": {"token": PLANTED},
    "token and an unknown field": {"token": "x", PLANTED: 1},
    "type": {"type": PLANTED},
    "device, without a token": {"device": PLANTED},
    "id": {"id": PLANTED},
    "now": {"token": "x", "now": PLANTED},
    "client that is too long": {"token": "x", "client": PLANTED * 5},
    "a token in a list": {"token": [PLANTED]},
}


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_before_hello(stage: Stage, fields: dict[str, Any]) -> None:
    with Attacker(stage.node.websocket_port) as attacker:
        attacker.shake_hands()
        attacker.say(**{"type": "hello", "id": 1, **fields})
        assert list(attacker.messages())[-1] == 4401
    check(stage, MARK)


def test_in_fields_where_no_token_belongs(stage: Stage) -> None:
    session = stage.session
    with identified(stage.node.websocket_port, role=AccessRole.SELLER) as attacker:
        commands: list[dict[str, Any]] = [
            {"type": "join", "session": session},
            {"type": "join", "session": PLANTED},
            {"type": "join", "session": session, "since": PLANTED},
            {"type": "join", "session": session, "since": {"epoch": PLANTED, "seq": 1}},
            {"type": "hello", "token": PLANTED},
            {"type": "chat.send", "session": session, "key": PLANTED, "text": "x"},
            {"type": "chat.send", "session": session, "key": session, "text": PLANTED},
            {"type": "react", "session": session, "kind": PLANTED},
            {"type": "direct.send", "user": PLANTED, "key": session, "text": PLANTED},
            {"type": "session.create", "title": PLANTED, "metadata": {PLANTED: PLANTED}, "cover": PLANTED},
            {"type": "session.end", "session": session, "reason": PLANTED},
            {"type": PLANTED},
        ]
        answers(attacker, *(attacker.wrap(json.dumps({"id": 1, **command}).encode()) for command in commands))
        attacker.send(frame(PING, PLANTED.encode()) + frame(0x8, (1000).to_bytes(2, "big") + PLANTED.encode()))
        assert list(attacker.messages())[-1] == 1000
    check(stage, MARK)


def test_good_tokens_and_secrets_are_told_nobody(stage: Stage) -> None:
    good = token("mallory", AccessRole.SELLER)
    forged = mint("mallory", AccessRole.ADMIN, SharedSecret("another secret, and as long as one must be"), 0, 10)
    with identified(stage.node.websocket_port, "mallory", AccessRole.SELLER):
        pass
    for given in (good, forged):
        headers = {"Authorization": f"Bearer {given}"}
        for path in ("/v1/sessions", f"/v1/sessions/{stage.session}", f"/v1/sessions?token={given}"):
            httpx.get(stage.node.http + path, headers=headers, verify=False)
        with Attacker(stage.node.websocket_port) as attacker:
            attacker.shake_hands()
            attacker.say(type="hello", id=1, token=given)
            next(attacker.messages())
    issued = httpx.post(
        f"{stage.node.http}/v1/sessions/{stage.session}/agora-token",
        headers={"Authorization": f"Bearer {good}"},
        verify=False,
    ).json()["token"]
    signature = good.rpartition(".")[2]
    check(stage, good, signature, forged.rpartition(".")[2], issued, SECRET, AGORA["STAGEWIRE_AGORA_CERTIFICATE"])


def test_what_a_kick_is_authorized_by_is_told_nobody(stage: Stage) -> None:
    root = token("root", AccessRole.ADMIN)
    for path, who, body in (
        (f"/v1/sessions/{stage.session}/agora-token", token("kicked"), None),
        ("/v1/users/kicked/freeze", root, {"reason": "spam"}),
    ):
        headers = {"Authorization": f"Bearer {who}"}
        assert httpx.post(stage.node.http + path, headers=headers, json=body, verify=False).status_code == 200
    wait_until(lambda: "kick not made" in stage.log.read_text())
    secret = ACCOUNT["STAGEWIRE_AGORA_CUSTOMER_SECRET"]
    check(stage, secret, b64encode(f"customer:{secret}".encode()).decode())


def test_the_log_was_looked_at(stage: Stage) -> None:
    """What is searched has each connection in it."""
    with identified(stage.node.websocket_port, "a-user-to-find"):
        pass
    wait_until(lambda: "a-user-to-find" in stage.log.read_text())


def test_a_client_cannot_turn_the_log_around(stage: Stage) -> None:
    with Attacker(stage.node.websocket_port) as attacker:
        attacker.shake_hands()
        attacker.say(type="hello", id=0, token=token("eve"), client="web\u202e\u2028\x1b[31m/1.0")
        next(attacker.messages())
    wait_until(lambda: "u001b[31m/1.0" in stage.log.read_text())
    assert not {"\u202e", "\u2028", "\x1b"} & set(stage.log.read_text())
