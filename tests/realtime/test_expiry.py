"""The end of a token on a live connection: the warning, the close, and the fresh token that comes in time."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from realtime import expiry
from tests.support.nodes import Client, RunningNode, serving, token
from tokens.access import AccessRole, SharedSecret, mint

TESTER = "whether a connection is a load tester's is said by its hello"
LEEWAY = 5
WARNING = 60
LIFETIME = 3600
REST = LIFETIME + LEEWAY


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url, jwt_leeway=LEEWAY, token_warning=WARNING) as running:
        yield running


def turn(node: RunningNode, ahead: float) -> bool:
    """Have the node look as if `ahead` seconds had passed."""
    return node.node.expiry.turn(time.time() + ahead)


async def test_a_connection_is_warned_and_then_closed_with_4300(node: RunningNode) -> None:
    async with node.client("bob") as bob:
        turn(node, REST - WARNING - 2)
        turn(node, REST - WARNING + 1)
        warning = await bob.until(type="token.expiring")
        assert (WARNING - 3) * 1000 < warning["expires_in_ms"] < WARNING * 1000
        turn(node, REST - 2)
        assert (await bob.ask("pong"))["type"] == "ack"
        turn(node, REST + 1)
        assert await bob.until_closed() == (4300, "token expired")
        assert [push["type"] for push in bob.pushes].count("token.expiring") == 1


async def test_a_connection_ends_by_itself_at_the_end_of_its_token(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, jwt_leeway=0) as node, AsyncExitStack() as stack:
        began = time.time()
        bob = await connected(stack, node, token("bob", lifetime=3))
        assert (await bob.until(type="token.expiring"))["expires_in_ms"] <= 3000
        assert (await bob.until_closed())[0] == 4300
        assert 2 <= time.time() - began <= 3 + 3 * expiry.BEAT


async def connected(stack: AsyncExitStack, node: RunningNode, said: str) -> Client:
    """Say hello with a certain token."""
    client = await stack.enter_async_context(node.stranger())
    assert (await client.ask("hello", token=said))["type"] == "welcome"
    return client


async def test_a_fresh_token_extends_the_connection(node: RunningNode) -> None:
    async with node.client("bob") as bob:
        turn(node, REST - WARNING + 1)
        await bob.until(type="token.expiring")
        fresh = await bob.ask("token.refresh", token=token("bob", lifetime=2 * LIFETIME))
        assert fresh["type"] == "token"
        assert fresh["expires_at"] / 1000 - time.time() > 2 * LIFETIME - 5
        turn(node, REST + 1)
        assert (await bob.ask("pong"))["type"] == "ack"
        assert [push["type"] for push in bob.pushes].count("token.expiring") == 1
        turn(node, 2 * LIFETIME + LEEWAY - WARNING + 1)
        turn(node, 2 * LIFETIME + LEEWAY + 1)
        assert (await bob.until_closed())[0] == 4300
        assert [push["type"] for push in bob.pushes].count("token.expiring") == 2


async def test_the_latest_token_counts_also_where_it_ends_earlier(node: RunningNode) -> None:
    async with node.client("bob") as bob:
        assert (await bob.ask("token.refresh", token=token("bob", lifetime=100)))["type"] == "token"
        turn(node, 100 + LEEWAY + 1)
        assert (await bob.until_closed())[0] == 4300


def forged(user: str) -> str:
    return mint(user, AccessRole.VIEWER, SharedSecret("x" * 32), int(time.time()), 600)


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        (lambda: token("eve"), "forbidden", "the token is another user's"),
        (lambda: token("eve", AccessRole.ADMIN), "forbidden", "the token is another user's"),
        (lambda: forged("bob"), "unauthenticated", "token forged"),
        (lambda: token("bob", lifetime=-60), "unauthenticated", "token expired"),
        (lambda: "nonsense", "unauthenticated", "token malformed"),
        (
            lambda: token("bob", synthetic=True),
            "conflict",
            TESTER,
        ),
        (lambda: "x" * 8193, "bad_request", None),
        (lambda: "", "bad_request", None),
        (lambda: 7, "bad_request", None),
    ],
    ids=["another's", "an admin's", "forged", "expired", "malformed", "a tester's", "too large", "empty", "a number"],
)
async def test_a_bad_token_is_refused_and_the_one_before_counts_on(
    node: RunningNode, said: Any, code: str, message: str | None
) -> None:
    async with node.client("bob") as bob:
        refused = await bob.ask("token.refresh", token=said())
        assert (refused["type"], refused["code"]) == ("error", code)
        assert message is None or refused["message"] == message
        assert (await bob.ask("pong"))["type"] == "ack"
        turn(node, REST + 1)
        assert (await bob.until_closed())[0] == 4300


async def test_a_role_that_a_fresh_token_gives_or_takes_counts_at_once(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("host") as host, node.client("mod") as mod:
        await host.join(session)
        first, second = [await host.say(session, text) for text in ("one", "two")]
        assert (await mod.join(session))["role"] == "viewer"
        delete = {"session": session, "key": "01932c07-3a6e-4cc0-8000-000000000001"}
        assert (await mod.ask("chat.delete", seq=first["seq"], **delete))["code"] == "forbidden"
        assert (await mod.ask("token.refresh", token=token("mod", AccessRole.MODERATOR)))["type"] == "token"
        assert (await mod.ask("chat.delete", seq=first["seq"], **delete))["type"] == "ack"
        assert (await mod.ask("token.refresh", token=token("mod")))["type"] == "token"
        delete["key"] = "01932c07-3a6e-4cc0-8000-000000000002"
        assert (await mod.ask("chat.delete", seq=second["seq"], **delete))["code"] == "forbidden"


async def test_who_loses_the_right_to_be_there_is_taken_out(node: RunningNode) -> None:
    session = await node.session()
    changed = await node.request(
        "PATCH", f"/v1/sessions/{session}", token("host", AccessRole.SELLER), json={"private": True}
    )
    assert changed.status_code == 200
    async with node.client("mod", AccessRole.MODERATOR) as mod, node.client("host") as host:
        assert (await mod.join(session))["type"] == "joined"
        assert (await mod.ask("token.refresh", token=token("mod")))["type"] == "token"
        removed = await mod.until(type="removed")
        assert (removed["session"], removed["code"]) == (session, "forbidden")
        await host.join(session)
        await host.say(session, "for those who may")
        assert (await mod.ask("history", session=session))["code"] == "forbidden"
        assert mod.events() == []


async def test_who_loses_the_right_to_be_there_is_taken_out_of_what_has_ended_too(node: RunningNode) -> None:
    session = await node.session()
    host = token("host", AccessRole.SELLER)
    changed = await node.request("PATCH", f"/v1/sessions/{session}", host, json={"private": True})
    assert changed.status_code == 200
    async with node.client("mod", AccessRole.MODERATOR) as mod:
        assert (await mod.join(session))["type"] == "joined"
        assert (await node.request("POST", f"/v1/sessions/{session}/end", host)).status_code == 200
        await mod.until_event(kind="session.ended")
        assert (await mod.ask("token.refresh", token=token("mod")))["type"] == "token"
        assert (await mod.until(type="removed"))["session"] == session
        assert (await mod.ask("history", session=session))["code"] == "forbidden"


async def test_many_ends_in_one_second_are_seen_to_in_portions(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH", 3)
    async with AsyncExitStack() as stack:
        said = token("bob")
        clients = [await connected(stack, node, said) for _ in range(7)]
        assert [turn(node, REST + 1) for _ in range(4)] == [True, True, False, False]
        for client in clients:
            assert (await client.until_closed())[0] == 4300
        assert len(node.node.expiry) == 0


async def test_nothing_is_kept_of_connections_that_are_gone(node: RunningNode) -> None:
    async with node.client("bob") as bob:
        assert len(node.node.expiry) == 1
        await bob.ask("token.refresh", token=token("bob", lifetime=2 * LIFETIME))
        assert len(node.node.expiry) == 1
    async with node.client("eve"):
        assert len(node.node.expiry) == 1
    assert not turn(node, 10 * LIFETIME)
