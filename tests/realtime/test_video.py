"""Agora tokens over a connection: asked for once, then renewed unasked, and only while they may be had."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.telemetry import metrics
from tests.support.nodes import Client, Message, RunningNode, serving, token
from tests.support.relay import relayed
from tokens import agora
from tokens.access import AccessRole
from tokens.grants import App

APP = App("970CA35de60c44645bbae8a215061b33", "5CFd2fd1755d40ecb72977518be15d3b")
KEYS = {"agora_app_id": APP.app_id, "agora_certificate": APP.certificate}
# Below what settings allow: the next token is sent after three seconds.
SHORT = 95
ANN = token("ann", AccessRole.SELLER)


@pytest.fixture
async def video(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url, **KEYS) as running:
        yield running


@pytest.fixture
async def hasty(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url, agora_lifetime=SHORT, **KEYS) as running:
        yield running


async def ask(client: Client, session: str) -> Message:
    """Ask for a token of a session that was joined."""
    given = await client.ask("agora.token", session=session)
    assert given["type"] == "agora.token", given
    return given


def said(given: Message) -> agora.RtcService:
    """Give what a token says, which must be what was told beside it."""
    token_said = agora.verify(given["token"], APP, int(time.time()))
    (service,) = token_said.services
    assert isinstance(service, agora.RtcService)
    assert (service.channel, service.uid, given["app_id"]) == (given["channel"], given["uid"], APP.app_id)
    assert set(service.privileges.values()) == {given["expires_at"] // 1000} == {token_said.expires_at}
    return service


def held(node: RunningNode) -> int:
    """Count the tokens that a node renews."""
    renewals = node.node.video.renewals
    assert len(renewals) == len(renewals._wheel)
    return len(renewals)


async def test_a_token_over_the_socket_is_the_one_over_http(video: RunningNode) -> None:
    session = await video.session("ann")
    async with video.client("bob") as bob:
        await bob.join(session)
        given = await ask(bob, session)
        path = f"/v1/sessions/{session}/agora-token"
        assert {"re": given["re"], **(await video.request("POST", path, token("bob"))).json()} == given
    assert set(said(given).privileges) == {1}
    assert (given["session"], given["channel"], given["role"]) == (session, session, "viewer")


async def test_what_is_refused(video: RunningNode, migrated: str, redis_url: str) -> None:
    session, scheduled = await video.session("ann"), await video.session("ann", live=False)
    async with video.client("bob") as bob:
        assert (await bob.ask("agora.token", session=session))["code"] == "forbidden"
        await bob.join(scheduled)
        refused = await bob.ask("agora.token", session=scheduled)
        assert (refused["code"], refused["state"]) == ("conflict", "scheduled")
        await bob.join(session)
        await ask(bob, session)
        await bob.ask("leave", session=session)
        assert (await bob.ask("agora.token", session=session))["code"] == "forbidden"
        assert (await bob.ask("agora.token", session="x"))["code"] == "bad_request"
    async with serving(migrated, redis_url) as without, without.client("bob") as bob:
        await bob.join(session)
        assert (await bob.ask("agora.token", session=session))["code"] == "not_configured"


async def test_the_next_one_comes_unasked_again_and_again(hasty: RunningNode) -> None:
    session = await hasty.session("ann")
    async with hasty.client("bob") as bob, hasty.client("bob") as phone:
        for device in (bob, phone):
            await device.join(session)
        given = await ask(bob, session)
        assert (await ask(phone, session))["token"] == given["token"]
        ends = [given["expires_at"]]
        for _ in range(2):
            pushed = await bob.until(type="agora.token")
            bob.pushes.clear()
            assert "re" not in pushed
            assert {**pushed, "re": given["re"]}.keys() == given.keys()
            assert said(pushed) == said(pushed)
            assert pushed["uid"] == given["uid"]
            # A minute and more before the SDK would warn of the last one.
            assert time.time() * 1000 <= ends[-1] - 90_000
            ends.append(pushed["expires_at"])
            # Both devices of the user have the same one.
            assert (await phone.until(type="agora.token"))["token"] == pushed["token"]
            phone.pushes.clear()
        assert ends == sorted(set(ends))


async def test_each_way_to_go_ends_the_renewal(hasty: RunningNode) -> None:
    one, two = await hasty.session("ann"), await hasty.session("ann")
    async with hasty.client("bob") as bob:
        for session in (one, two):
            await bob.join(session)
            await ask(bob, session)
            # A second join, and a second question, change nothing.
            await bob.join(session)
            await ask(bob, session)
        assert held(hasty) == 2
        await bob.ask("leave", session=one)
        assert held(hasty) == 1
    async with asyncio.timeout(5):
        while held(hasty):  # noqa: ASYNC110 - nodes tell nobody
            await asyncio.sleep(0.01)


async def test_a_session_that_ends_has_no_further_token(hasty: RunningNode) -> None:
    session = await hasty.session("ann")
    async with hasty.client("bob") as bob:
        await bob.join(session)
        await ask(bob, session)
        await hasty.request("POST", f"/v1/sessions/{session}/pause", ANN)
        await bob.until_event(kind="session.paused")
        await bob.until(type="agora.token")
        await hasty.request("POST", f"/v1/sessions/{session}/end", ANN)
        await bob.until_event(kind="session.ended")
        assert held(hasty) == 0
        refused = await bob.ask("agora.token", session=session)
        assert (refused["code"], refused["state"]) == ("conflict", "ended")


async def test_another_role_is_another_token_at_once(video: RunningNode, migrated: str, redis_url: str) -> None:
    session = await video.session("ann")
    async with (
        serving(migrated, redis_url, **KEYS) as other,
        video.client("ann", AccessRole.SELLER) as ann,
        other.client("bob") as bob,
        other.client("eve") as eve,
    ):
        for client in (ann, bob, eve):
            await client.join(session)
        given, _ = await ask(bob, session), await ask(eve, session)
        for role, privileges in (("cohost", {1, 2, 3, 4}), ("moderator", {1}), ("viewer", {1})):
            await ann.ask("session.role", session=session, user="bob", role=role)
            pushed = await bob.until(type="agora.token", role=role)
            assert (set(said(pushed).privileges), pushed["uid"]) == (privileges, given["uid"])
            assert (await ask(bob, session))["token"] == pushed["token"]
            bob.pushes.clear()
        # Nobody else has another role.
        await eve.until_event(kind="session.role", seq=5)
        assert [push for push in eve.pushes if push["type"] == "agora.token"] == []
        assert held(other) == 2


async def test_who_is_taken_out_of_a_private_session_gets_no_further_token(hasty: RunningNode) -> None:
    session = await hasty.session("ann")
    async with hasty.client("bob") as bob, hasty.client("eve") as eve:
        for client in (bob, eve):
            await client.join(session)
            await ask(client, session)
        path = f"/v1/sessions/{session}"
        await hasty.request("POST", f"{path}/guests", ANN, json={"allow": ["bob"]})
        await hasty.request("PATCH", path, ANN, json={"private": True})
        await eve.until(type="removed")
        assert held(hasty) == 1
        assert (await eve.ask("agora.token", session=session))["code"] == "forbidden"
        refused = await hasty.request("POST", f"{path}/agora-token", token("eve"))
        assert refused.status_code == 404
        await bob.until(type="agora.token")
        assert [push for push in eve.pushes if push["type"] == "agora.token"] == []


def held_up(video: RunningNode, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Hold numbers up; give what is set once they are asked for, and what lets them through."""
    numbers = video.node.video._issuer._numbers
    numbers_of, asked, go_on = numbers._numbers_of, asyncio.Event(), asyncio.Event()

    async def slowly(of: Any) -> Any:
        asked.set()
        await go_on.wait()
        return await numbers_of(of)

    monkeypatch.setattr(numbers, "_numbers_of", slowly)
    return asked, go_on


async def test_a_role_that_changes_while_the_number_is_asked_for(
    video: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await video.session("ann")
    asked, go_on = held_up(video, monkeypatch)
    async with video.client("ann", AccessRole.SELLER) as ann, video.client("bob") as bob, video.client("eve") as eve:
        for client in (ann, bob, eve):
            await client.join(session)
        asking = [asyncio.create_task(client.ask("agora.token", session=session)) for client in (bob, eve)]
        await asked.wait()
        await ann.ask("session.role", session=session, user="bob", role="cohost")
        await video.request("POST", f"/v1/sessions/{session}/guests", ANN, json={"allow": ["zoe"]})
        await ann.ask("session.update", session=session, private=True)
        go_on.set()
        given, refused = await asyncio.gather(*asking)
        assert (given["role"], set(said(given).privileges)) == ("cohost", {1, 2, 3, 4})
        assert refused["code"] == "forbidden"
        assert held(video) == 1


@pytest.mark.parametrize("what", ["end", "role", "private", "freeze"])
async def test_what_changes_while_the_number_is_asked_for_counts_over_http_too(
    video: RunningNode, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    session = await video.session("ann")
    asked, go_on = held_up(video, monkeypatch)
    # Whoever is frozen stays so, in the tests to come too.
    path, user = f"/v1/sessions/{session}", f"asks-{what}"
    changes: dict[str, tuple[str, str, str, dict[str, Any]]] = {
        "end": ("POST", f"{path}/end", ANN, {}),
        "role": ("PUT", f"{path}/members/{user}", ANN, {"json": {"role": "cohost"}}),
        "private": ("PATCH", path, ANN, {"json": {"private": True}}),
        "freeze": ("POST", f"/v1/users/{user}/freeze", token("root", AccessRole.ADMIN), {"json": {"reason": "spam"}}),
    }
    asking = asyncio.create_task(video.request("POST", f"{path}/agora-token", token(user)))
    await asked.wait()
    method, where, who, body = changes[what]
    assert (await video.request(method, where, who, **body)).status_code == 200
    go_on.set()
    given = await asking
    if what == "role":
        assert (given.json()["role"], set(said(given.json()).privileges)) == ("cohost", {1, 2, 3, 4})
    else:
        assert given.status_code == {"end": 409, "private": 404, "freeze": 403}[what], given.text


@pytest.mark.parametrize("how", ["cut", "frozen"])
async def test_renewals_come_in_time_while_both_stores_are_away(migrated: str, redis_url: str, how: str) -> None:
    async with relayed(migrated) as postgres, relayed(redis_url) as redis:
        stores: dict[str, Any] = {"database_timeout": 1.0, "redis_timeout": 0.5}
        async with (
            serving(postgres.url, redis.url, agora_lifetime=SHORT, **stores, **KEYS) as node,
            node.client("bob") as bob,
            node.client("eve") as eve,
        ):
            session = await node.session("ann")
            for client in (bob, eve):
                await client.join(session)
            given = await ask(bob, session)
            for relay in (postgres, redis):
                if how == "cut":
                    await relay.cut()
                else:
                    relay.freeze()
            # Who never had a number can't have one now; nor does HTTP know who may.
            refused = await eve.ask("agora.token", session=session)
            assert refused["code"] == "unavailable"
            assert refused["retry_after_ms"] > 0
            path = f"/v1/sessions/{session}/agora-token"
            assert (await node.request("POST", path, token("bob"))).status_code == 503
            for _ in range(2):
                pushed = await bob.until(type="agora.token")
                assert said(pushed).uid == given["uid"]
                assert time.time() * 1000 <= given["expires_at"] - 90_000
                given = pushed
                bob.pushes.clear()
            # Whoever asks again is known, too.
            assert (await ask(bob, session))["uid"] == given["uid"]
            for relay in (postgres, redis):
                if how == "cut":
                    await relay.listen()
                else:
                    relay.thaw()
            async with asyncio.timeout(5):
                while (again := await eve.ask("agora.token", session=session))["type"] == "error":
                    assert again["code"] == "unavailable"
                    await asyncio.sleep(again["retry_after_ms"] / 1000)
            assert said(again).uid != given["uid"]


async def test_they_are_counted(video: RunningNode) -> None:
    def counted() -> dict[str, Any]:
        given = metrics.TOKENS_GIVEN
        return {source: given.labels(source)._value.get() for source in ("built", "shared")}

    session = await video.session("ann")
    before = counted()
    async with video.client("bob") as bob:
        await bob.join(session)
        for _ in range(3):
            await ask(bob, session)
        after = counted()
        assert {source: after[source] - before[source] for source in before} == {"built": 1, "shared": 2}
