"""Key sets, and what tokens that name their keys are worth: by the ring alone, without a network."""

import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.issuers import Key, b64, elliptic, key_set, rsa_key, says
from tokens.access import AccessDenied, AccessRole, AccessSettings, Identity, Reason, SharedSecret, mint, verify
from tokens.jwks import ALGORITHMS, KeyRing, KeysMalformed, UnknownKey, read_keys

SECRET = SharedSecret("a development secret, long enough")
ONE = elliptic("one")
TWO = rsa_key("two")
NOW = int(time.time())
SMALL = Key("small", rsa_key("small", 1024).private)
OTHER_CURVE = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key()))


def ring(*keys: Key, algorithms: tuple[str, ...] = ALGORITHMS, secret: SharedSecret | None = None) -> KeyRing:
    made = KeyRing(algorithms, secret)
    made.replace(read_keys(key_set(*keys)))
    return made


def signed_by(key: bytes, claims: dict[str, Any], **header: Any) -> str:
    """Give a token by HMAC-SHA256, whatever its header says."""
    signing_input = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signing_input}.{b64(hmac.digest(key, signing_input.encode(), hashlib.sha256))}"


@pytest.mark.parametrize("key", [ONE, TWO], ids=["ES256", "RS256"])
def test_a_token_by_a_published_key_holds(key: Key) -> None:
    settings = AccessSettings(ring(ONE, TWO))
    assert verify(key.sign(says()), settings, NOW).user == "alice"


def test_a_token_by_the_secret_holds_where_there_is_one() -> None:
    token = mint("bob", AccessRole.SELLER, SECRET, NOW, 60)
    assert verify(token, AccessSettings(ring(ONE, secret=SECRET)), NOW).user == "bob"
    with pytest.raises(AccessDenied, match="forged"):
        verify(token, AccessSettings(ring(ONE)), NOW)


def test_a_token_that_supabase_has_issued_holds_as_it_comes() -> None:
    """The claims of a session's token, as https://supabase.com/docs/guides/auth/jwt-fields lists them."""
    user = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
    issuer = "https://abcdefghijklmnopqrst.supabase.co/auth/v1"
    claims = {
        "iss": issuer,
        "aud": "authenticated",
        "exp": NOW + 3600,
        "iat": NOW,
        "sub": user,
        "role": "authenticated",
        "aal": "aal1",
        "session_id": "5b4c0dd7-6a4f-4bd5-a5a6-7ab58e1b2d2f",
        "email": "ann@example.com",
        "phone": "",
        "is_anonymous": False,
        "app_metadata": {"provider": "email", "providers": ["email"], "role": "seller"},
        "user_metadata": {"role": "admin", "name": "Ann"},
        "amr": [{"method": "password", "timestamp": NOW}],
    }
    settings = AccessSettings(ring(ONE, secret=SECRET), issuer=issuer, audience="authenticated")
    who = Identity(user, AccessRole.SELLER, (NOW + 3600) * 1000)
    assert verify(ONE.sign(claims), settings, NOW) == who
    # Projects that have not moved to asymmetric keys sign with a secret.
    assert verify(jwt.encode(claims, SECRET.secret, "HS256", {"kid": "x7Zt"}), settings, NOW) == who
    plain = {**claims, "app_metadata": {"provider": "email"}}
    assert verify(ONE.sign(plain), settings, NOW).role is AccessRole.VIEWER


OWN = elliptic("own")
LIES: list[tuple[str, str, Reason]] = [
    ("alg none", jwt.encode(says(), "", "none", {"kid": "one"}), Reason.FORGED),
    ("HS256 by the public key", signed_by(ONE.pem, says(), alg="HS256", kid="one"), Reason.FORGED),
    ("ES256 that is an HMAC by the public key", signed_by(ONE.pem, says(), alg="ES256", kid="one"), Reason.FORGED),
    ("HS512 by the secret", jwt.encode(says(), SECRET.secret * 2, "HS512", {"kid": "one"}), Reason.FORGED),
    ("HS256 by another secret", signed_by(b"x" * 32, says(), alg="HS256", kid="one"), Reason.FORGED),
    ("another key's signature", Key("one", OWN.private).sign(says()), Reason.FORGED),
    ("RS256 where the key is for ES256", TWO.sign(says(), kid="one"), Reason.FORGED),
    ("ES256 where the key is for RS256", ONE.sign(says(), kid="two"), Reason.FORGED),
    ("no kid", jwt.encode(says(), ONE.private, "ES256"), Reason.FORGED),
    ("own key in the header", OWN.sign(says(), kid="one", jwk=OWN.jwk), Reason.FORGED),
    ("own key set's address", OWN.sign(says(), kid="one", jku="https://evil.example/keys"), Reason.FORGED),
    ("own certificate's address", OWN.sign(says(), kid="one", x5u="https://evil.example/c.pem"), Reason.FORGED),
    ("own certificate", OWN.sign(says(), kid="one", x5c=["MIIB"]), Reason.FORGED),
    ("crit", ONE.sign(says(), crit=["exp"], exp=1), Reason.MALFORMED),
    ("expired", ONE.sign({**says(), "exp": NOW - 60}), Reason.EXPIRED),
    ("not yet", ONE.sign(says(nbf=NOW + 60)), Reason.NOT_YET),
    (
        "sub a number",
        jwt.PyJWS().encode(b'{"sub":7,"exp":4102444800}', ONE.private, "ES256", {"kid": "one"}),
        Reason.NO_SUBJECT,
    ),
]


@pytest.mark.parametrize(("token", "reason"), [pytest.param(token, why, id=name) for name, token, why in LIES])
def test_a_token_that_lies_is_refused(token: str, reason: Reason) -> None:
    with pytest.raises(AccessDenied) as denied:
        verify(token, AccessSettings(ring(ONE, TWO, secret=SECRET)), NOW)
    assert denied.value.reason is reason


@pytest.mark.parametrize(
    "kid",
    [
        "three",
        "",
        "One",
        "one ",
        "../../etc/passwd",
        "/dev/null",
        "' OR 1=1 --",
        "one\0",
        "http://evil.example",
        "x" * 4000,
    ],
)
def test_a_key_that_is_not_known_is_nothing_but_that(kid: str) -> None:
    with pytest.raises(UnknownKey):
        verify(OWN.sign(says(), kid=kid), AccessSettings(ring(ONE, TWO)), NOW)


def test_an_algorithm_that_is_not_set_is_refused() -> None:
    settings = AccessSettings(ring(ONE, TWO, algorithms=("RS256",)))
    assert verify(TWO.sign(says()), settings, NOW).user == "alice"
    with pytest.raises(AccessDenied, match="forged"):
        verify(ONE.sign(says()), settings, NOW)


@pytest.mark.parametrize("kid", [1, None, ["one"], {"one": 1}, True])
def test_a_kid_that_is_no_text_is_refused(kid: Any) -> None:
    header = b64(json.dumps({"alg": "ES256", "kid": kid}).encode())
    with pytest.raises(AccessDenied) as denied:
        verify(f"{header}.{b64(b'{}')}.{b64(bytes(64))}", AccessSettings(ring(ONE)), NOW)
    assert denied.value.reason in {Reason.MALFORMED, Reason.FORGED}


def test_of_claims_that_are_said_twice_the_last_counts() -> None:
    """As msgspec reads them; what matters is that the signer alone can say them."""
    said = b'{"sub":"alice","sub":"bob","exp":1,"exp":4102444800}'
    token = jwt.PyJWS().encode(said, ONE.private, "ES256", {"kid": "one"})
    assert verify(token, AccessSettings(ring(ONE)), NOW).user == "bob"


def test_of_a_header_that_says_twice_the_last_counts() -> None:
    header = b64(b'{"alg":"ES256","alg":"HS256","kid":"one"}')
    body = f"{header}.{b64(json.dumps(says()).encode())}"
    token = f"{body}.{b64(hmac.digest(ONE.pem, body.encode(), hashlib.sha256))}"
    with pytest.raises(AccessDenied, match="forged"):
        verify(token, AccessSettings(ring(ONE, secret=SECRET)), NOW)


def test_a_start_is_asked_for_where_the_settings_say_so() -> None:
    settings = AccessSettings(ring(ONE), require_nbf=True)
    assert verify(ONE.sign(says(nbf=NOW)), settings, NOW).user == "alice"
    with pytest.raises(AccessDenied, match="no_start"):
        verify(ONE.sign(says()), settings, NOW)


def test_the_keys_can_be_replaced() -> None:
    keys = ring(ONE)
    keys.replace(read_keys(key_set(TWO)))
    assert len(keys) == 1
    assert verify(TWO.sign(says()), AccessSettings(keys), NOW).user == "alice"
    with pytest.raises(UnknownKey):
        verify(ONE.sign(says()), AccessSettings(keys), NOW)


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{", b"null", b"[]", b"{}", b'{"keys":{}}', b'{"keys":["one"]}', b'{"keys":null}', b"\xff",
        b'{"keys":[{"kid":"\xff"}]}', b"<html>", b'{"keys":' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_set_of_keys_is_refused(document: bytes) -> None:
    with pytest.raises(KeysMalformed):
        read_keys(document)


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": None}, {"kid": 7}, {"kty": "oct", "k": "AAAA"}, {"kty": "OKP"}, {"kty": None}, {"kty": ["EC"]},
        {"crv": "P-384"}, {"crv": None}, {"alg": "RS256"}, {"alg": "none"}, {"alg": "ES384"}, {"use": "enc"},
        {"key_ops": ["sign"]}, {"key_ops": "verify"}, {"x": ""}, {"x": 7}, {"x": None}, {"x": "%%%"}, {"y": "AA"},
        {"x": "A" * 43}, pytest.param(OTHER_CURVE, id="another curve"),
    ],
    ids=str,
)  # fmt: skip
def test_a_key_that_is_of_no_use_is_left_out(changes: dict[str, Any]) -> None:
    document = json.dumps({"keys": [{**ONE.jwk, **changes}, TWO.jwk]}).encode()
    assert list(read_keys(document)) == ["two"]


@pytest.mark.parametrize("changes", [{"n": "AQAB"}, {"e": "AA"}, {"n": 7}, {"n": None}], ids=str)
def test_an_rsa_key_that_is_of_no_use_is_left_out(changes: dict[str, Any]) -> None:
    document = json.dumps({"keys": [{**TWO.jwk, **changes}, ONE.jwk]}).encode()
    assert list(read_keys(document)) == ["one"]


def test_a_short_rsa_key_is_left_out() -> None:
    assert list(read_keys(key_set(SMALL))) == []


def test_a_key_needs_say_no_more_than_what_it_is() -> None:
    bare = {name: ONE.jwk[name] for name in ("kty", "crv", "x", "y", "kid")}
    document = json.dumps({"keys": [{**bare, "key_ops": ["verify"], "ext": True}]}).encode()
    assert list(read_keys(document)) == ["one"]


def test_a_private_key_in_a_set_is_read_as_the_public_one() -> None:
    private = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ONE.private))  # type: ignore[arg-type] # it is one for ES256
    document = json.dumps({"keys": [{**ONE.jwk, "d": private["d"]}]}).encode()
    keys = KeyRing(ALGORITHMS)
    keys.replace(read_keys(document))
    assert verify(ONE.sign(says()), AccessSettings(keys), NOW).user == "alice"


def test_of_two_keys_of_one_name_the_first_counts() -> None:
    document = json.dumps({"keys": [ONE.jwk, {**OWN.jwk, "kid": "one"}]}).encode()
    keys = KeyRing(ALGORITHMS)
    keys.replace(read_keys(document))
    assert verify(ONE.sign(says()), AccessSettings(keys), NOW).user == "alice"


def test_an_empty_set_is_a_set() -> None:
    assert read_keys(b'{"keys":[]}') == {}


def test_its_version_changes_when_a_key_is_not_what_it_was() -> None:
    keys = ring(ONE)
    versions = [keys.version]
    for published in ([ONE], [ONE, TWO], [TWO], [Key("two", rsa_key("two").private)], [Key("two", ONE.private)], []):
        keys.replace(read_keys(key_set(*published)))
        versions.append(keys.version)
    assert versions == [0, 0, 0, 1, 2, 3, 4]


def test_a_secret_has_one_version() -> None:
    assert SECRET.version == SharedSecret("another development secret, long").version
