"""The list of sessions, over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from tests.support.nodes import RunningNode, token
from tokens.access import AccessRole

VIEWER = token("bob")


async def create(node: RunningNode, host: str, title: str) -> str:
    seller = token(host, AccessRole.SELLER)
    created = await node.request("POST", "/v1/sessions", seller, json={"title": title})
    return str(created.json()["id"])


async def listed(node: RunningNode, **query: Any) -> dict[str, Any]:
    answer = await node.request("GET", "/v1/sessions", VIEWER, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_pages_of_sessions(node: RunningNode) -> None:
    host, other = f"host-{uuid4().hex}", f"host-{uuid4().hex}"
    ids = [await create(node, host, title) for title in ("Autumn coats", "Winter coats", "Boots", "Umbrellas")]
    foreign = await create(node, other, "Winter coats")
    first = await listed(node, host=host, limit=3)
    assert [session["id"] for session in first["sessions"]] == ids[:0:-1]
    assert first["next"] == ids[1]
    last = await listed(node, host=host, limit=3, cursor=first["next"])
    assert [session["id"] for session in last["sessions"]] == ids[:1]
    assert "next" not in last
    assert [s["id"] for s in (await listed(node, host=host, q="COAT win"))["sessions"]] == [ids[1]]
    assert [s["id"] for s in (await listed(node, q="winter coats", limit=2))["sessions"]] == [foreign, ids[1]]
    await node.request("POST", f"/v1/sessions/{ids[0]}/start", token(host, AccessRole.SELLER))
    await node.request("POST", f"/v1/sessions/{ids[2]}/end", token(host, AccessRole.SELLER))
    for state, expected in (("live", ids[:1]), ("live,ended", [ids[2], ids[0]]), ("paused,interrupted", [])):
        assert [session["id"] for session in (await listed(node, host=host, state=state))["sessions"]] == expected


@pytest.mark.parametrize(
    "query",
    [
        {"state": "nonsense"},
        {"state": "live,"},
        {"state": "live,nonsense"},
        {"state": "live\n"},
        {"host": "no spaces"},
        {"q": ""},
        {"q": "   "},
        {"q": "a b c d e f g h i"},
        {"q": "x" * 201},
        {"cursor": "nonsense"},
        {"limit": "201"},
        {"before": "1"},
    ],
    ids=str,
)
async def test_what_is_no_list(node: RunningNode, query: dict[str, str]) -> None:
    answer = await node.request("GET", "/v1/sessions", VIEWER, params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


async def test_words_that_no_title_can_have(node: RunningNode) -> None:
    assert (await listed(node, q="\0'%_\\"))["sessions"] == []
