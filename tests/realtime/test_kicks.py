"""Whom Agora is made to put out, and let in again, by a node and a server that speaks its API."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from persistence.agora_uids import Holder
from persistence.errors import Unavailable
from persistence.freezes import FrozenUsers
from realtime import kicks
from realtime.telemetry import metrics
from tests.realtime.test_video import ANN, KEYS, ask
from tests.support.agora_api import CREDENTIALS, AgoraApi, agora_api, http
from tests.support.nodes import RunningNode, serving, token
from tokens.access import AccessRole

OUT = ["join_channel"]
SILENT = ["publish_audio", "publish_video"]


@pytest.fixture
async def agora() -> AsyncIterator[AgoraApi]:
    async with agora_api() as api:
        yield api


@pytest.fixture
async def node(migrated: str, redis_url: str, agora: AgoraApi) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url, agora_api=agora.url, **KEYS, **CREDENTIALS) as running:
        yield running


def outcomes() -> dict[str, float]:
    return {name: metrics.KICKS.labels(name)._value.get() for name in ("made", "lifted", "failed", "dropped")}


async def uid_of(node: RunningNode, session: str, user: str) -> int:
    issued = await node.request("POST", f"/v1/sessions/{session}/agora-token", token(user))
    return int(issued.json()["uid"])


async def guests(node: RunningNode, session: str, **change: list[str]) -> None:
    changed = await node.request("POST", f"/v1/sessions/{session}/guests", ANN, json=change)
    assert changed.status_code == 200, changed.text


async def name(node: RunningNode, session: str, user: str, role: str) -> None:
    async with node.client("ann", AccessRole.SELLER) as ann:
        await ann.join(session)
        assert (await ann.ask("session.role", session=session, user=user, role=role))["type"] == "ack"


async def change(node: RunningNode, user: str, how: str) -> None:
    root = token("root", AccessRole.ADMIN)
    assert (await node.request("POST", f"/v1/users/{user}/{how}", root, json={"reason": "spam"})).status_code == 200


async def standing(node: RunningNode, agora: AgoraApi, session: str, uid: int) -> list[list[str]]:
    """Give what the rules forbid a user of a session, once all is done that waits."""
    await node.node.kicks.drain()
    return agora.of(session, uid)


async def test_a_session_that_ends_puts_everyone_out(node: RunningNode, agora: AgoraApi) -> None:
    empty, session = await node.session("ann"), await node.session("ann")
    await uid_of(node, session, "bob")
    for ended in (empty, session):
        await node.request("POST", f"/v1/sessions/{ended}/end", ANN)
    await agora.until_called(1)
    # In the other one nobody has a token.
    assert [rule["cname"] for rule in agora.rules.values()] == [session]
    assert agora.of(session) == [OUT]
    assert agora.rules[1]["time_in_seconds"] == 3660


async def test_a_cohost_that_was_is_silent_until_named_again(node: RunningNode, agora: AgoraApi) -> None:
    session = await node.session("ann")
    uid = await uid_of(node, session, "bob")
    await name(node, session, "bob", "cohost")
    await node.node.kicks.drain()
    assert agora.rules == {}
    for role, rules in (("viewer", [SILENT]), ("cohost", []), ("moderator", [SILENT])):
        await name(node, session, "bob", role)
        await node.node.kicks.drain()
        assert agora.of(session, uid) == rules
    # Who never had a number has nothing to lose.
    await name(node, session, "eve", "moderator")
    await node.node.kicks.drain()
    assert len(agora.rules) == 1


async def test_what_has_changed_again_meanwhile_is_not_done(
    node: RunningNode, agora: AgoraApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await node.session("ann")
    await uid_of(node, session, "bob")
    works = node.node.kicks
    holders, go_on = works._uids.holders, asyncio.Event()

    async def slowly(user: str, of: str | None = None) -> list[Holder]:
        await go_on.wait()
        return await holders(user, of)

    monkeypatch.setattr(works._uids, "holders", slowly)
    # The first one holds up the others until all is changed back.
    for role in ("moderator", "viewer", "cohost"):
        await name(node, session, "bob", role)
    go_on.set()
    await works.drain()
    assert {call[0] for call in agora.calls} == {"GET"}


async def test_what_changes_back_while_a_rule_is_made_is_seen_then(
    node: RunningNode, agora: AgoraApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await node.session("ann")
    uid = await uid_of(node, session, "gus")
    works = node.node.kicks
    look, calls = works._uids.holder, 0

    async def looked_up(of: str, number: int) -> Holder | None:
        nonlocal calls
        found = await look(of, number)
        calls += 1
        if calls == 1:
            # Another node lets the user in again just now, and finds no rule.
            frozen = FrozenUsers(node.node.log._postgres)
            await frozen.change("gus", frozen=False, by="root", reason="spam", address="")
        return found

    monkeypatch.setattr(works._uids, "holder", looked_up)
    await change(node, "gus", "freeze")
    await works.drain()
    assert [call[0] for call in agora.calls] == ["POST", "GET", "DELETE"]
    assert agora.of(session, uid) == []


async def test_a_guest_that_was_is_out_until_let_in_again(node: RunningNode, agora: AgoraApi) -> None:
    session = await node.session("ann")
    stands = partial(standing, node, agora, session, await uid_of(node, session, "bob"))
    # As long as the session is there for everyone, nobody is put out.
    await guests(node, session, allow=["bob"])
    await guests(node, session, remove=["bob"])
    assert await stands() == []
    await node.request("PATCH", f"/v1/sessions/{session}", ANN, json={"private": True})
    await guests(node, session, allow=["bob"])
    assert await stands() == []
    await guests(node, session, remove=["bob"])
    assert await stands() == [OUT]
    await guests(node, session, allow=["bob"])
    assert await stands() == []
    assert [call[0] for call in agora.calls] == ["GET", "GET", "POST", "GET", "DELETE"]


async def test_whoever_is_frozen_is_out_everywhere(node: RunningNode, agora: AgoraApi) -> None:
    sessions = [await node.session("ann") for _ in range(3)]
    uids = [await uid_of(node, session, "fay") for session in sessions]
    await uid_of(node, sessions[0], "eve")
    await node.request("POST", f"/v1/sessions/{sessions[2]}/end", ANN)
    await agora.until_called(1)
    agora.rules.clear()
    await change(node, "fay", "freeze")
    await agora.until_called(3)
    assert [agora.of(session, uid) for session, uid in zip(sessions, uids, strict=True)] == [[OUT], [OUT], []]
    assert len(agora.rules) == 2
    # Again, for an admin who has to make sure: a process may have died with its rules unmade.
    agora.rules.clear()
    await change(node, "fay", "freeze")
    await node.node.kicks.drain()
    assert len(agora.rules) == 2
    await change(node, "fay", "unfreeze")
    await node.node.kicks.drain()
    assert agora.rules == {}


async def test_what_is_taken_back_is_only_what_may_be_done_now(node: RunningNode, agora: AgoraApi) -> None:
    session = await node.session("ann")
    stands = partial(standing, node, agora, session, await uid_of(node, session, "hal"))
    await name(node, session, "hal", "cohost")
    assert await stands() == []
    await change(node, "hal", "freeze")
    assert await stands() == [OUT]
    # The host doesn't know of that, and can't let in whom an admin keeps out.
    await name(node, session, "hal", "moderator")
    await guests(node, session, allow=["hal"])
    await name(node, session, "hal", "cohost")
    assert OUT in await stands()
    await change(node, "hal", "unfreeze")
    assert await stands() == []
    # An admin who lets in a co-host that was does not let them publish, whether that ended meanwhile or before.
    await change(node, "hal", "freeze")
    await name(node, session, "hal", "viewer")
    assert OUT in await stands()
    await change(node, "hal", "unfreeze")
    assert await stands() == [SILENT]
    await change(node, "hal", "freeze")
    assert await stands() == [SILENT, OUT]
    await change(node, "hal", "unfreeze")
    assert await stands() == [SILENT]
    # Nor does the host who makes a guest of one.
    await node.request("PATCH", f"/v1/sessions/{session}", ANN, json={"private": True})
    await guests(node, session, allow=["hal"])
    assert await stands() == [SILENT]


async def test_whom_a_private_session_is_not_there_for_any_more_is_out(node: RunningNode, agora: AgoraApi) -> None:
    session = await node.session("ann")
    uid, works = await uid_of(node, session, "bob"), node.node.kicks
    await node.request("PATCH", f"/v1/sessions/{session}", ANN, json={"private": True})
    for role, rules in (("cohost", []), ("viewer", [OUT, SILENT]), ("cohost", []), ("viewer", [OUT, SILENT])):
        await name(node, session, "bob", role)
        await works.drain()
        assert agora.of(session, uid) == rules
    await name(node, session, "bob", "moderator")
    await works.drain()
    assert OUT not in agora.of(session, uid)
    await name(node, session, "bob", "viewer")
    await works.drain()
    assert OUT in agora.of(session, uid)
    # Who watches may be there again once everyone may.
    await node.request("PATCH", f"/v1/sessions/{session}", ANN, json={"private": False})
    await works.drain()
    assert set(map(tuple, agora.of(session, uid))) == {tuple(SILENT)}


async def test_rules_end_up_as_things_stand_whatever_two_nodes_do_at_once(
    migrated: str, redis_url: str, agora: AgoraApi, node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kicks, "PACE_SECONDS", 0.001)
    async with serving(migrated, redis_url, agora_api=agora.url, **KEYS, **CREDENTIALS) as other:
        session = await node.session("ann")
        uid = await uid_of(node, session, "joe")
        for one, two in [(node, other), (other, node)] * 4:
            await asyncio.gather(
                change(one, "joe", "freeze"),
                change(two, "joe", "unfreeze"),
                name(one, session, "joe", "cohost"),
                name(two, session, "joe", "viewer"),
            )
            for each in (one, two):
                await each.node.kicks.drain()
            holder = await node.node.kicks._uids.holder(session, uid)
            assert holder is not None
            forbidden = {ban for rule in agora.of(session, uid) for ban in rule}
            assert holder.joins is (OUT[0] not in forbidden)
            assert holder.publishes <= (not forbidden)
            # A viewer may be silent or not: who was a co-host meanwhile has to be.
            assert forbidden.isdisjoint(SILENT) or forbidden.issuperset(SILENT)


async def test_a_rule_that_is_gone_holds_up_no_other(node: RunningNode, agora: AgoraApi) -> None:
    session = await node.session("ann")
    uid, works = await uid_of(node, session, "ida"), node.node.kicks
    for rule in (901, 902):
        agora.rules[rule] = {"cname": session, "uid": uid, "privileges": OUT}
    agora.spoilt[:] = [http(200, {"status": "success", "rules": [{"id": n, **r} for n, r in agora.rules.items()]})]
    agora.spoilt.append(http(404, {}))
    works.froze("ida", frozen=False)
    await works.drain()
    assert [*agora.rules] == [901]


async def test_postgres_is_asked_again(node: RunningNode, agora: AgoraApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kicks, "PAUSE_SECONDS", 0.01)
    session = await node.session("ann")
    await uid_of(node, session, "bob")
    works = node.node.kicks
    some, left = works._uids.any, [Unavailable("away"), Unavailable("away")]

    async def at_last(of: str) -> bool:
        if left:
            raise left.pop()
        return await some(of)

    monkeypatch.setattr(works._uids, "any", at_last)
    works.ended(session)
    await works.drain()
    assert agora.of(session) == [OUT]
    before = outcomes()["failed"]
    left[:] = [Unavailable("away")] * 3
    works.ended(session)
    await works.drain()
    assert (outcomes()["failed"], len(agora.calls)) == (before + 1, 1)


async def test_a_node_that_stops_does_what_waits(migrated: str, redis_url: str, agora: AgoraApi) -> None:
    async with serving(migrated, redis_url, agora_api=agora.url, **KEYS, **CREDENTIALS) as node:
        sessions = [await node.session("ann") for _ in range(4)]
        for session in sessions:
            await uid_of(node, session, "bob")
            node.node.kicks.ended(session)
    assert [agora.of(session) for session in sessions] == [[OUT]] * 4


@pytest.mark.parametrize(
    ("spoilt", "calls", "made"),
    [
        ([http(504, {})], 2, True),
        ([b"HTTP/1.1 200 OK\r\n"[:5], http(429, {})], 3, True),
        ([http(401, {})], 1, False),
        ([http(200, {"status": "failure"})], 1, False),
        ([http(500, {})] * 3, 3, False),
        ([b"x" * ((1 << 20) + 100_000)] * 3, 3, False),
    ],
    ids=["a gateway's trouble", "cut, and too often", "refused", "failed", "trouble for ever", "too much"],
)
async def test_what_may_pass_is_tried_again(
    node: RunningNode,
    agora: AgoraApi,
    monkeypatch: pytest.MonkeyPatch,
    spoilt: list[bytes],
    calls: int,
    made: bool,
) -> None:
    monkeypatch.setattr(kicks, "PAUSE_SECONDS", 0.01)
    session = await node.session("ann")
    await uid_of(node, session, "bob")
    before = outcomes()
    agora.spoilt[:] = spoilt
    await node.request("POST", f"/v1/sessions/{session}/end", ANN)
    async with asyncio.timeout(10):
        while outcomes() == before:  # noqa: ASYNC110 - metrics tell nobody
            await asyncio.sleep(0.01)
    after = outcomes()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "made" if made else "failed": 1
    }
    assert len(agora.calls) == calls
    assert len(agora.rules) == made
    # What failed holds up nothing that comes later.
    node.node.kicks.ended(session)
    await agora.until_called(calls + 1)


async def test_silence_is_waited_for_so_long(migrated: str, redis_url: str, agora: AgoraApi) -> None:
    hasty: dict[str, Any] = {"agora_api": agora.url, "agora_api_timeout": 0.5, **KEYS, **CREDENTIALS}
    async with serving(migrated, redis_url, **hasty) as node:
        session = await node.session("ann")
        await uid_of(node, session, "bob")
        agora.spoilt[:] = [None]
        await node.request("POST", f"/v1/sessions/{session}/end", ANN)
        await agora.until_called(2)
    assert agora.of(session)


async def test_more_than_may_wait_are_dropped(migrated: str, redis_url: str, agora: AgoraApi) -> None:
    few: dict[str, Any] = {"agora_api": agora.url, "agora_kick_queue": 2, **KEYS, **CREDENTIALS}
    async with serving(migrated, redis_url, **few) as node:
        before = outcomes()["dropped"]
        for number in range(5):
            node.node.kicks.froze(f"user{number}", frozen=True)
        assert outcomes()["dropped"] == before + 3


async def test_without_an_account_nothing_is_asked_of_agora(migrated: str, redis_url: str, agora: AgoraApi) -> None:
    async with serving(migrated, redis_url, agora_api=agora.url, **KEYS) as node:
        session = await node.session("ann")
        async with node.client("bob") as bob:
            await bob.join(session)
            await ask(bob, session)
            await node.request("POST", f"/v1/sessions/{session}/end", ANN)
            await bob.until_event(kind="session.ended")
        assert node.node.kicks._jobs.empty()
    assert agora.calls == []
