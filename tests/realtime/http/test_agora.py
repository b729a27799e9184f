"""Agora's notices over real HTTP, signed as Agora does, and otherwise."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from realtime.telemetry import metrics
from tests.support.nodes import RunningNode, serving, token
from tokens import agora_notices
from tokens.access import AccessRole
from tokens.agora_notices import Event

SECRET = "pbqWdh7Ip"
PATH = "/v1/agora/events"
APP = {"agora_app_id": "970CA35de60c44645bbae8a215061b33", "agora_certificate": "5CFd2fd1755d40ecb72977518be15d3b"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url, agora_webhook_secret=SECRET, agora_notice_ms=1, **APP) as running:
        yield running


def notice(channel: str, uid: int, event: int = Event.AUDIENCE_JOINED, seq: int = 1, **changed: Any) -> bytes:
    """Give a notice with all the fields that Agora sends."""
    payload = {
        "channelName": channel,
        "uid": uid,
        "platform": 7,
        "clientSeq": seq,
        "ts": 1560396843,
        "account": "",
        **({"reason": 1, "duration": 600} if event in (104, 106) else {}),
    }
    said = {"noticeId": f"2000001428:{uid}:{seq}", "productId": 1, "eventType": event, "notifyMs": 1611566412672}
    return json.dumps({"sid": "C866467GVJJ54687", **said, "payload": payload, **changed}).encode()


HEALTHY = notice("test_webhook", 12121212)


async def post(node: RunningNode, body: bytes, signature: str | None = None, **headers: str) -> httpx.Response:
    """Send what Agora would, unless another signature is given."""
    signed = agora_notices.sign(SECRET, body) if signature is None else signature
    given = {**JSON, "Agora-Signature": "0" * 40, agora_notices.SIGNATURE: signed, **headers}
    return await node.request("POST", PATH, content=body, headers=given)


async def outcome(node: RunningNode, body: bytes) -> str:
    taken = await post(node, body)
    assert (taken.status_code, taken.headers["content-type"]) == (200, "application/json"), taken.text
    return str(taken.json()["outcome"])


async def uid_of(node: RunningNode, session: str, user: str) -> int:
    issued = await node.request("POST", f"/v1/sessions/{session}/agora-token", token(user))
    return int(issued.json()["uid"])


async def test_notices_of_a_session(node: RunningNode) -> None:
    session = await node.session()
    bob = await uid_of(node, session, "bob")
    joined, left = notice(session, bob, 105, 1), notice(session, bob, 106, 2)
    assert [await outcome(node, body) for body in (left, joined, left, joined)] == [
        "applied",
        "stale",
        "duplicate",
        "duplicate",
    ]


async def test_a_frozen_host_brings_no_session_back_by_coming_to_its_channel(migrated: str, redis_url: str) -> None:
    settings = {"agora_webhook_secret": SECRET, "agora_notice_ms": 1, "host_grace": 0, "timer_ms": 20, **APP}
    root = token("root", AccessRole.ADMIN)
    async with serving(migrated, redis_url, **settings) as node:
        session = await node.session("fay")
        fay = await uid_of(node, session, "fay")
        async with node.client("bob") as bob, node.client("fay", AccessRole.SELLER) as host:
            await bob.join(session)
            await host.join(session)
            frozen = await node.request("POST", "/v1/users/fay/freeze", root, json={"reason": "spam"})
            assert frozen.status_code == 200
            await bob.until_event(kind="session.interrupted")
            assert await outcome(node, notice(session, fay, Event.BROADCASTER_JOINED)) == "applied"
            # Its effect comes before the answer.
            view = (await node.request("GET", f"/v1/sessions/{session}", root)).json()
            assert view["state"] == "interrupted"


async def test_two_nodes_take_a_notice_once(node: RunningNode, migrated: str, redis_url: str) -> None:
    session = await node.session()
    body = notice(session, await uid_of(node, session, "bob"))
    async with serving(migrated, redis_url, agora_webhook_secret=SECRET) as other:
        outcomes = await asyncio.gather(*(outcome(n, body) for n in (node, other, node, other)))
    assert sorted(outcomes) == ["applied", "duplicate", "duplicate", "duplicate"]


@pytest.mark.parametrize("event", [*range(101, 114), 0, 2**40])
async def test_agora_tests_the_endpoint_with_each_kind_of_notice(node: RunningNode, event: int) -> None:
    assert await outcome(node, notice("test_webhook", 12121212, event)) == "ignored"


async def test_what_is_no_business_of_ours_is_ignored(node: RunningNode) -> None:
    session = await node.session()
    bob = await uid_of(node, session, "bob")
    unknown = "01890000-0000-7000-8000-000000000000"
    for body in (
        notice(session, bob, productId=3),
        notice(session, bob, 101),
        notice(session, bob % 2**32 + 1),
        notice(unknown, bob),
        notice(session.upper(), bob),
        notice(f"{session}\n", bob),
        notice("", bob),
        notice("\x00", bob),
        notice("x" * 10_000, bob),
        notice(session, bob, payload={"channelName": unknown + "x"}),
        notice(session, bob, 113, payload=None),
    ):
        assert await outcome(node, body) == "ignored", body


async def test_without_a_secret_none_is_taken(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url) as unset:
        for signature in (None, agora_notices.sign("", HEALTHY)):
            refused = await post(unset, HEALTHY, signature)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_configured")


def without(body: bytes, name: str) -> bytes:
    """Give a notice without one field of its payload."""
    said = json.loads(body)
    del said["payload"][name]
    return json.dumps(said).encode()


SESSION = "01890000-0000-7000-8000-000000000000"
OURS = notice(SESSION, 5)


# Each is signed well: what is wrong is what it says.
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_request"),
        (b"\x00", 400, "bad_request"),
        (b"null", 400, "bad_request"),
        (b"[]", 400, "bad_request"),
        (b'"x"', 400, "bad_request"),
        (b"noticeId=5", 400, "bad_request"),
        (b"\xef\xbb\xbf" + OURS, 400, "bad_request"),
        (OURS[:-1], 400, "bad_request"),
        (OURS + OURS, 400, "bad_request"),
        (b"[" * 65_536, 400, "bad_request"),
        (b'{"a":' * 10_000, 400, "bad_request"),
        (notice(SESSION, 5, payload=json.loads("[" * 900 + "]" * 900)), 400, "bad_request"),
        (OURS.replace(b'"uid": 5', b'"uid": ' + b"9" * 5000), 400, "bad_request"),
        (OURS.replace(b'"uid": 5', b'"uid": NaN'), 400, "bad_request"),
        (OURS.replace(b'"uid": 5', b'"uid": 1e999'), 400, "bad_request"),
        (OURS.replace(b'"uid": 5', b'"uid": 5.5'), 400, "bad_request"),
        (OURS.replace(b'"uid": 5', b'"uid": "5"'), 400, "bad_request"),
        (OURS.replace(b'"uid": 5', b'"uid": -5'), 400, "bad_request"),
        (OURS.replace(b'"uid": 5', b'"uid": true'), 400, "bad_request"),
        (OURS.replace(b'"clientSeq": 1', b'"clientSeq": 9223372036854775808'), 400, "bad_request"),
        (notice(SESSION, 5, noticeId="a\x00b"), 400, "bad_request"),
        (notice(SESSION, 5, noticeId="\ud800"), 400, "bad_request"),
        (notice(SESSION, 5, noticeId="x" * 129), 400, "bad_request"),
        (notice(SESSION, 5, noticeId=["x"]), 400, "bad_request"),
        (notice("\ud800", 5), 400, "bad_request"),
        (OURS.replace(b'"account": ""', b'"account": "\xff"'), 200, None),
        (OURS.replace(b'"uid": 5', b'"uid": 6, "uid": 5'), 200, None),
        (without(OURS, "account"), 200, None),
        (without(OURS, "channelName"), 400, "bad_request"),
        (without(OURS, "uid"), 400, "bad_request"),
        (without(OURS, "clientSeq"), 400, "bad_request"),
        (without(OURS, "ts"), 400, "bad_request"),
        (notice(SESSION, 5, payload="x" * 65_536), 413, "too_large"),
        (b" " * 10_000_000, 413, "too_large"),
    ],
    ids=lambda given: repr(given)[:40],
)
async def test_bad_bodies(node: RunningNode, body: bytes, status: int, code: str | None) -> None:
    answer = await post(node, body)
    assert answer.status_code == status, answer.text
    assert answer.json().get("error", {}).get("code") == code
    # Others notice nothing.
    assert await outcome(node, HEALTHY) == "ignored"


GOOD = agora_notices.sign(SECRET, HEALTHY)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Agora-Signature", "f" * 40)],
        [("Agora-Signature-V2", "")],
        [("Agora-Signature-V2", GOOD), ("agora-signature-v2", GOOD)],
        [("Agora-Signature-V2", f"{GOOD}, {GOOD}")],
        [("Agora-Signature-V2", GOOD.upper())],
        [("Agora-Signature-V2", GOOD[:-1])],
        [("Agora-Signature-V2", GOOD + "0")],
        [("Agora-Signature-V2", "g" * 64)],
        [("Agora-Signature-V2", "é" * 32)],
        [("Agora-Signature-V2", "0" * 9000)],
        [("Agora-Signature-V2", agora_notices.sign("another secret", HEALTHY))],
        [("Agora-Signature-V2", agora_notices.sign(SECRET, HEALTHY + b" "))],
        [("Agora-Signature-V2", agora_notices.sign("", HEALTHY))],
        [("Authorization", f"Bearer {token('host')}")],
    ],
    ids=lambda headers: repr(headers)[:60],
)
async def test_bad_signatures(node: RunningNode, headers: list[tuple[str, str]]) -> None:
    refusals = metrics.NOTICES.labels("refused")._value.get()
    given = [(name.encode(), value.encode()) for name, value in [*JSON.items(), *headers]]
    async with httpx.AsyncClient(base_url=node.http, verify=False) as http:
        refused = await http.post(PATH, content=HEALTHY, headers=given)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"] == "Agora-Signature-V2"
    assert SECRET not in refused.text
    assert metrics.NOTICES.labels("refused")._value.get() == refusals + 1


async def test_a_signature_round_the_right_one_is_no_better(node: RunningNode) -> None:
    # A client's library may trim what surrounds a header, as HTTP has it; nothing else is forgiven.
    assert (await post(node, HEALTHY, GOOD[::-1])).status_code == 401
    assert (await post(node, HEALTHY, GOOD)).status_code == 200
    # Spaces count: what is signed is bytes, not what they mean.
    assert (await post(node, HEALTHY.replace(b": ", b":"), GOOD)).status_code == 401


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 405),
        ("PUT", {}, 405),
        ("POST", {"Content-Type": "text/plain"}, 400),
        ("POST", {"Content-Type": ""}, 400),
        ("POST", {"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
    ids=str,
)
async def test_other_ways_to_ask(node: RunningNode, method: str, headers: dict[str, str], status: int) -> None:
    given = {**JSON, agora_notices.SIGNATURE: GOOD, **headers}
    assert (await node.request(method, PATH, content=HEALTHY, headers=given)).status_code == status


async def test_a_body_that_does_not_come(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, agora_webhook_secret=SECRET, http_timeout=0.2) as node:
        port = int(node.http.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode() + b"{")
        async with asyncio.timeout(5):
            assert b" 400 " in await reader.readline()
        writer.close()


async def test_openapi_says_how_a_notice_is_signed(node: RunningNode) -> None:
    document = (await node.request("GET", "/openapi.json")).json()
    operation = document["paths"][PATH]["post"]
    [name] = operation["security"][0]
    assert document["components"]["securitySchemes"][name] == {
        "type": "apiKey",
        "in": "header",
        "name": "Agora-Signature-V2",
    }
    body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert set(document["components"]["schemas"][body]["required"]) == {"noticeId", "productId", "eventType", "payload"}
