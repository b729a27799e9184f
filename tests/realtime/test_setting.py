"""What hosts set in their sessions, and whom they name, on two nodes."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.support.nodes import Client, Message, RunningNode, serving, token
from tokens.access import AccessRole

Pair = tuple[RunningNode, RunningNode]
DEFAULTS = {"chat": "all", "slow_mode": 0, "links": True, "private": False}
ANN = token("ann", AccessRole.SELLER)


@pytest.fixture
async def pair(migrated: str, redis_url: str) -> AsyncIterator[Pair]:
    async with serving(migrated, redis_url, members=2) as one, serving(migrated, redis_url, members=2) as two:
        yield one, two


async def view(node: RunningNode, session: str) -> Message:
    """Give a session as it is stored."""
    found: Message = (await node.request("GET", f"/v1/sessions/{session}", ANN)).json()
    return found


async def update(client: Client, session: str, **fields: Any) -> Message:
    return await client.ask("session.update", session=session, **fields)


async def test_a_session_is_created_with_settings(pair: Pair) -> None:
    one, two = pair
    wishes = {"chat": "followers", "language": "de", "metadata": {"sku": ["a", 1.5, None]}}
    async with one.client("ann", AccessRole.SELLER) as ann:
        created = await ann.ask("session.create", title="Coats", **wishes)
        session = created["session"]["id"]
        assert created["session"]["settings"] == {**DEFAULTS, **wishes}
        assert (await ann.ask("session.create", title="x", max_message=10_000))["code"] == "bad_request"
    posted = await two.request("POST", "/v1/sessions", ANN, json={"title": "Hats", "private": True})
    assert posted.json()["settings"] == {**DEFAULTS, "private": True}
    assert (await view(two, session))["settings"] == {**DEFAULTS, **wishes}


async def test_a_session_is_created_once_for_each_key(pair: Pair) -> None:
    one, two = pair
    body = {"title": "Coats", "links": False, "key": str(uuid4())}
    async with one.client("ann", AccessRole.SELLER) as ann:
        first = (await ann.ask("session.create", **body))["session"]["id"]
        await update(ann, first, title="Hats", links=True)
    again = await two.request("POST", "/v1/sessions", ANN, json=body)
    assert (again.json()["id"], again.json()["title"]) == (first, "Hats")
    for other in ({"title": "Hats"}, {"links": True}, {"private": True}):
        refused = await two.request("POST", "/v1/sessions", ANN, json={**body, **other})
        assert refused.json()["error"]["code"] == "conflict"


async def test_what_is_changed_is_told_to_everyone(pair: Pair) -> None:
    one, two = pair
    session = await one.session("ann")
    async with one.client("ann", AccessRole.SELLER) as ann, two.client("bob") as bob:
        await ann.join(session)
        await bob.join(session)
        changes = {
            "title": "Coats",
            "slow_mode": 5,
            "cover": "https://example.com/c.png",
            "metadata": {"a": {"b": [1]}},
        }
        ack = await update(ann, session, **{**changes, "title": "  Coats "})
        event = await bob.until_event(seq=ack["seq"])
        assert (event["kind"], event["by"], event["at"]) == ("session.updated", "ann", ack["at"])
        ends_at = event["body"]["ends_at"]
        assert event["body"] == {"state": "live", "version": 3, "ends_at": ends_at, "changes": changes}
        cleared = await update(ann, session, cover=None, metadata=None)
        assert (await bob.until_event(seq=cleared["seq"]))["body"]["changes"] == {"cover": None, "metadata": None}
    stored = await view(two, session)
    assert (stored["title"], stored["version"]) == ("Coats", 4)
    assert stored["settings"] == {**DEFAULTS, "slow_mode": 5}
    for node in pair:
        async with node.client("eve") as eve:
            assert (await eve.join(session))["session"] == stored


async def test_the_same_key_again_changes_nothing_again(pair: Pair) -> None:
    one, two = pair
    session = await one.session("ann")
    key = str(uuid4())
    async with one.client("ann", AccessRole.SELLER) as ann:
        first = await update(ann, session, chat="nobody", key=key)
        assert first == {"type": "ack", "re": first["re"], "key": key, "seq": 3, "at": first["at"]}
        await update(ann, session, chat="all")
        again = await update(ann, session, chat="nobody", key=key)
        assert (again["seq"], again["at"]) == (first["seq"], first["at"])
        assert (await update(ann, session, chat="followers", key=key))["code"] == "conflict"
        assert (await update(ann, session, chat="nobody", links=True, key=key))["code"] == "conflict"
        patched = await two.request("PATCH", f"/v1/sessions/{session}", ANN, json={"chat": "nobody", "key": key})
        assert (patched.status_code, patched.json()["settings"]) == (200, DEFAULTS)
        # A key of the chat is one, too.
        await ann.join(session)
        said = await ann.say(session, "hi")
        assert (await update(ann, session, chat="all", key=said["key"]))["code"] == "conflict"
        await ann.ask("session.end", session=session)
        ended = await update(ann, session, chat="nobody", key=key)
        assert (ended["seq"], ended["at"]) == (first["seq"], first["at"])


async def test_what_changes_nothing_is_an_event_only_under_a_key(pair: Pair) -> None:
    one, _ = pair
    session = await one.session("ann")
    async with one.client("ann", AccessRole.SELLER) as ann:
        assert set(await update(ann, session, chat="all", cover=None)) == {"type", "re"}
        assert set(await ann.ask("session.role", session=session, user="bob", role="viewer")) == {"type", "re"}
        assert (await update(ann, session, chat="all", key=str(uuid4())))["seq"] == 3
        role = {"session": session, "user": "bob", "role": "viewer", "key": str(uuid4())}
        assert (await ann.ask("session.role", **role))["seq"] == 4
        assert (await ann.ask("session.role", **role))["seq"] == 4
    assert (await view(one, session))["version"] == 4


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "bad_request"),
        ({"title": " "}, "bad_request"),
        ({"title": "x" * 201}, "too_large"),
        ({"title": None}, "bad_request"),
        ({"max_message": 1001}, "bad_request"),
        ({"metadata": {"a": "\0"}}, "bad_request"),
        ({"metadata": {"a": "x" * 5000}}, "too_large"),
        ({"metadata": {"a": 1e300}}, "bad_request"),
        ({"chat": "some"}, "bad_request"),
        ({"more": 1}, "bad_request"),
    ],
    ids=str,
)
async def test_what_cannot_be_set(node: RunningNode, fields: dict[str, Any], code: str) -> None:
    session = await node.session("ann")
    async with node.client("ann", AccessRole.SELLER) as ann:
        assert (await update(ann, session, **fields))["code"] == code
    patched = await node.request("PATCH", f"/v1/sessions/{session}", ANN, json=fields)
    assert patched.json()["error"]["code"] == code
    assert (await view(node, session))["version"] == 2


async def test_a_lone_surrogate_is_refused_in_metadata(node: RunningNode) -> None:
    session = await node.session("ann")
    body = b'{"metadata":{"a":"\\ud800"}}'
    headers = {"Content-Type": "application/json"}
    patched = await node.request("PATCH", f"/v1/sessions/{session}", ANN, content=body, headers=headers)
    assert patched.json()["error"]["code"] == "bad_request"


async def test_whatever_is_taken_as_metadata_is_given_back(node: RunningNode) -> None:
    session = await node.session("ann")
    metadata: dict[str, Any] = {"": "", "é\u2028😀\x7f\x01": [True, None, 2**53 - 1, -1.5, 1e-06, 0.1, [], {"a": {}}]}
    patched = await node.request("PATCH", f"/v1/sessions/{session}", ANN, json={"metadata": metadata})
    assert patched.json()["settings"]["metadata"] == metadata
    event = (await node.request("GET", f"/v1/sessions/{session}/events", ANN)).json()["events"][-1]
    assert event["body"]["changes"] == {"metadata": metadata}


async def test_who_may_set_and_who_may_name(pair: Pair) -> None:
    one, two = pair
    session = await one.session("ann")
    path = f"/v1/sessions/{session}"
    named = await one.request("PUT", f"{path}/members/carl", ANN, json={"role": "cohost"})
    assert named.json()["members"] == {"carl": "cohost"}
    await one.request("PUT", f"{path}/members/mona", ANN, json={"role": "moderator"})
    refused = await one.request("PUT", f"{path}/members/zoe", ANN, json={"role": "moderator"})
    assert refused.json()["error"]["message"] == "at most 2 co-hosts and moderators"
    for user, role, sets, names in [
        ("ann", AccessRole.SELLER, True, True),
        ("root", AccessRole.ADMIN, True, True),
        ("carl", AccessRole.VIEWER, True, False),
        ("mona", AccessRole.VIEWER, False, False),
        ("mod", AccessRole.MODERATOR, False, False),
        ("sue", AccessRole.SELLER, False, False),
        ("bob", AccessRole.VIEWER, False, False),
    ]:
        async with two.client(user, role) as client:
            reply = await update(client, session, title=f"by {user}")
            assert reply["type"] == ("ack" if sets else "error"), (user, reply)
            reply = await client.ask("session.role", session=session, user="mona", role="moderator")
            assert reply["type"] == ("ack" if names else "error"), (user, reply)
            if not names:
                assert reply["code"] == "forbidden"
    host = await one.request("PUT", f"{path}/members/ann", ANN, json={"role": "viewer"})
    assert host.json()["error"]["code"] == "conflict"
    unknown = await one.request("PUT", path.replace("0", "1") + "/members/bob", ANN, json={"role": "viewer"})
    assert unknown.status_code == 404


async def test_a_role_takes_effect_at_once_on_every_node(pair: Pair) -> None:
    one, two = pair
    session = await one.session("ann")
    async with one.client("ann", AccessRole.SELLER) as ann, two.client("carl") as carl, one.client("bob") as bob:
        for client in (ann, carl, bob):
            await client.join(session)
        seq = (await bob.say(session, "rude"))["seq"]
        await carl.until_event(seq=seq)
        delete = {"session": session, "seq": seq}
        assert (await carl.ask("chat.delete", **delete, key=str(uuid4())))["code"] == "forbidden"
        ack = await ann.ask("session.role", session=session, user="carl", role="cohost")
        event = await carl.until_event(seq=ack["seq"])
        assert event["kind"] == "session.role"
        assert event["body"].items() >= {"state": "live", "version": 3, "user": "carl", "role": "cohost"}.items()
        assert (await carl.ask("chat.delete", **delete, key=str(uuid4())))["type"] == "ack"
        # What the host may, but for the end, and naming others.
        assert (await carl.ask("session.pause", session=session))["type"] == "ack"
        assert (await carl.ask("session.resume", session=session))["type"] == "ack"
        assert (await carl.ask("session.end", session=session))["code"] == "forbidden"
        assert (await carl.join(session))["role"] == "cohost"
        ack = await ann.ask("session.role", session=session, user="carl", role="viewer")
        await carl.until_event(seq=ack["seq"])
        other = (await bob.say(session, "rude again"))["seq"]
        await carl.until_event(seq=other)
        refused = await carl.ask("chat.delete", session=session, seq=other, key=str(uuid4()))
        assert refused["code"] == "forbidden"
        assert (await carl.ask("session.pause", session=session))["code"] == "forbidden"


async def test_a_role_takes_effect_without_redis_too(migrated: str) -> None:
    nowhere = "unix:///nonexistent/valkey.sock"
    async with serving(migrated, nowhere) as one, serving(migrated, nowhere) as two:
        session = await one.session("ann")
        async with two.client("carl") as carl:
            await carl.join(session)
            await one.request("PUT", f"/v1/sessions/{session}/members/carl", ANN, json={"role": "moderator"})
            await carl.until_event(kind="session.role")
            assert (await carl.ask("chat.delete", session=session, seq=99, key=str(uuid4())))["code"] == "not_found"


async def test_after_the_end_nothing_is_changed(node: RunningNode) -> None:
    session = await node.session("ann")
    async with node.client("ann", AccessRole.SELLER) as ann:
        await ann.ask("session.end", session=session)
        for kind, fields in (
            ("session.update", {"title": "x"}),
            ("session.update", {"chat": "all"}),
            ("session.role", {"user": "bob", "role": "cohost"}),
            ("session.role", {"user": "bob", "role": "viewer"}),
            ("session.answer", {"user": "bob", "accept": True}),
        ):
            refused = await ann.ask(kind, session=session, **fields)
            assert (refused["code"], refused["state"]) == ("conflict", "ended")
    guests = await node.request("POST", f"/v1/sessions/{session}/guests", ANN, json={"allow": ["bob"]})
    assert (guests.json()["error"]["code"], guests.json()["error"]["state"]) == ("conflict", "ended")
