"""Forged and broken tokens against a node that knows a secret and an issuer: over WebSocket, HTTP and token.refresh."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from tests.support.issuers import Key, b64, elliptic, publishing, rsa_key, says
from tests.support.nodes import SECRET, RunningNode, serving

ISSUER, AUDIENCE = "https://id.example", "stagewire"
EC, RSA, OWN = elliptic("ec"), rsa_key("rsa"), elliptic("own")
HELD: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE}


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    issued = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwks_cooldown": 0.05}
    async with (
        publishing(EC, RSA) as publisher,
        serving(migrated, redis_url, jwt_jwks_url=publisher.url, **issued) as running,
    ):
        yield running


def ec(claims: dict[str, Any] | None = None, **header: Any) -> str:
    """Sign with a key that is published."""
    return EC.sign(claims if claims is not None else says(**HELD), **header)


def raw(payload: bytes) -> str:
    """Sign a payload that no library would write."""
    return jwt.PyJWS().encode(payload, EC.private, "ES256", {"kid": "ec"})


def by_hand(header: dict[str, Any], key: bytes) -> str:
    """Sign with HMAC-SHA256 below any header."""
    body = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(says(**HELD)).encode())}"
    return f"{body}.{b64(hmac.digest(key, body.encode(), hashlib.sha256))}"


NOW = int(time.time())
ROWS: list[tuple[str, str, str, int]] = [
    ("alg none", jwt.encode(says(**HELD), "", "none", {"kid": "ec"}), "forged", 4401),
    ("alg nOnE", by_hand({"alg": "nOnE", "kid": "ec"}, b""), "forged", 4401),
    ("no signature", ec().rpartition(".")[0] + ".", "forged", 4401),
    ("HS256 by the public key, EC", by_hand({"alg": "HS256", "kid": "ec"}, EC.pem), "forged", 4401),
    ("HS256 by the public key, RSA", by_hand({"alg": "HS256", "kid": "rsa"}, RSA.pem), "forged", 4401),
    ("HS256 by nothing", by_hand({"alg": "HS256"}, b""), "forged", 4401),
    ("ES256 with an HMAC", by_hand({"alg": "ES256", "kid": "ec"}, SECRET.encode()), "forged", 4401),
    ("RS256 with an EC key", Key("ec", RSA.private).sign(says(**HELD)), "forged", 4401),
    ("another's key under a known kid", Key("ec", OWN.private).sign(says(**HELD)), "forged", 4401),
    ("an unknown kid", OWN.sign(says(**HELD)), "forged", 4401),
    ("kid a path", ec(kid="../../../dev/null"), "forged", 4401),
    ("kid a statement", ec(kid="ec' UNION SELECT 'x"), "forged", 4401),
    ("kid an address", ec(kid="https://evil.example/key"), "forged", 4401),
    ("kid a number", by_hand({"alg": "ES256", "kid": 1}, b"x"), "malformed", 4401),
    ("kid a NUL", ec(kid="ec\0"), "forged", 4401),
    ("own key in jwk", OWN.sign(says(**HELD), kid="ec", jwk=OWN.jwk), "forged", 4401),
    ("own address in jku", OWN.sign(says(**HELD), kid="ec", jku="https://evil.example/keys"), "forged", 4401),
    ("own address in x5u", OWN.sign(says(**HELD), kid="ec", x5u="https://evil.example/c"), "forged", 4401),
    ("own certificate in x5c", OWN.sign(says(**HELD), kid="ec", x5c=["MIIB"]), "forged", 4401),
    ("crit", ec(crit=["exp"], exp=NOW), "malformed", 4401),
    ("expired", ec({**says(**HELD), "exp": NOW - 60}), "expired", 4300),
    ("exp missing", ec({"sub": "eve", **HELD}), "no_expiry", 4401),
    ("exp a text", ec({**says(**HELD), "exp": str(NOW + 60)}), "malformed", 4401),
    ("exp a float", raw(json.dumps({**says(**HELD), "exp": NOW + 60.5}).encode()), "malformed", 4401),
    ("exp 10^18", raw(json.dumps({**says(**HELD), "exp": 10**18}).encode()), "malformed", 4401),
    ("nbf ahead", ec(says(**HELD, nbf=NOW + 600)), "not_yet", 4401),
    ("another issuer", ec({**says(**HELD), "iss": "https://id.example.evil"}), "wrong_issuer", 4401),
    ("another audience", ec({**says(**HELD), "aud": ["others", "stagewire2"]}), "wrong_audience", 4401),
    ("sub missing", ec({"exp": NOW + 60, **HELD}), "no_subject", 4401),
    ("sub empty", ec(says("", **HELD)), "no_subject", 4401),
    ("sub a number", raw(json.dumps({**says(**HELD), "sub": 7}).encode()), "no_subject", 4401),
    ("sub a path", ec(says("../root", **HELD)), "no_subject", 4401),
    ("said twice, the last counts", raw(b'{"sub":"eve","exp":4102444800,"iss":"https://id.example","iss":"x"}'),
     "wrong_issuer", 4401),
    ("claims a list", raw(b"[]"), "malformed", 4401),
    ("no token at all", "Bearer", "malformed", 4401),
]  # fmt: skip
FORGED = [pytest.param(said, why, close, id=name) for name, said, why, close in ROWS]


@pytest.mark.parametrize(("said", "why", "close"), FORGED)
async def test_a_forged_token_gets_one_answer_everywhere(node: RunningNode, said: str, why: str, close: int) -> None:
    async with node.stranger() as client:
        error = await client.ask("hello", token=said)
        assert (error["type"], error["code"], error["message"]) == ("error", "unauthenticated", f"token {why}")
        assert await client.until_closed() == (close, f"token {why}")
    refused = await node.request("GET", "/v1/sessions", said)
    assert refused.status_code == 401
    assert refused.json() == {"error": {"code": "unauthenticated", "message": f"token {why}"}}
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    async with node.stranger() as client:
        assert (await client.ask("hello", token=ec(says("eve", **HELD))))["user"] == "eve"
        refreshed = await client.ask("token.refresh", token=said)
        assert (refreshed["code"], refreshed["message"]) == ("unauthenticated", f"token {why}")
        assert (await client.ask("pong"))["type"] == "ack"


async def test_a_huge_token_is_refused_before_it_is_read(node: RunningNode) -> None:
    huge = "a" * 9000
    async with node.stranger() as client:
        assert (await client.ask("hello", token=huge))["code"] == "bad_request"
        assert (await client.until_closed())[0] == 4401
    refused = await node.request("GET", "/v1/sessions", huge)
    assert (refused.status_code, refused.json()["error"]["message"]) == (401, "token too_large")


@pytest.mark.parametrize("key", [EC, RSA], ids=["ES256", "RS256"])
async def test_a_good_token_is_good_everywhere(node: RunningNode, key: Key) -> None:
    said = key.sign(says("eve", **HELD))
    async with node.stranger() as client:
        assert (await client.ask("hello", token=said))["type"] == "welcome"
    assert (await node.request("GET", "/v1/sessions", said)).status_code == 200


async def test_a_token_by_the_secret_is_good_beside_them(node: RunningNode) -> None:
    said = jwt.encode(says("eve", **HELD), SECRET, "HS256", {"kid": "ec"})
    async with node.stranger() as client:
        assert (await client.ask("hello", token=said))["type"] == "welcome"
