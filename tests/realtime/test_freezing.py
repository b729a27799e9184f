"""Freezing users, on two nodes: connections end, tokens are worth nothing, and both come back with the end of it."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.nodes import Client, Message, RunningNode, serving, token
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


async def close_of(client: Client) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        await client.until(type="nothing")
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def barred(node: RunningNode, user: str) -> tuple[Message, int]:
    async with node.stranger() as client:
        return await client.ask("hello", token=token(user)), (await close_of(client))[0]


async def test_a_frozen_user_is_out_on_every_node_within_a_second(pair: Pair) -> None:
    one, two = pair
    async with one.client("art") as first, two.client("art") as second, two.client("eve") as eve:
        frozen = await change(one, "art")
        began = time.monotonic()
        assert frozen.status_code == 200
        assert {**frozen.json(), "at": 0} == {"user": "art", "frozen": True, "at": 0, "by": "root", "reason": "spam"}
        assert [await close_of(client) for client in (first, second)] == [(4403, FROZEN)] * 2
        assert time.monotonic() - began < 1
        assert (await eve.ask("pong"))["type"] == "ack"
        for node in pair:
            error, close = await barred(node, "art")
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
        while (await answered(one, "ben"))["type"] == "error":
            pass
    async with two.client("ben") as ben:
        assert (await ben.ask("pong"))["type"] == "ack"


async def answered(node: RunningNode, user: str) -> Message:
    async with node.stranger() as client:
        return await client.ask("hello", token=token(user))


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
        assert await close_of(cal) == (4403, FROZEN)
        assert time.monotonic() - began < 1


async def test_a_node_that_starts_knows_who_is_frozen(migrated: str, redis_url: str, pair: Pair) -> None:
    await change(pair[0], "dot")
    async with serving(migrated, redis_url) as late:
        assert (await barred(late, "dot"))[1] == 4403


async def test_no_fresh_token_helps(pair: Pair) -> None:
    one = pair[0]
    async with one.client("fay") as fay:
        await change(one, "fay")
        assert (await close_of(fay))[0] == 4403
    assert (await barred(one, "fay"))[1] == 4403


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
    assert (await answered(pair[0], "hal"))["type"] == "welcome"
