"""The endpoints about limits by rate."""

import pytest

from tests.support.nodes import RunningNode, token
from tokens.access import AccessRole

ADMIN = token("ada", AccessRole.ADMIN)


async def test_an_action_has_the_limits_of_the_program_until_one_is_changed(node: RunningNode) -> None:
    asked = await node.request("GET", "/v1/limits/typing", ADMIN)
    assert asked.status_code == 200
    assert asked.json()["action"] == "typing"
    before = {limit["role"]: limit for limit in asked.json()["limits"]}
    assert before.keys() == {"viewer", "staff", "admin", "synthetic"}
    assert before["viewer"] == {"role": "viewer", "rate": 2.0, "burst": 10}
    body = {"role": "viewer", "rate": 0.5, "burst": 3}
    changed = await node.request("PUT", "/v1/limits/typing", ADMIN, json=body)
    assert changed.status_code == 200
    after = {limit["role"]: limit for limit in changed.json()["limits"]}
    assert after["viewer"].pop("changed_at") > 1_700_000_000_000
    assert after["viewer"] == {**body, "changed_by": "ada"}
    assert {**after, "viewer": before["viewer"]} == before
    assert (await node.request("GET", "/v1/limits/typing", ADMIN)).json() == changed.json()


@pytest.mark.parametrize("role", [role for role in AccessRole if role is not AccessRole.ADMIN])
async def test_only_admins_see_and_change_limits(node: RunningNode, role: AccessRole) -> None:
    who = token("mallory", role)
    assert (await node.request("GET", "/v1/limits/chat", who)).status_code == 403
    body = {"role": "viewer", "rate": 1000, "burst": 1000}
    assert (await node.request("PUT", "/v1/limits/chat", who, json=body)).status_code == 403
    assert (await node.request("GET", "/v1/limits/chat")).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"role": "viewer", "rate": 0, "burst": 1},
        {"role": "viewer", "rate": -1, "burst": 1},
        {"role": "viewer", "rate": 1e9, "burst": 1},
        {"role": "viewer", "rate": 1, "burst": 0},
        {"role": "viewer", "rate": 1, "burst": 1.5},
        {"role": "nobody", "rate": 1, "burst": 1},
        {"role": "address", "rate": 1, "burst": 1},
        {"role": "viewer", "rate": 1},
        {"role": "viewer", "rate": 1, "burst": 1, "more": 1},
    ],
)
async def test_a_limit_out_of_bounds_is_refused(node: RunningNode, body: dict[str, object]) -> None:
    refused = await node.request("PUT", "/v1/limits/chat", ADMIN, json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "bad_request"


async def test_of_an_unknown_action_there_are_no_limits(node: RunningNode) -> None:
    assert (await node.request("GET", "/v1/limits/dance", ADMIN)).status_code == 400


async def test_addresses_have_limits_of_their_own(node: RunningNode) -> None:
    asked = await node.request("GET", "/v1/limits/handshake", ADMIN)
    assert [limit["role"] for limit in asked.json()["limits"]] == ["address"]
