"""The audit log: what is noted of whom, from both ports, and who may read it."""

import time
from typing import Any
from uuid import uuid4

import pytest

from realtime.audit import Act
from realtime.telemetry import metrics
from tests.persistence.conftest import until
from tests.support.nodes import Message, RunningNode, serving, token
from tests.support.relay import relayed
from tokens.access import AccessRole

ROOT = token("root", AccessRole.ADMIN)
SELLER = token("host", AccessRole.SELLER)


async def notes(node: RunningNode, **query: Any) -> list[Message]:
    """Give what is noted, the newest first, after everything that waits was written."""
    assert await node.node.audit.write()
    page = await node.request("GET", "/v1/audit", ROOT, params=query)
    assert page.status_code == 200, page.text
    found: list[Message] = page.json()["entries"]
    return found


def said(note: Message) -> Message:
    """Give a note without what differs each time."""
    return {name: value for name, value in note.items() if name not in ("id", "at")}


async def test_what_an_admin_does_with_a_session_of_others_is_noted(node: RunningNode) -> None:
    session = await node.session(live=False)
    key = str(uuid4())
    for _ in range(2):
        # Again with the same key it is the same.
        started = await node.request("POST", f"/v1/sessions/{session}/start", ROOT, json={"key": key})
        assert started.status_code == 200
    async with node.client("root", AccessRole.ADMIN) as root:
        assert (await root.ask("session.update", session=session, title="Another"))["type"] == "ack"
        assert (await root.ask("session.pause", session=session))["type"] == "ack"
    assert (await node.request("PATCH", f"/v1/sessions/{session}", ROOT, json={"private": True})).status_code == 200
    guests = await node.request("POST", f"/v1/sessions/{session}/guests", ROOT, json={"allow": ["bob"]})
    assert guests.status_code == 200
    about = {"actor": "root", "address": "127.0.0.1", "session": session}
    assert [said(note) for note in reversed(await notes(node, user="root"))] == [
        {**about, "action": "session.start", "details": {"seq": 2}},
        {**about, "action": "session.update", "details": {"seq": 3}},
        {**about, "action": "session.pause", "details": {"seq": 4}},
        {**about, "action": "session.update", "details": {"seq": 5}},
        {**about, "action": "session.guests", "details": {"seq": 6, "allowed": ["bob"], "removed": []}},
    ]


async def test_what_an_admin_answers_in_place_of_a_host_is_noted(node: RunningNode) -> None:
    session = await node.session("ann", live=False)
    ann, zoe = token("ann", AccessRole.SELLER), token("zoe", AccessRole.ADMIN)
    assert (await node.request("PATCH", f"/v1/sessions/{session}", ann, json={"private": True})).status_code == 200
    for user in ("bob", "eve", "kim"):
        async with node.client(user) as client:
            assert (await client.ask("session.ask", session=session))["type"] == "ack"
    async with node.client("zoe", AccessRole.ADMIN) as admin:
        for _ in range(2):
            # The same answer again is the same.
            done = await admin.ask("session.answer", session=session, user="bob", accept=True)
            assert done["type"] == "ack"
    path = f"/v1/sessions/{session}/guests"
    assert (await node.request("POST", f"{path}/eve", zoe, json={"accept": False})).status_code == 200
    assert (await node.request("POST", f"{path}/kim", ann, json={"accept": True})).status_code == 200
    about = {"actor": "zoe", "action": "session.answer", "address": "127.0.0.1", "session": session}
    assert [said(note) for note in reversed(await notes(node, action="session.answer"))] == [
        {**about, "subject": "bob", "details": {"accepted": True}},
        {**about, "subject": "eve", "details": {"accepted": False}},
    ]


async def test_a_changed_limit_is_noted(node: RunningNode) -> None:
    body = {"role": "viewer", "rate": 0.5, "burst": 3}
    for _ in range(2):
        assert (await node.request("PUT", "/v1/limits/typing", ROOT, json=body)).status_code == 200
    note = {"actor": "root", "address": "127.0.0.1", "action": "limit.change", "details": {"action": "typing", **body}}
    assert [said(each) for each in await notes(node, action="limit.change")] == [note, note]


async def test_an_address_is_noted_as_a_trusted_proxy_tells_it(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, trusted_proxies="127.0.0.1") as node:
        told = {"X-Forwarded-For": "203.0.113.7"}
        frozen = await node.request("POST", "/v1/users/frances/freeze", ROOT, json={"reason": "spam"}, headers=told)
        assert frozen.status_code == 200
        assert [note["address"] for note in await notes(node, user="frances")] == ["203.0.113.7"]


async def test_what_people_do_with_their_own_sessions_is_not_noted(node: RunningNode) -> None:
    await node.session("ann")
    own = await node.request("POST", "/v1/sessions", token("bea", AccessRole.ADMIN), json={"title": "Mine"})
    started = await node.request(
        "POST", f"/v1/sessions/{own.json()['id']}/start", token("bea", AccessRole.ADMIN), json={}
    )
    assert started.status_code == 200
    assert await notes(node, user="ann") == await notes(node, user="bea") == []


async def test_every_role_that_is_given_or_taken_is_noted(node: RunningNode) -> None:
    session = await node.session("cy")
    async with node.client("cy", AccessRole.SELLER) as cy:
        named = await cy.ask("session.role", session=session, user="dan", role="cohost")
        assert named["type"] == "ack"
    taken = await node.request(
        "PUT", f"/v1/sessions/{session}/members/dan", token("cy", AccessRole.SELLER), json={"role": "viewer"}
    )
    assert taken.status_code == 200
    late, early = await notes(node, user="dan", action="session.role")
    about = {"actor": "cy", "action": "session.role", "address": "127.0.0.1", "subject": "dan", "session": session}
    assert said(early) == {**about, "details": {"role": "cohost", "seq": named["seq"]}}
    assert said(late) == {**about, "details": {"role": "viewer", "seq": named["seq"] + 1}}
    # By the clock of Postgres, less how long ago it was: late by as much as the statement took to get there.
    assert all(abs(note["at"] - time.time() * 1000) < 5000 for note in (early, late))


async def test_deletions_of_what_others_wrote_are_noted(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("eli") as eli, node.client("mod", AccessRole.MODERATOR) as mod:
        await eli.join(session)
        await mod.join(session)
        own, other = [await eli.say(session, text) for text in ("mine", "rude")]
        assert (await eli.ask("chat.delete", session=session, seq=own["seq"], key=str(uuid4())))["type"] == "ack"
        delete = {"session": session, "seq": other["seq"], "key": str(uuid4())}
        done = await mod.ask("chat.delete", **delete)
        assert await mod.ask("chat.delete", **delete) == {**done, "re": done["re"] + 1}
    [note] = await notes(node, user="eli")
    assert said(note) == {
        "actor": "mod",
        "action": "chat.delete",
        "address": "127.0.0.1",
        "subject": "eli",
        "session": session,
        "details": {"message": other["seq"], "seq": done["seq"]},
    }


async def test_notices_are_noted_without_their_text(node: RunningNode) -> None:
    key = str(uuid4())
    for _ in range(2):
        sent = await node.request("POST", "/v1/users/fay/notices", ROOT, json={"key": key, "text": "be kind"})
        assert sent.status_code == 200
    [note] = await notes(node, user="fay")
    assert (note["action"], note["subject"], note["details"]) == ("user.notice", "fay", {"key": key})


async def test_what_is_refused_is_not_noted(node: RunningNode) -> None:
    session = await node.session("gus")
    async with node.client("mallory") as mallory:
        await mallory.join(session)
        assert (await mallory.ask("session.end", session=session))["code"] == "forbidden"
        named = await mallory.ask("session.role", session=session, user="mallory", role="cohost")
        assert named["code"] == "forbidden"
    refused = await node.request("POST", f"/v1/sessions/{session}/resume", ROOT)
    assert refused.status_code == 409
    assert await notes(node, user="mallory") == []
    assert [note for note in await notes(node, user="root") if note.get("session") == session] == []


async def test_the_log_is_given_page_by_page(node: RunningNode) -> None:
    pager, query = token("pager", AccessRole.ADMIN), {"user": "pager", "action": "user.freeze"}
    for n in range(5):
        frozen = await node.request("POST", f"/v1/users/page-{n}/freeze", pager, json={"reason": "spam"})
        assert frozen.status_code == 200
    first = (await node.request("GET", "/v1/audit", ROOT, params={**query, "limit": 3})).json()
    assert [entry["subject"] for entry in first["entries"]] == ["page-4", "page-3", "page-2"]
    assert first["more"]
    before = first["entries"][-1]["id"]
    rest = await node.request("GET", "/v1/audit", ROOT, params={**query, "limit": 2, "before": before})
    assert [entry["subject"] for entry in rest.json()["entries"]] == ["page-1", "page-0"]
    assert not rest.json()["more"]


@pytest.mark.parametrize("role", [AccessRole.VIEWER, AccessRole.SELLER, AccessRole.MODERATOR])
async def test_only_admins_read_it(node: RunningNode, role: AccessRole) -> None:
    refused = await node.request("GET", "/v1/audit", token("mallory", role))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize("query", [{"user": "a b"}, {"action": "x"}, {"before": "0"}, {"limit": "201"}, {"more": "1"}])
async def test_a_question_that_makes_no_sense_is_refused(node: RunningNode, query: Any) -> None:
    refused = await node.request("GET", "/v1/audit", ROOT, params=query)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_request")


def note(node: RunningNode, name: str, address: str = "192.0.2.7") -> None:
    node.node.audit.note(Act.NOTICE, "postman", address, name, subject=name)


def lost() -> float:
    acts: float = metrics.AUDIT_LOST._value.get()
    return acts


async def test_while_postgres_is_away_notes_wait(migrated: str, redis_url: str) -> None:
    async with relayed(migrated) as relay, serving(relay.url, redis_url, database_pause=0.1) as node:
        await relay.cut()
        note(node, "gil")
        assert not await node.node.audit.write()
        note(node, "hal")
        await relay.listen()
        await until(node.node.audit.write, 10)
        late, early = await notes(node, user="postman")
        assert (late["subject"], early["subject"]) == ("hal", "gil")
        assert late["at"] - early["at"] < 10_000


async def test_a_note_that_is_never_taken_costs_no_other(node: RunningNode) -> None:
    note(node, "ida")
    note(node, "jon", address="not\0text")
    note(node, "kim")
    found = await notes(node, user="postman")
    assert [each["subject"] for each in found][:2] == ["kim", "ida"]


async def test_no_more_notes_wait_than_is_set(migrated: str, redis_url: str) -> None:
    before = lost()
    async with serving(migrated, redis_url, audit_queue=2) as node:
        # The same again takes no place.
        for name in ("lea", "max", "lea", "ned"):
            note(node, name)
        found = await notes(node, user="postman")
        assert {"lea", "max"} <= {each["subject"] for each in found}
        assert "ned" not in {each["subject"] for each in found}
    assert lost() == before + 1


async def test_what_waits_is_written_before_a_node_stops(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url) as node:
        note(node, "oda")
    async with serving(migrated, redis_url) as node:
        assert [each["subject"] for each in await notes(node, user="oda")] == ["oda"]


async def test_what_cannot_be_written_before_a_node_stops_is_told(migrated: str, redis_url: str) -> None:
    before = lost()
    async with relayed(migrated) as relay, serving(relay.url, redis_url) as node:
        await relay.cut()
        note(node, "pam")
    assert lost() == before + 1
