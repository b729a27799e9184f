"""Freezing users, on two nodes: connections end, tokens are worth nothing, and both come back with the end of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.support.nodes import Message, RunningNode, answered, barred, serving, token
from tests.support.relay import relayed
from tokens.access import AccessRole

Pair = tuple[RunningNode, RunningNode]
ROOT = token("root", AccessRole.ADMIN)
FROZEN = "this user is frozen"


@pytest.fixture
async def pair(migrated: str, redis_url: str) -> AsyncIterator[Pair]:
    async with serving(migrated, redis_url) as one, serving(migrated, redis_url) as two:
        yield one, two


async def change(node: RunningNode, user: str, how: str = "freeze", who: str = ROOT) -> httpx.Response:
    return await node.request("POST", f"/v1/users/{user}/{how}", who, json={"reason": "spam"})


async def test_a_frozen_user_is_out_on_every_node_within_a_second(pair: Pair) -> None:
    one, two = pair
    async with one.client("art") as first, two.client("art") as second, two.client("eve") as eve:
        frozen = await change(one, "art")
        began = time.monotonic()
        assert frozen.status_code == 200
        assert {**frozen.json(), "at": 0} == {"user": "art", "frozen": True, "at": 0, "by": "root", "reason": "spam"}
        assert [await client.until_closed() for client in (first, second)] == [(4403, FROZEN)] * 2
        assert time.monotonic() - began < 1
        assert (await eve.ask("pong"))["type"] == "ack"
        for node in pair:
            error, close = await barred(node, token("art"))
            assert (error["code"], error["message"], close) == ("forbidden", FROZEN, 4403)
            refused = await node.request("GET", "/v1/sessions", token("art"))
            assert (refused.status_code, refused.json()["error"]["message"]) == (403, FROZEN)
        session = await one.session()
        asked = await two.request("POST", f"/v1/sessions/{session}/agora-token", token("art"))
        assert asked.status_code == 403


async def test_a_user_is_let_in_again_on_every_node(pair: Pair) -> None:
    one, two = pair
    await change(one, "ben")
    thawed = await change(two, "ben", "unfreeze")
    assert thawed.json()["frozen"] is False
    async with asyncio.timeout(1):
        while (await answered(one, token("ben")))["type"] == "error":
            pass
    async with two.client("ben") as ben:
        assert (await ben.ask("pong"))["type"] == "ack"


async def test_without_redis_a_user_is_out_within_a_second_all_the_same(
    migrated: str, redis_url: str, pair: Pair
) -> None:
    async with (
        relayed(redis_url) as relay,
        serving(migrated, relay.url) as alone,
        alone.client("cal") as cal,
    ):
        await relay.cut()
        began = time.monotonic()
        await change(pair[0], "cal")
        assert await cal.until_closed() == (4403, FROZEN)
        assert time.monotonic() - began < 1


async def test_a_node_that_starts_knows_who_is_frozen(migrated: str, redis_url: str, pair: Pair) -> None:
    await change(pair[0], "dot")
    async with serving(migrated, redis_url) as late:
        assert (await barred(late, token("dot")))[1] == 4403


async def test_no_fresh_token_helps(pair: Pair) -> None:
    one = pair[0]
    async with one.client("fay") as fay:
        await change(one, "fay")
        assert (await fay.until_closed())[0] == 4403
    assert (await barred(one, token("fay")))[1] == 4403


@pytest.mark.parametrize("role", [AccessRole.VIEWER, AccessRole.SELLER, AccessRole.MODERATOR])
@pytest.mark.parametrize("how", ["freeze", "unfreeze"])
async def test_only_admins_freeze(pair: Pair, role: AccessRole, how: str) -> None:
    refused = await change(pair[0], "gus", how, token("mallory", role))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


async def test_nobody_freezes_themselves(pair: Pair) -> None:
    refused = await change(pair[0], "root")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "\u200b"}, {"reason": "x" * 201}, {"reason": 7}, {"reason": "x", "more": 1}]
)
async def test_a_freeze_has_a_reason(pair: Pair, body: Message) -> None:
    refused = await pair[0].request("POST", "/v1/users/hal/freeze", ROOT, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_request")
    assert (await answered(pair[0], token("hal")))["type"] == "welcome"


@asynccontextmanager
async def half_sent(
    node: RunningNode, path: str, who: str, body: Message
) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """Send a request without the end of its body; give what sends that, and gives the answer."""
    sent = json.dumps(body).encode()
    head = [
        f"POST {path} HTTP/1.1", "Host: here", f"Authorization: Bearer {who}", "Content-Type: application/json",
        f"Content-Length: {len(sent)}", "Connection: close", "", "",
    ]  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(node.http).port)

    async def finish() -> bytes:
        writer.write(sent[-1:])
        return await reader.read()

    try:
        writer.write("\r\n".join(head).encode() + sent[:-1])
        yield finish
    finally:
        writer.close()
        await writer.wait_closed()


async def test_who_is_frozen_while_a_request_arrives_does_nothing_by_it(pair: Pair) -> None:
    one = pair[0]
    eve = token("eve2", AccessRole.ADMIN)
    async with half_sent(one, "/v1/users/root/freeze", eve, {"reason": "revenge"}) as finish:
        # By then the node has seen her token.
        assert (await change(one, "eve2")).status_code == 200
        answer = await finish()
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert FROZEN.encode() in answer
    assert (await one.request("GET", "/v1/audit", ROOT)).status_code == 200


async def test_whose_token_ends_while_a_request_arrives_does_nothing_by_it(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, jwt_leeway=0) as node:
        ends = token("ida", AccessRole.SELLER, lifetime=2)
        async with half_sent(node, "/v1/sessions", ends, {"title": "Too late"}) as finish:
            while (await node.request("GET", "/v1/sessions", ends)).status_code == 200:
                pass
            answer = await finish()
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"token expired" in answer
