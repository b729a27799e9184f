"""Private sessions: who sees them, who is let in, who asks, and who is taken out, on two nodes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from realtime.protocol.codec import Format
from tests.support.nodes import Client, Message, RunningNode, audience, serving, token
from tokens import grants
from tokens.access import AccessRole

Pair = tuple[RunningNode, RunningNode]
ANN = token("ann", AccessRole.SELLER)
AGORA = {"agora_app_id": "970CA35de60c44645bbae8a215061b33", "agora_certificate": "5CFd2fd1755d40ecb72977518be15d3b"}
SMALL = {"guests": 3, "requests": 2}


@pytest.fixture
async def pair(migrated: str, redis_url: str) -> AsyncIterator[Pair]:
    settings = {**AGORA, **SMALL}
    async with serving(migrated, redis_url, **settings) as one, serving(migrated, redis_url, **settings) as two:
        yield one, two


async def private(node: RunningNode, *allow: str) -> str:
    """Give a private session of Ann's that is live."""
    session = await node.session("ann")
    await patch(node, session, private=True)
    if allow:
        await guests(node, session, allow=list(allow))
    return session


async def patch(node: RunningNode, session: str, **changes: Any) -> Message:
    changed = await node.request("PATCH", f"/v1/sessions/{session}", ANN, json=changes)
    assert changed.status_code == 200, changed.text
    view: Message = changed.json()
    return view


async def guests(node: RunningNode, session: str, **lists: list[str]) -> Message:
    changed = await node.request("POST", f"/v1/sessions/{session}/guests", ANN, json=lists)
    assert changed.status_code == 200, changed.text
    done: Message = changed.json()
    return done


async def silent(client: Client, session: str) -> None:
    """Make sure that nothing of a session came after the client was taken out."""
    await client.ask("pong")
    out = next(n for n, push in enumerate(client.pushes) if push["type"] == "removed")
    assert [push for push in client.pushes[out + 1 :] if push.get("session") == session] == []


async def test_only_those_who_may_come_are_let_in(pair: Pair) -> None:
    one = pair[0]
    session = await private(one, "bob")
    await one.request("PUT", f"/v1/sessions/{session}/members/carl", ANN, json={"role": "cohost"})
    await one.request("PUT", f"/v1/sessions/{session}/members/mona", ANN, json={"role": "moderator"})
    for node in pair:
        for user, role, joins in [
            ("ann", AccessRole.SELLER, True),
            ("root", AccessRole.ADMIN, True),
            ("mod", AccessRole.MODERATOR, True),
            ("carl", AccessRole.VIEWER, True),
            ("mona", AccessRole.VIEWER, True),
            ("bob", AccessRole.VIEWER, True),
            ("eve", AccessRole.VIEWER, False),
            ("sue", AccessRole.SELLER, False),
        ]:
            await check_access(node, session, user, role, joins=joins)


async def check_access(node: RunningNode, session: str, user: str, role: AccessRole, *, joins: bool) -> None:
    async with node.client(user, role) as client:
        reply = await client.join(session)
        assert reply["type"] == ("joined" if joins else "error"), (user, reply)
        if not joins:
            assert (reply["code"], "you may ask" in reply["message"]) == ("forbidden", True)
            assert (await client.say(session, "hello"))["code"] == "forbidden"
    who, path = token(user, role), f"/v1/sessions/{session}"
    for sub in ("", "/events", "/search?q=x"):
        found = await node.request("GET", f"{path}{sub}", who)
        assert found.status_code == (200 if joins else 404), (user, sub, found.text)
    listed = (await node.request("GET", "/v1/sessions?limit=200", who)).json()["sessions"]
    assert (session in [one["id"] for one in listed]) is joins
    video = await node.request("POST", f"{path}/agora-token", who)
    assert video.status_code == (200 if joins else 404), (user, video.text)
    if user == "carl":
        assert video.json()["role"] == grants.Role.COHOST
    edits = await node.request("GET", f"{path}/events/1/edits", who)
    assert edits.status_code == (403 if user == "bob" else 404)


@pytest.mark.parametrize("fmt", Format)
async def test_who_may_not_be_there_any_more_is_taken_out_at_once(pair: Pair, fmt: Format) -> None:
    one, two = pair
    session = await one.session("ann")
    await guests(one, session, allow=["bob", "eve"])
    async with (
        two.client("bob") as bob,
        two.client("eve", fmt=fmt) as eve,
        one.client("pat", fmt=fmt) as pat,
        one.client("ann", AccessRole.SELLER) as ann,
    ):
        for client in (bob, eve, pat, ann):
            await client.join(session)
        changed = await patch(one, session, private=True)
        await ann.say(session, "only for guests")
        removed = await pat.until(type="removed")
        assert removed == {
            "type": "removed",
            "session": session,
            "code": "forbidden",
            "message": "the session is private: you may ask to be let in",
        }
        await bob.until_event(seq=changed["version"] + 1)
        # The turn to private, of which they learn by being taken out, and whatever comes after it.
        assert "session.updated" not in [event["kind"] for event in pat.events()]
        assert await guests(two, session, remove=["eve", "zoe"], allow=["bob", "joe"]) == {"allowed": 1, "removed": 1}
        said = await ann.say(session, "not for eve")
        await eve.until(type="removed", session=session)
        await bob.until_event(seq=said["seq"])
        await silent(eve, session)
        await silent(pat, session)
        for client in (eve, pat):
            assert (await client.ask("history", session=session))["code"] == "forbidden"
            assert (await client.join(session))["code"] == "forbidden"
        # Everyone knows that the guests have changed, and nobody how.
        event = next(event for event in bob.events() if event["kind"] == "session.guests")
        assert set(event["body"]) == {"state", "version", "ends_at"}
        page = await bob.ask("history", session=session)
        assert "joe" not in str(page)
        told = (await one.request("GET", f"/v1/sessions/{session}/events", ANN)).json()["events"]
        assert [set(e["body"]) for e in told if e["kind"] == "session.guests"] == [{"state", "version", "ends_at"}] * 2
        await bob.until(kind="audience", audience=audience(2, 2, chatters=1))
        # And who is let in again is.
        await guests(one, session, allow=["eve"])
        assert (await eve.join(session))["type"] == "joined"


async def test_a_demoted_member_is_taken_out(pair: Pair) -> None:
    one, two = pair
    session = await private(one)
    path = f"/v1/sessions/{session}/members/carl"
    await one.request("PUT", path, ANN, json={"role": "moderator"})
    async with two.client("carl") as carl:
        await carl.join(session)
        await one.request("PUT", path, ANN, json={"role": "viewer"})
        await carl.until(type="removed")
        assert (await carl.join(session))["code"] == "forbidden"


async def test_whoever_is_taken_out_without_redis_is_so_within_a_moment(migrated: str) -> None:
    nowhere = "unix:///nonexistent/valkey.sock"
    async with serving(migrated, nowhere) as one, serving(migrated, nowhere) as two:
        session = await private(one, "bob", "eve")
        async with two.client("bob") as bob, two.client("eve") as eve:
            await bob.join(session)
            await eve.join(session)
            await guests(one, session, remove=["eve"])
            async with one.client("ann", AccessRole.SELLER) as ann:
                await ann.join(session)
                said = await ann.say(session, "secret")
            await bob.until_event(seq=said["seq"])
            await eve.until(type="removed")
            assert eve.events() == []


async def test_a_page_that_is_read_meanwhile_is_not_given(
    migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(migrated, redis_url, ring_events=1, replay_limit=1) as node:
        session = await private(node, "bob")
        reading, go_on = asyncio.Event(), asyncio.Event()
        after = node.node.log.after

        async def slowly(session: str, seq: int, limit: int) -> Any:
            reading.set()
            await go_on.wait()
            return await after(session, seq, limit)

        monkeypatch.setattr(node.node.log, "after", slowly)
        async with node.client("bob") as bob:
            await bob.join(session)
            asking = asyncio.create_task(bob.ask("history", session=session))
            await reading.wait()
            await guests(node, session, remove=["bob"])
            go_on.set()
            assert (await asking)["code"] == "forbidden"


@pytest.mark.parametrize("allowed", [[], ["bob"]], ids=["taken out", "a guest still"])
async def test_while_a_message_is_looked_up_its_deletion_may_become_forbidden(
    migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, allowed: list[str]
) -> None:
    async with serving(migrated, redis_url, ring_events=1) as node:
        session = await private(node, *allowed)
        path = f"/v1/sessions/{session}/members/bob"
        assert (await node.request("PUT", path, ANN, json={"role": "moderator"})).status_code == 200
        reading, go_on = asyncio.Event(), asyncio.Event()
        event = node.node.log.event

        async def slowly(session: str, seq: int) -> Any:
            reading.set()
            await go_on.wait()
            return await event(session, seq)

        monkeypatch.setattr(node.node.log, "event", slowly)
        async with node.client("bob") as bob, node.client("ann", AccessRole.SELLER) as ann:
            await ann.join(session)
            await bob.join(session)
            seq = (await ann.say(session, "mine"))["seq"]
            await ann.say(session, "and more")
            deletion = {"session": session, "seq": seq, "key": str(uuid4())}
            asking = asyncio.create_task(bob.ask("chat.delete", **deletion))
            await reading.wait()
            assert (await node.request("PUT", path, ANN, json={"role": "viewer"})).status_code == 200
            go_on.set()
            assert (await asking)["code"] == "forbidden"


async def test_who_asks_is_heard_and_answered(pair: Pair) -> None:
    one, two = pair
    session = await private(one)
    await one.request("PUT", f"/v1/sessions/{session}/members/carl", ANN, json={"role": "cohost"})
    async with (
        one.client("ann", AccessRole.SELLER) as ann,
        two.client("carl") as carl,
        two.client("bob") as bob,
        one.client("eve") as eve,
    ):
        await carl.join(session)
        for _ in range(2):
            assert (await bob.ask("session.ask", session=session))["type"] == "ack"
        for client in (ann, carl):
            entry = await entry_of(client, session)
            assert (entry["kind"], entry["by"], entry["body"]) == ("request", "bob", {"session": session})
        await eve.ask("session.ask", session=session)
        asked = (await one.request("GET", f"/v1/sessions/{session}/guests?standing=asked", ANN)).json()
        assert [(guest["user"], guest["standing"]) for guest in asked["guests"]] == [("bob", "asked"), ("eve", "asked")]

        assert (await bob.ask("session.answer", session=session, user="bob", accept=True))["code"] == "not_found"
        accept = {"session": session, "user": "bob", "accept": True}
        for client in (carl, ann):
            assert (await client.ask("session.answer", **accept))["type"] == "ack"
        assert (await ann.ask("session.answer", **{**accept, "accept": False}))["code"] == "conflict"
        entry = await entry_of(bob, session)
        assert (entry["kind"], entry["by"]) == ("answer", "ann")
        assert entry["body"] == {"session": session, "accepted": True}
        assert (await bob.join(session))["type"] == "joined"
        assert (await bob.ask("session.ask", session=session))["code"] == "conflict"

        declined = await two.request("POST", f"/v1/sessions/{session}/guests/eve", ANN, json={"accept": False})
        assert declined.json() == {"user": "eve", "accepted": False}
        entry = await entry_of(eve, session)
        assert entry["body"] == {"session": session, "accepted": False}
        again = await eve.ask("session.ask", session=session)
        assert (again["code"], again["message"]) == ("forbidden", "the host has declined")
        # The host may think better of it.
        await two.request("POST", f"/v1/sessions/{session}/guests/eve", ANN, json={"accept": True})
        assert (await eve.join(session))["type"] == "joined"
        assert (await ann.ask("session.answer", session=session, user="zoe", accept=True))["code"] == "not_found"
        # Each was told once.
        for client in (ann, carl, bob, eve):
            await client.ask("pong")
        for client, count in ((ann, 2), (carl, 2), (bob, 1), (eve, 2)):
            assert len(entries(client, session)) == count


def entries(client: Client, session: str) -> list[Message]:
    """Give the entries of the client's inbox that are about a session."""
    pushed = [entry for push in client.pushes if push["type"] == "inbox" for entry in push["entries"]]
    return [entry for entry in pushed if entry["body"].get("session") == session]


async def entry_of(client: Client, session: str) -> Message:
    """Wait for an entry about a session, and give the first."""
    async with asyncio.timeout(5):
        while not entries(client, session):
            await client.receive()
    return entries(client, session)[0]


async def test_the_bounds_of_guests_and_requests(pair: Pair) -> None:
    one, two = pair
    session = await private(one)
    path = f"/v1/sessions/{session}/guests"
    assert await guests(one, session, allow=["a", "b", "b"]) == {"allowed": 2, "removed": 0}
    full = await one.request("POST", path, ANN, json={"allow": ["c", "d"]})
    assert full.json()["error"]["message"] == "at most 3 guests"
    assert await guests(one, session, allow=["c", "d"], remove=["a"]) == {"allowed": 2, "removed": 1}
    # Nothing changes, and there is no event.
    version = (await one.request("GET", f"/v1/sessions/{session}", ANN)).json()["version"]
    assert await guests(one, session, allow=["c"], remove=["zoe"]) == {"allowed": 0, "removed": 0}
    assert (await one.request("GET", f"/v1/sessions/{session}", ANN)).json()["version"] == version
    both = await one.request("POST", path, ANN, json={"allow": ["c"], "remove": ["c"]})
    assert both.json()["error"]["code"] == "bad_request"
    assert (await one.request("POST", path, ANN, json={"allow": ["x"] * 1001})).status_code == 400
    for user, answered in (("u", "ack"), ("v", "ack"), ("w", "error")):
        async with two.client(user) as client:
            assert (await client.ask("session.ask", session=session))["type"] == answered
    async with two.client("w") as client:
        await one.request("POST", f"{path}/u", ANN, json={"accept": False})
        assert (await client.ask("session.ask", session=session))["type"] == "ack"


async def test_the_list_of_guests_has_pages(pair: Pair) -> None:
    one, _ = pair
    session = await private(one, "a", "b", "c")
    path = f"/v1/sessions/{session}/guests"
    async with one.client("d") as client:
        await client.ask("session.ask", session=session)
    pages, cursor = [], ""
    while True:
        page = (await one.request("GET", f"{path}?limit=2{cursor}", ANN)).json()
        pages.append([guest["user"] for guest in page["guests"]])
        if "cursor" not in page:
            break
        cursor = f"&cursor={page['cursor']}"
    assert pages == [["a", "b"], ["c", "d"]]
    assert [g["user"] for g in (await one.request("GET", f"{path}?standing=asked", ANN)).json()["guests"]] == ["d"]
    assert (await one.request("GET", path, token("a"))).status_code == 403
    assert (await one.request("GET", f"{path}?standing=others", ANN)).status_code == 400


async def test_whoever_is_allowed_after_asking_is_answered(pair: Pair) -> None:
    one, two = pair
    session = await private(one)
    async with two.client("bob") as bob:
        await bob.ask("session.ask", session=session)
        await guests(one, session, allow=["bob"])
        assert (await entry_of(bob, session))["body"] == {"session": session, "accepted": True}


async def test_nobody_asks_where_that_is_of_no_use(pair: Pair) -> None:
    one, _ = pair
    open_to_all = await one.session("ann")
    async with one.client("bob") as bob, one.client("ann", AccessRole.SELLER) as ann:
        assert (await bob.ask("session.ask", session=open_to_all))["message"] == "you may join"
        ended = await private(one)
        await ann.ask("session.end", session=ended)
        assert (await bob.ask("session.ask", session=ended))["state"] == "ended"
        missing = await bob.ask("session.ask", session=ended.replace(ended[:8], "00000000"))
        assert missing["code"] == "not_found"


async def test_who_is_not_there_any_more_is_not_mentioned(pair: Pair) -> None:
    one, _ = pair
    session = await private(one, "bob", "eve")
    async with one.client("bob") as bob, one.client("eve") as eve, one.client("ann", AccessRole.SELLER) as ann:
        for client in (bob, eve, ann):
            await client.join(session)
        for client in (bob, eve):
            await client.say(session, "hello")
        await eve.ask("leave", session=session)
        await guests(one, session, remove=["bob"])
        await bob.until(type="removed")
        await one.node.attendance.write_all()
        await ann.say(session, "@bob and @eve, a secret")
        await one.node.mentions.drain()
        assert (await entry_of(eve, session))["kind"] == "mention"
        await bob.ask("pong")
        assert entries(bob, session) == []


async def test_a_removed_guest_writes_nothing_more(pair: Pair) -> None:
    one, two = pair
    session = await private(one, "bob")
    async with two.client("bob") as bob:
        await bob.join(session)
        seq = (await bob.say(session, "hello"))["seq"]
        await guests(one, session, remove=["bob"])
        await bob.until(type="removed")
        for kind, fields in (
            ("chat.send", {"text": "x"}),
            ("chat.edit", {"seq": seq, "text": "x"}),
            ("chat.delete", {"seq": seq}),
        ):
            refused = await bob.ask(kind, session=session, key=str(uuid4()), **fields)
            assert refused["code"] == "forbidden"
        assert (await bob.ask("typing", session=session, on=True))["code"] == "forbidden"
        assert (await bob.ask("leave", session=session))["type"] == "left"
