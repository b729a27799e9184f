"""Tokens of an issuer with published keys, on a real node: keys that come, go, are unknown, and can't be fetched."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from realtime import issuer
from tests.support.issuers import Key, Publisher, elliptic, publishing, rsa_key, says
from tests.support.nodes import RunningNode, answered, barred, serving, token

ONE, TWO, OWN = elliptic("one"), rsa_key("two"), elliptic("own")


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    async with publishing(ONE) as running:
        yield running


@asynccontextmanager
async def issued(migrated: str, redis_url: str, publisher: Publisher, **settings: Any) -> AsyncIterator[RunningNode]:
    """Run a node for the issuer's tokens."""
    quick = {"jwks_cooldown": 0.2, "jwks_timeout": 2.0, "jwt_secret": "", **settings}
    async with serving(migrated, redis_url, jwt_jwks_url=publisher.url, **quick) as node:
        yield node


async def test_a_token_by_a_published_key_is_good_on_both_ports(
    migrated: str, redis_url: str, publisher: Publisher
) -> None:
    async with issued(migrated, redis_url, publisher) as node:
        said = ONE.sign(says("ann", app_metadata={"role": "seller"}))
        welcome = await answered(node, said)
        assert (welcome["type"], welcome["user"]) == ("welcome", "ann")
        assert (await node.request("POST", "/v1/sessions", said, json={"title": "A show"})).status_code == 201
        # Without a secret there are no other tokens, and none can be minted.
        assert (await barred(node, token("ann")))[1] == 4401
        minted = await node.request("POST", "/dev/token", json={"user": "ann"})
        assert (minted.status_code, minted.json()["error"]["code"]) == (503, "not_configured")


async def test_a_new_key_is_fetched_when_a_token_names_it_once_for_all_who_wait(
    migrated: str, redis_url: str, publisher: Publisher
) -> None:
    async with issued(migrated, redis_url, publisher) as node:
        assert (await answered(node, ONE.sign(says())))["type"] == "welcome"
        publisher.publish(ONE, TWO)
        publisher.gate.clear()
        hellos = [asyncio.create_task(answered(node, TWO.sign(says(f"user-{n}")))) for n in range(20)]
        requests = [asyncio.create_task(node.request("GET", "/v1/sessions", TWO.sign(says()))) for _ in range(5)]
        await publisher.until_asked()
        # Whoever needs no new key waits for nobody.
        assert (await answered(node, ONE.sign(says())))["type"] == "welcome"
        publisher.gate.set()
        assert {answer["type"] for answer in await asyncio.gather(*hellos)} == {"welcome"}
        assert {answer.status_code for answer in await asyncio.gather(*requests)} == {200}
        assert len(publisher.asked) == 2


async def test_a_key_that_is_published_while_others_are_fetched_is_fetched_next(
    migrated: str, redis_url: str, publisher: Publisher
) -> None:
    async with issued(migrated, redis_url, publisher) as node:
        assert (await answered(node, ONE.sign(says())))["type"] == "welcome"
        publisher.gate.clear()
        made_up = asyncio.create_task(barred(node, OWN.sign(says())))
        await publisher.until_asked()
        publisher.publish(ONE, TWO)
        async with node.stranger() as client:
            await client.send("hello", id=1, token=TWO.sign(says()))
            request = asyncio.create_task(node.request("GET", "/v1/sessions", TWO.sign(says())))
            # Both wait by the time that others are answered who came after them.
            assert (await node.request("GET", "/healthz")).status_code == 200
            assert (await answered(node, ONE.sign(says())))["type"] == "welcome"
            publisher.gate.set()
            assert (await client.receive())["type"] == "welcome"
        assert (await request).status_code == 200
        assert (await made_up)[1] == 4401
        assert len(publisher.asked) == 3


async def test_made_up_names_of_keys_cost_the_issuer_no_more_than_the_cooldown_allows(
    migrated: str, redis_url: str, publisher: Publisher
) -> None:
    async with issued(migrated, redis_url, publisher, jwks_cooldown=0.5) as node:
        began = time.monotonic()
        for round_ in range(3):
            flood = [barred(node, OWN.sign(says(), kid=f"{round_}-{n}")) for n in range(20)]
            for error, close in await asyncio.gather(*flood):
                assert (error["code"], error["message"], close) == ("unauthenticated", "token forged", 4401)
        assert len(publisher.asked) <= 1 + (time.monotonic() - began) / 0.5 + 1


async def test_a_key_that_is_published_no_more_is_not_believed_any_more(
    migrated: str, redis_url: str, publisher: Publisher
) -> None:
    async with issued(migrated, redis_url, publisher, jwks_refresh=0.3) as node:
        publisher.publish(TWO)
        await publisher.until_asked(2)
        error, close = await barred(node, ONE.sign(says()))
        assert (error["code"], close) == ("unauthenticated", 4401)
        assert (await answered(node, TWO.sign(says())))["type"] == "welcome"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 No\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n<html>"])
async def test_while_the_issuer_is_away_known_keys_stay_good(
    migrated: str, redis_url: str, publisher: Publisher, answer: bytes
) -> None:
    async with issued(migrated, redis_url, publisher, jwks_refresh=0.1) as node:
        assert (await answered(node, ONE.sign(says())))["type"] == "welcome"
        publisher.answer = answer
        await publisher.until_asked(2)
        assert (await answered(node, ONE.sign(says())))["type"] == "welcome"


async def test_while_the_issuer_is_away_a_new_key_is_no_ones_fault_but_ours(
    migrated: str, redis_url: str, publisher: Publisher
) -> None:
    publisher.answer = b"HTTP/1.1 503 Away\r\n\r\n"
    async with issued(migrated, redis_url, publisher) as node:
        error, close = await barred(node, ONE.sign(says()))
        assert (error["code"], close) == ("unavailable", 4003)
        assert error["message"] == "the keys of access tokens can't be fetched now"
        assert 0 < error["retry_after_ms"] <= 201
        refused = await node.request("GET", "/v1/sessions", ONE.sign(says()))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert refused.headers["Retry-After"] == "1"
        publisher.publish(ONE)
        await publisher.until_asked()
        assert (await answered(node, ONE.sign(says())))["type"] == "welcome"


async def test_what_is_said_after_a_hello_that_waits_is_answered_in_its_order(
    migrated: str, redis_url: str, publisher: Publisher
) -> None:
    async with issued(migrated, redis_url, publisher, hello_timeout=0.5, heartbeat=2.0) as node:
        assert (await answered(node, ONE.sign(says())))["type"] == "welcome"
        publisher.publish(ONE, TWO)
        publisher.gate.clear()
        async with node.stranger() as client:
            await client.send("hello", id=1, token=TWO.sign(says()))
            await client.send("pong", id=2)
            # It has said hello in time: that we take longer is not its fault.
            with pytest.raises(TimeoutError):
                await client.receive(1.0)
            publisher.gate.set()
            assert [(await client.receive())["re"] for _ in range(2)] == [1, 2]


async def test_who_hangs_up_while_a_key_is_fetched_is_forgotten(
    migrated: str, redis_url: str, publisher: Publisher
) -> None:
    async with issued(migrated, redis_url, publisher) as node:
        assert (await answered(node, ONE.sign(says())))["type"] == "welcome"
        publisher.publish(ONE, TWO)
        publisher.gate.clear()
        async with node.stranger() as client:
            await client.send("hello", id=1, token=TWO.sign(says()))
            await publisher.until_asked()
        publisher.gate.set()
        assert (await answered(node, TWO.sign(says())))["type"] == "welcome"
        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(node.stranger())
            assert len(node.node.expiry) == 0


async def test_a_defect_while_a_key_is_fetched_keeps_nobody_waiting(
    migrated: str, redis_url: str, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with issued(migrated, redis_url, publisher) as node:
        assert (await answered(node, ONE.sign(says())))["type"] == "welcome"

        def fail(_document: bytes) -> None:
            raise ArithmeticError

        monkeypatch.setattr(issuer, "read_keys", fail)
        error, close = await barred(node, TWO.sign(says()))
        assert (error["code"], close) == ("internal", 4003)


async def test_a_fresh_token_may_be_by_a_new_key(migrated: str, redis_url: str, publisher: Publisher) -> None:
    async with issued(migrated, redis_url, publisher) as node, node.stranger() as client:
        assert (await client.ask("hello", token=ONE.sign(says())))["type"] == "welcome"
        publisher.publish(ONE, TWO)
        fresh = says(app_metadata={"role": "seller"})
        assert (await client.ask("token.refresh", token=TWO.sign(fresh)))["expires_at"] == fresh["exp"] * 1000
        assert (await client.ask("session.create", title="A show"))["type"] == "session"
        assert (await client.ask("token.refresh", token=OWN.sign(says())))["code"] == "unauthenticated"
        publisher.answer = b""
        assert (await client.ask("token.refresh", token=OWN.sign(says())))["code"] == "unavailable"
        assert (await client.ask("pong"))["type"] == "ack"


def supabase(key: Key) -> str:
    """Give a session's token as Supabase issues it."""
    return key.sign(
        says(
            "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            iss="https://project.example/auth/v1",
            aud="authenticated",
            role="authenticated",
            app_metadata={"provider": "email", "providers": ["email"], "role": "seller"},
            user_metadata={"role": "admin"},
            is_anonymous=False,
        )
    )


async def test_tokens_of_supabase_work_as_they_come(migrated: str, redis_url: str, publisher: Publisher) -> None:
    addressed = {"jwt_issuer": "https://project.example/auth/v1", "jwt_audience": "authenticated"}
    async with issued(migrated, redis_url, publisher, **addressed) as node, node.stranger() as client:
        assert (await client.ask("hello", token=supabase(ONE)))["type"] == "welcome"
        assert (await client.ask("session.create", title="A show"))["type"] == "session"
        assert (await barred(node, ONE.sign(says())))[0]["message"] == "token wrong_issuer"
