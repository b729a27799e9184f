"""The side API, asked over real HTTP."""

import asyncio
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.nodes import RunningNode, serving, token
from tokens import agora, grants, legacy
from tokens.access import AccessRole

APP = grants.App("970CA35de60c44645bbae8a215061b33", "5CFd2fd1755d40ecb72977518be15d3b")
SELLER = token("ann", AccessRole.SELLER)
VIEWER = token("bob")
MODERATOR = token("mod", AccessRole.MODERATOR)
NOTICE = {"key": "5f0c3b1e-9d7a-4e52-8a3c-2f1b6d9e0c4a", "text": "Mind your words."}
UNKNOWN = "01890000-0000-7000-8000-000000000000"


async def test_a_session_from_its_creation_to_its_end(node: RunningNode) -> None:
    created = await node.request("POST", "/v1/sessions", SELLER, json={"title": "  A show  "})
    assert created.status_code == 201
    session = created.json()
    assert (session["title"], session["host"], session["state"]) == ("A show", "ann", "scheduled")
    path = f"/v1/sessions/{session['id']}"
    for action, state in [("start", "live"), ("pause", "paused"), ("resume", "live"), ("end", "ended")]:
        moved = await node.request("POST", f"{path}/{action}", SELLER)
        assert (moved.status_code, moved.json()["state"]) == (200, state)
    ended = (await node.request("GET", path, VIEWER)).json()
    assert ended["version"] == 5
    assert session["created_at"] <= ended["started_at"] <= ended["ended_at"]
    again = await node.request("POST", f"{path}/start", SELLER)
    assert again.status_code == 409
    assert again.json() == {
        "error": {"code": "conflict", "message": "cannot start a session that is ended", "state": "ended"}
    }
    events = (await node.request("GET", f"{path}/events", VIEWER)).json()
    assert [event["kind"].removeprefix("session.") for event in events["events"]] == [
        "created",
        "started",
        "paused",
        "resumed",
        "ended",
    ]


async def test_lists_and_pages(node: RunningNode) -> None:
    live = await node.session("ann")
    await node.session("ann", live=False)
    listed = (await node.request("GET", "/v1/sessions?state=live", VIEWER)).json()["sessions"]
    assert live in [session["id"] for session in listed]
    assert {session["state"] for session in listed} == {"live"}
    async with node.client("bob") as bob:
        await bob.join(live)
        for n in range(5):
            await bob.say(live, f"message {n}")
    page = (await node.request("GET", f"/v1/sessions/{live}/events?before=6&limit=2", VIEWER)).json()
    assert ([event["seq"] for event in page["events"]], page["more"]) == ([4, 5], True)


@pytest.mark.parametrize(
    ("method", "path", "who", "options", "status", "code"),
    [
        ("POST", "/v1/sessions", None, {"json": {"title": "x"}}, 401, "unauthenticated"),
        ("POST", "/v1/sessions", "forger", {"json": {"title": "x"}}, 401, "unauthenticated"),
        ("POST", "/v1/sessions", "viewer", {"json": {"title": "x"}}, 403, "forbidden"),
        ("POST", "/v1/sessions", "seller", {"json": {}}, 400, "bad_request"),
        ("POST", "/v1/sessions", "seller", {"json": {"title": "x", "more": 1}}, 400, "bad_request"),
        ("POST", "/v1/sessions", "seller", {"json": {"title": " "}}, 400, "bad_request"),
        ("POST", "/v1/sessions", "seller", {"json": {"title": "x" * 201}}, 413, "too_large"),
        ("POST", "/v1/sessions", "seller", {"json": {"title": "x" * 70_000}}, 413, "too_large"),
        ("POST", "/v1/sessions", "seller", {"content": b"title=x"}, 400, "bad_request"),
        (
            "POST",
            "/v1/sessions",
            "seller",
            {"content": b"{", "headers": {"Content-Type": "application/json"}},
            400,
            None,
        ),
        ("GET", f"/v1/sessions/{UNKNOWN}", "viewer", {}, 404, "not_found"),
        ("GET", "/v1/sessions/nonsense", "viewer", {}, 400, "bad_request"),
        ("GET", "/v1/sessions?state=nonsense", "viewer", {}, 400, "bad_request"),
        ("GET", "/v1/sessions?limit=0", "viewer", {}, 400, "bad_request"),
        ("GET", "/v1/sessions?limit=5&limit=6", "viewer", {}, 400, "bad_request"),
        ("GET", f"/v1/sessions/{UNKNOWN}/events?before=x", "viewer", {}, 400, "bad_request"),
        ("POST", f"/v1/sessions/{UNKNOWN}/agora-token", "viewer", {}, 503, "not_configured"),
        ("POST", "/v1/users/bob/notices", "viewer", {"json": NOTICE}, 403, "forbidden"),
        ("POST", "/v1/users/bob/notices", "seller", {"json": NOTICE}, 403, "forbidden"),
        ("POST", "/v1/users/bob/notices", None, {"json": NOTICE}, 401, "unauthenticated"),
        ("POST", "/v1/users/b%20b/notices", "moderator", {"json": NOTICE}, 400, "bad_request"),
        ("POST", "/v1/users/bob%0A/notices", "moderator", {"json": NOTICE}, 400, "bad_request"),
        ("POST", "/v1/users/bob/notices", "moderator", {"json": {"text": "x"}}, 400, "bad_request"),
        ("POST", "/v1/users/bob/notices", "moderator", {"json": {**NOTICE, "text": " "}}, 400, "bad_request"),
        ("POST", "/v1/users/bob/notices", "moderator", {"json": {**NOTICE, "session": "x"}}, 400, "bad_request"),
        ("POST", "/v1/users/bob/notices", "moderator", {"json": {**NOTICE, "text": "x" * 1001}}, 413, "too_large"),
        ("DELETE", "/v1/sessions", "viewer", {}, 405, "bad_request"),
        ("GET", "/nowhere", None, {}, 404, "not_found"),
        ("GET", "//v1//sessions", "viewer", {}, 404, "not_found"),
        ("GET", "/v1/%2e%2e/sessions", "viewer", {}, 404, "not_found"),
        ("POST", "/dev/token", None, {"json": {"user": "a b"}}, 400, "bad_request"),
    ],
    ids=str,
)
async def test_refusals(
    node: RunningNode, method: str, path: str, who: str | None, options: dict[str, Any], status: int, code: str | None
) -> None:
    tokens = {"viewer": VIEWER, "seller": SELLER, "moderator": MODERATOR, "forger": "x.y.z"}
    refused = await node.request(method, path, tokens.get(who or ""), **options)
    assert refused.status_code == status, refused.text
    error = refused.json()["error"]
    assert code in (error["code"], None)
    assert error["message"]


async def test_a_notice_is_put_into_an_inbox_once(node: RunningNode) -> None:
    session = await node.session()
    notice = {**NOTICE, "session": session}
    async with node.client("pat") as pat:
        for who in (MODERATOR, MODERATOR):
            sent = await node.request("POST", "/v1/users/pat/notices", who, json=notice)
            assert (sent.status_code, sent.json()["key"]) == (200, NOTICE["key"])
        again = await node.request("POST", "/v1/users/pat/notices", MODERATOR, json=NOTICE)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
        admin = token("root", AccessRole.ADMIN)
        assert (await node.request("POST", "/v1/users/pat/notices", admin, json=NOTICE)).status_code == 200
        [first] = (await pat.until(type="inbox", upto=1))["entries"]
        [second] = (await pat.until(type="inbox", upto=2))["entries"]
    assert (first["kind"], first["by"], first["key"]) == ("notice", "mod", NOTICE["key"])
    assert first["body"] == {"text": NOTICE["text"], "session": session}
    assert (second["by"], second["body"]) == ("root", {"text": NOTICE["text"]})


async def test_dev_tokens_are_minted_in_dev_mode_only(node: RunningNode, migrated: str, redis_url: str) -> None:
    minted = (await node.request("POST", "/dev/token", json={"user": "zoe", "role": "seller"})).json()
    created = await node.request("POST", "/v1/sessions", minted["token"], json={"title": "Zoe's"})
    assert created.json()["host"] == "zoe"
    async with serving(migrated, redis_url, dev=False) as production:
        refused = await production.request("POST", "/dev/token", json={"user": "zoe"})
        assert refused.status_code == 404
        assert "/dev/token" not in (await production.request("GET", "/openapi.json")).json()["paths"]


@pytest.fixture(params=["007", "006"])
async def video(request: pytest.FixtureRequest, migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    keys = {"agora_app_id": APP.app_id, "agora_certificate": APP.certificate, "agora_version": request.param}
    async with serving(migrated, redis_url, **keys) as running:
        yield running


async def test_agora_tokens_say_what_the_role_allows(video: RunningNode) -> None:
    session = await video.session("ann")
    path = f"/v1/sessions/{session}/agora-token"
    host = (await video.request("POST", path, SELLER)).json()
    viewer = (await video.request("POST", path, VIEWER)).json()
    assert (host["channel"], host["role"]) == (session, "host")
    assert (viewer["channel"], viewer["role"]) == (session, "viewer")
    assert host["uid"] != viewer["uid"]
    assert (await video.request("POST", path, VIEWER)).json()["uid"] == viewer["uid"]
    assert _privileges(host) == {1, 2, 3, 4}
    assert _privileges(viewer) == {1}
    assert viewer["expires_at"] - viewer["renew_at"] == 90_000


def _privileges(issued: dict[str, Any]) -> set[int]:
    now = issued["renew_at"] // 1000
    if issued["token"].startswith("006"):
        return set(legacy.verify(issued["token"], APP, issued["channel"], issued["uid"], now).privileges)
    (service,) = agora.verify(issued["token"], APP, now).services
    assert isinstance(service, agora.RtcService)
    assert (service.channel, service.uid) == (issued["channel"], issued["uid"])
    return set(service.privileges)


async def test_agora_tokens_are_for_shows_that_run(video: RunningNode) -> None:
    session = await video.session("ann", live=False)
    path = f"/v1/sessions/{session}"
    assert (await video.request("POST", f"{path}/agora-token", SELLER)).json()["error"]["state"] == "scheduled"
    await video.request("POST", f"{path}/start", SELLER)
    assert (await video.request("POST", f"{path}/agora-token", VIEWER)).status_code == 200
    await video.request("POST", f"{path}/pause", SELLER)
    assert (await video.request("POST", f"{path}/agora-token", VIEWER)).status_code == 200
    await video.request("POST", f"{path}/end", SELLER)
    assert (await video.request("POST", f"{path}/agora-token", VIEWER)).status_code == 409


async def test_health(node: RunningNode) -> None:
    assert (await node.request("GET", "/healthz")).json() == {"status": "ok"}
    ready = await node.request("GET", "/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "checks": {"postgres": "ok", "redis": "ok", "draining": "ok"}}


async def test_metrics_satisfy_prometheus(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.join(session)
        await bob.say(session, "counted")
        await bob.until_event()
    text = (await node.request("GET", "/metrics")).text
    for name in (
        'stagewire_commands_total{outcome="ok",type="join"}',
        'stagewire_events_appended_total{outcome="new"}',
        "stagewire_deliveries_total",
        "stagewire_commit_seconds_bucket",
        'stagewire_http_request_seconds_count{route="/v1/sessions",status="201"}',
        'stagewire_joins_total{source="nothing"}',
    ):
        assert name in text
    assert session not in text
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    check = await asyncio.create_subprocess_exec(promtool, "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    said, _ = await check.communicate(text.encode())
    assert check.returncode == 0, said.decode()


async def test_openapi_describes_every_endpoint(node: RunningNode) -> None:
    document = (await node.request("GET", "/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/audit",
        "/v1/users/{id}/freeze",
        "/v1/users/{id}/unfreeze",
        "/v1/sessions",
        "/v1/sessions/{id}",
        "/v1/sessions/{id}/audience",
        "/v1/sessions/{id}/start",
        "/v1/sessions/{id}/pause",
        "/v1/sessions/{id}/resume",
        "/v1/sessions/{id}/end",
        "/v1/sessions/{id}/events",
        "/v1/sessions/{id}/events/{seq}/edits",
        "/v1/sessions/{id}/search",
        "/v1/sessions/{id}/agora-token",
        "/v1/sessions/{id}/members/{user}",
        "/v1/sessions/{id}/guests",
        "/v1/sessions/{id}/guests/{user}",
        "/v1/sessions/{id}/summary",
        "/v1/users/{id}/notices",
        "/v1/users/{id}/followers",
        "/v1/users/{id}/followers/{user}",
        "/v1/agora/events",
        "/v1/limits/{action}",
        "/dev/token",
    }
    refs = set(document["components"]["schemas"])
    assert {"SessionView", "FailureBody", "AgoraToken", "EventPage"} <= refs


async def test_asyncapi_describes_the_wire_with_this_nodes_limits(node: RunningNode) -> None:
    document = (await node.request("GET", "/asyncapi.json")).json()
    assert document["asyncapi"] == "3.0.0"
    limits = {limit["limit"]: limit["value"] for limit in document["x-limits"]}
    assert limits["max_frame"] == node.node.settings.max_frame
