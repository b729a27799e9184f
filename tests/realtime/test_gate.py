"""From where connections and requests come: how many are let in, and who is believed."""

import asyncio
import contextlib
from typing import Any, Final
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus

from realtime.domain.limits import DEFAULTS, Action, RateRole
from realtime.environment import SettingsError, load
from tests.support.frames import request
from tests.support.nodes import RunningNode, serving, token
from tokens.access import AccessRole

ON: Final[dict[str, Any]] = {"rate_limits": True}
FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\n"
PROXIED: Final[dict[str, Any]] = {"trusted_proxies": "127.0.0.0/8", **ON}


async def status_of(node: RunningNode, forwarded: str | None = None) -> int:
    """Shake hands and hang up; give the status of the answer."""
    try:
        async with node.stranger(forwarded=forwarded):
            return 101
    except InvalidStatus as refused:
        # What it says is when to come back.
        return refused.response.status_code if refused.response.headers["Retry-After"] == "1" else 0


async def hold(node: RunningNode, stack: contextlib.AsyncExitStack, count: int, forwarded: str | None = None) -> None:
    """Keep so many connections open."""
    for _ in range(count):
        await stack.enter_async_context(node.stranger(forwarded=forwarded))


async def test_an_address_has_only_so_many_connections(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, address_connections=3) as node, contextlib.AsyncExitStack() as stack:
        await hold(node, stack, 3)
        assert await status_of(node) == 429
        await stack.aclose()
        async with asyncio.timeout(5):
            while await status_of(node) != 101:
                pass


async def test_sockets_that_say_nothing_count_too_and_beyond_some_more_are_cut(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, address_connections=3, hello_timeout=30) as node:
        port = int(node.websocket.split(":")[2].partition("/")[0])
        there = [await asyncio.open_connection("127.0.0.1", port) for _ in range(103)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(5):
                assert await reader.read() == b""
        for _, other in [*there, (reader, writer)]:
            other.close()


@pytest.mark.parametrize("limit", ["address_connections", "max_connections"])
async def test_who_connects_first_has_a_place_though_a_crowd_is_there_before_anyone_shakes_hands(
    limit: str, migrated: str, redis_url: str
) -> None:
    limits: dict[str, Any] = {limit: 3}
    async with serving(migrated, redis_url, **limits) as node:
        port = int(node.websocket.split(":")[2].partition("/")[0])
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        for _, writer in crowd:
            writer.write(request())
        answers = [await reader.readline() for reader, _ in crowd]
        refused = b"HTTP/1.1 429 Too Many Requests\r\n" if limit == "address_connections" else FULL
        assert answers == [b"HTTP/1.1 101 Switching Protocols\r\n"] * 3 + [refused] * 5
        for _, writer in crowd:
            writer.close()


async def test_an_address_shakes_hands_only_so_often(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **ON) as node:
        assert [await status_of(node) for _ in range(20)] == [101] * 20
        exhaust(node, Action.HANDSHAKE, "127.0.0.1")
        assert await status_of(node) == 429


def exhaust(node: RunningNode, action: Action, address: str) -> None:
    """Leave an address without tokens for half a second."""
    node.node.limits.wait_ms_of(address, action)
    rate = DEFAULTS[action, RateRole.ADDRESS].rate
    node.node.limits._addresses.settle(f"{action}:{address}", -rate / 2, 0.0)


async def test_above_the_rate_of_the_node_all_are_asked_to_come_back(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, handshake_rate=1) as node:
        statuses = [await status_of(node) for _ in range(5)]
        assert statuses[0] == 101
        assert 503 in statuses
        await asyncio.sleep(1)
        assert await status_of(node) == 101


async def test_an_address_that_is_refused_takes_nobodys_turn(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **PROXIED, handshake_rate=3) as node:
        exhaust(node, Action.HANDSHAKE, "198.51.100.1")
        assert [await status_of(node, forwarded="198.51.100.1") for _ in range(10)] == [429] * 10
        assert await status_of(node, forwarded="198.51.100.2") == 101


async def test_a_storm_of_five_hundred_a_second_is_let_in(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **ON) as node:
        for _ in range(10):
            assert await asyncio.gather(*(status_of(node) for _ in range(50))) == [101] * 50


async def test_behind_a_trusted_proxy_each_client_is_one(migrated: str, redis_url: str) -> None:
    async with (
        serving(migrated, redis_url, **PROXIED, address_connections=2) as node,
        contextlib.AsyncExitStack() as stack,
    ):
        await hold(node, stack, 2, forwarded="198.51.100.1")
        assert await status_of(node, forwarded="198.51.100.1") == 429
        # What a client writes itself comes before what the proxy adds.
        assert await status_of(node, forwarded="203.0.113.5, 198.51.100.1") == 429
        assert await status_of(node, forwarded="198.51.100.2") == 101
        # One IPv6 network is one client.
        await hold(node, stack, 2, forwarded="2001:db8::1")
        assert await status_of(node, forwarded="2001:db8::2") == 429
        assert await status_of(node, forwarded="2001:db8:0:1::1") == 101


async def test_without_a_trusted_proxy_nobody_is_believed(migrated: str, redis_url: str) -> None:
    async with (
        serving(migrated, redis_url, **ON, address_connections=2) as node,
        contextlib.AsyncExitStack() as stack,
    ):
        await hold(node, stack, 2, forwarded="198.51.100.1")
        assert await status_of(node, forwarded="198.51.100.2") == 429


async def test_unlimited_addresses_are_not_limited(migrated: str, redis_url: str) -> None:
    async with (
        serving(migrated, redis_url, **PROXIED, address_connections=2, unlimited_addresses="198.51.100.0/24") as node,
        contextlib.AsyncExitStack() as stack,
    ):
        await hold(node, stack, 5, forwarded="198.51.100.1")
        exhaust(node, Action.HTTP, "198.51.100.1")
        asked = await node.request("GET", "/healthz", headers={"X-Forwarded-For": "198.51.100.1"})
        assert asked.status_code == 200


async def test_an_address_asks_over_http_only_so_often(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **PROXIED) as node:
        exhaust(node, Action.HTTP, "198.51.100.1")
        for path in ("/v1/sessions", "/nowhere", "/", "/metrics"):
            refused = await node.request("GET", path, headers={"X-Forwarded-For": "198.51.100.1"})
            assert refused.status_code == 429
            assert refused.headers["Retry-After"] == "1"
            error = refused.json()["error"]
            assert error["code"] == "rate_limited"
            assert error["retry_after_ms"] > 0
        other = await node.request("GET", "/healthz", headers={"X-Forwarded-For": "198.51.100.2"})
        assert other.status_code == 200
        # Agora's notices come from few addresses, and are signed.
        notice = await node.request("POST", "/v1/agora/events", headers={"X-Forwarded-For": "198.51.100.1"}, json={})
        assert notice.status_code != 429


async def test_a_user_asks_over_http_only_so_often(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, unlimited_addresses="127.0.0.1", **ON) as node:
        session = await node.session()
        bob, ada = token("bob"), token("ada", AccessRole.ADMIN)
        notices, body = "/v1/users/eve/notices", {"text": "Hi.", "key": str(uuid4())}
        asked = [(await node.request("POST", notices, bob, json=body)).json()["error"] for _ in range(40)]
        assert asked[0]["code"] == "forbidden"
        assert asked[-1]["code"] == "rate_limited"
        assert asked[-1]["retry_after_ms"] > 0
        # That was his notices; to read is something else, and so is somebody else.
        assert (await node.request("GET", f"/v1/sessions/{session}", bob)).status_code == 200
        assert (await node.request("POST", notices, ada, json=body)).is_success


@pytest.mark.parametrize("name", ["trusted_proxies", "unlimited_addresses"])
def test_networks_are_checked_at_the_start(name: str) -> None:
    with pytest.raises(SettingsError, match=f"STAGEWIRE_{name.upper()}"):
        load({f"STAGEWIRE_{name.upper()}": "10.0.0.1/8"})
