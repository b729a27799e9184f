import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tokens.access import (
    MAX_TOKEN_CHARS,
    AccessDenied,
    AccessRole,
    AccessSettings,
    AccessSettingsError,
    Identity,
    Reason,
    SharedSecret,
    mint,
    verify,
)

NOW = 1_732_147_200
SECRET = SharedSecret("a development secret, long enough")
SETTINGS = AccessSettings(SECRET, issuer="https://id.example", audience="stagewire")
CLAIMS = {"sub": "alice", "exp": NOW + 60, "iss": "https://id.example", "aud": "stagewire"}
PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_PEM = PRIVATE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

OWN_KEY = {"kty": "oct", "k": "A" * 43}


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: bytes, header: object = None, key: bytes = SECRET.secret.encode()) -> str:
    """A token put together by hand, so that it can hold what no library would write."""
    head = json.dumps({"alg": "HS256", "typ": "JWT"} if header is None else header).encode()
    signing_input = f"{b64(head)}.{b64(payload)}"
    return f"{signing_input}.{b64(hmac.digest(key, signing_input.encode(), hashlib.sha256))}"


def saying(**changes: Any) -> str:
    return signed(json.dumps(CLAIMS | changes).encode())


def without(claim: str) -> str:
    return signed(json.dumps({name: said for name, said in CLAIMS.items() if name != claim}).encode())


def with_header(**header: Any) -> str:
    return signed(json.dumps(CLAIMS).encode(), {"alg": "HS256"} | header)


def unsigned(alg: str) -> str:
    return with_header(alg=alg).rpartition(".")[0] + "."


def sized(characters: int) -> str:
    spare = characters - len(saying(pad=""))
    return saying(pad="x" * (spare * 3 // 4))


TOKEN = saying()

FORGERIES: list[tuple[str, str, Reason]] = [
    ("empty", "", Reason.MALFORMED),
    ("one segment", "abc", Reason.MALFORMED),
    ("two segments", TOKEN.rpartition(".")[0], Reason.MALFORMED),
    ("four segments", TOKEN + ".abc", Reason.MALFORMED),
    ("not ascii", TOKEN + "é", Reason.MALFORMED),
    ("lone surrogate", TOKEN + "\ud800", Reason.MALFORMED),
    ("newline after", TOKEN + "\n", Reason.MALFORMED),
    ("padding after", TOKEN + "=", Reason.MALFORMED),
    ("spare bits set", TOKEN[:-1] + chr(ord(TOKEN[-1]) + 1), Reason.MALFORMED),
    ("100 KiB", "a" * 100_000, Reason.TOO_LARGE),
    ("signed, one size too large", sized(MAX_TOKEN_CHARS + 2), Reason.TOO_LARGE),
    ("header not JSON", "abc." + TOKEN.partition(".")[2], Reason.MALFORMED),
    ("header not an object", signed(json.dumps(CLAIMS).encode(), ["HS256"]), Reason.MALFORMED),
    ("header nested deep", f"{b64(b'[' * 3000)}.{TOKEN.partition('.')[2]}", Reason.MALFORMED),
    ("alg none", unsigned("none"), Reason.FORGED),
    ("alg None", unsigned("None"), Reason.FORGED),
    ("alg HS256, no signature", unsigned("HS256"), Reason.FORGED),
    ("alg missing", signed(json.dumps(CLAIMS).encode(), {"typ": "JWT"}), Reason.FORGED),
    ("alg a list", with_header(alg=["HS256"]), Reason.FORGED),
    ("alg an object", with_header(alg={"HS256": 1}), Reason.FORGED),
    ("alg HS512, HS256 signature", with_header(alg="HS512"), Reason.FORGED),
    ("HS512 by our secret", jwt.encode(CLAIMS, SECRET.secret * 2, "HS512"), Reason.FORGED),
    ("ES256 by a stranger's key", jwt.encode(CLAIMS, PRIVATE_KEY, "ES256"), Reason.FORGED),
    ("HS256 by a public key", signed(json.dumps(CLAIMS).encode(), key=PUBLIC_PEM), Reason.FORGED),
    ("HS256 by another secret", signed(json.dumps(CLAIMS).encode(), key=b"x" * 32), Reason.FORGED),
    ("HS256 by no secret", signed(json.dumps(CLAIMS).encode(), key=b""), Reason.FORGED),
    ("another token's signature", saying(sub="bob").rpartition(".")[0] + TOKEN[-44:], Reason.FORGED),
    (
        "own key in the header",
        signed(json.dumps(CLAIMS).encode(), {"alg": "HS256", "jwk": OWN_KEY}, bytes(32)),
        Reason.FORGED,
    ),
    ("kid a number", with_header(kid=1), Reason.MALFORMED),
    ("crit unknown", with_header(crit=["x"], x=1), Reason.MALFORMED),
    ("payload detached", with_header(b64=False, crit=["b64"]), Reason.MALFORMED),
    ("claims empty", signed(b""), Reason.MALFORMED),
    ("claims not JSON", signed(b"{"), Reason.MALFORMED),
    ("claims a list", signed(b"[]"), Reason.MALFORMED),
    ("claims null", signed(b"null"), Reason.MALFORMED),
    ("claims not UTF-8", signed(b'{"sub":"\xff"}'), Reason.MALFORMED),
    ("claims in UTF-16", signed(json.dumps(CLAIMS).encode("utf-16")), Reason.MALFORMED),
    ("claims with NaN", signed(b'{"exp":NaN}'), Reason.MALFORMED),
    ("claims with a lone surrogate", signed(b'{"sub":"\\ud800"}'), Reason.MALFORMED),
    ("claims with 5,000 digits", signed(b'{"exp":' + b"9" * 5000 + b"}"), Reason.MALFORMED),
    ("exp missing", without("exp"), Reason.NO_EXPIRY),
    ("exp as text", saying(exp=str(NOW + 60)), Reason.MALFORMED),
    ("exp a float", saying(exp=NOW + 60.0), Reason.MALFORMED),
    ("exp 10^18", saying(exp=10**18), Reason.MALFORMED),
    ("exp 10^30", saying(exp=10**30), Reason.MALFORMED),
    ("exp in milliseconds", saying(exp=NOW * 1000), Reason.MALFORMED),
    ("exp below zero", saying(exp=-1), Reason.MALFORMED),
    ("exp true", saying(exp=True), Reason.MALFORMED),
    ("exp null", saying(exp=None), Reason.MALFORMED),
    ("exp 0", saying(exp=0), Reason.EXPIRED),
    ("exp past the leeway", saying(exp=NOW - 5), Reason.EXPIRED),
    ("nbf past the leeway", saying(nbf=NOW + 6), Reason.NOT_YET),
    ("nbf as text", saying(nbf=str(NOW)), Reason.MALFORMED),
    ("nbf null", saying(nbf=None), Reason.MALFORMED),
    ("sub missing", without("sub"), Reason.NO_SUBJECT),
    ("sub empty", saying(sub=""), Reason.NO_SUBJECT),
    ("sub a number", saying(sub=7), Reason.NO_SUBJECT),
    ("sub a list", saying(sub=["alice"]), Reason.NO_SUBJECT),
    ("sub too long", saying(sub="a" * 65), Reason.NO_SUBJECT),
    ("sub with a space", saying(sub="al ice"), Reason.NO_SUBJECT),
    ("sub with a newline", saying(sub="alice\n"), Reason.NO_SUBJECT),
    ("sub with a NUL", saying(sub="alice\0"), Reason.NO_SUBJECT),
    ("sub not ascii", saying(sub="\u0430lice"), Reason.NO_SUBJECT),
    ("iss missing", without("iss"), Reason.WRONG_ISSUER),
    ("iss another", saying(iss="https://id.example/"), Reason.WRONG_ISSUER),
    ("iss a list with ours", saying(iss=["https://id.example"]), Reason.WRONG_ISSUER),
    ("aud missing", without("aud"), Reason.WRONG_AUDIENCE),
    ("aud another", saying(aud="stagewire2"), Reason.WRONG_AUDIENCE),
    ("aud a list of others", saying(aud=["a", "b", ["stagewire"], {}]), Reason.WRONG_AUDIENCE),
    ("aud an empty list", saying(aud=[]), Reason.WRONG_AUDIENCE),
    ("aud an object with ours", saying(aud={"stagewire": 1}), Reason.WRONG_AUDIENCE),
]


@pytest.mark.parametrize(
    ("token", "reason"), [pytest.param(token, reason, id=name) for name, token, reason in FORGERIES]
)
def test_a_token_that_must_not_be_trusted_is_refused(token: str, reason: Reason) -> None:
    with pytest.raises(AccessDenied) as denied:
        verify(token, SETTINGS, NOW)
    assert denied.value.reason is reason
    assert str(denied.value) == reason.value


def test_claims_nested_deep_do_no_harm() -> None:
    """Interpreters differ in how deep they read; none may fail otherwise than by a refusal."""
    with pytest.raises(AccessDenied) as denied:
        verify(signed(b'{"a":' * 1000 + b"1" + b"}" * 1000), SETTINGS, NOW)
    assert denied.value.reason in {Reason.MALFORMED, Reason.WRONG_ISSUER}


def test_every_reason_has_a_row() -> None:
    # One is given only where the settings ask for a start.
    assert {reason for _, _, reason in FORGERIES} == set(Reason) - {Reason.NO_START}


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(TOKEN, id="the plain one"),
        pytest.param(sized(MAX_TOKEN_CHARS), id="the largest"),
        pytest.param(saying(aud=["other", "stagewire"]), id="aud a list with ours"),
        pytest.param(with_header(kid="../../"), id="kid a path"),
        pytest.param(saying(nbf=NOW + 5), id="nbf within the leeway"),
        pytest.param(saying(app_metadata="text", name=["x"], synthetic="true"), id="odd extras"),
        pytest.param(saying(role="service_role"), id="the database's role"),
    ],
)
def test_a_token_that_holds_says_who_it_speaks_for(token: str) -> None:
    assert len(token) <= MAX_TOKEN_CHARS
    assert verify(token, SETTINGS, NOW) == Identity("alice", AccessRole.VIEWER, (NOW + 60) * 1000)


def test_the_largest_token_is_exactly_as_large_as_allowed() -> None:
    assert len(sized(MAX_TOKEN_CHARS)) == MAX_TOKEN_CHARS


@pytest.mark.parametrize(("now_s", "holds"), [(NOW + 64.999, True), (NOW + 65, False), (NOW + 65.001, False)])
def test_a_token_holds_until_its_expiry_and_the_leeway(now_s: float, holds: bool) -> None:
    if holds:
        assert verify(TOKEN, SETTINGS, now_s).user == "alice"
    else:
        with pytest.raises(AccessDenied, match="expired"):
            verify(TOKEN, SETTINGS, now_s)


def test_without_an_issuer_or_audience_in_the_settings_none_is_asked_for() -> None:
    settings = AccessSettings(SECRET)
    for token in (TOKEN, without("iss"), without("aud")):
        assert verify(token, settings, NOW).user == "alice"


@pytest.mark.parametrize("user", ["a" * 64, "3fa85f64-5717-4562-b3fc-2c963f66afa6", "_-"])
def test_a_user_is_of_the_legal_characters(user: str) -> None:
    assert verify(saying(sub=user), SETTINGS, NOW).user == user


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"app_metadata": {"role": "admin"}}, AccessRole.ADMIN),
        ({"app_metadata": {"role": "moderator"}}, AccessRole.MODERATOR),
        ({"app_metadata": {"role": "seller"}}, AccessRole.SELLER),
        ({"app_metadata": {"role": "viewer"}}, AccessRole.VIEWER),
        ({"app_metadata": {"role": "root"}}, AccessRole.VIEWER),
        ({"app_metadata": {"role": "ADMIN"}}, AccessRole.VIEWER),
        ({"app_metadata": {"role": ["admin"]}}, AccessRole.VIEWER),
        ({"app_metadata": {"role": None}}, AccessRole.VIEWER),
        ({"app_metadata": ["admin"]}, AccessRole.VIEWER),
        ({"user_metadata": {"role": "admin"}}, AccessRole.VIEWER),
        ({"app_metadata.role": "admin"}, AccessRole.VIEWER),
        ({"role": "admin"}, AccessRole.VIEWER),
    ],
)
def test_a_role_comes_from_its_claim_alone(claims: dict[str, Any], role: AccessRole) -> None:
    assert verify(saying(**claims), SETTINGS, NOW).role is role


def test_the_settings_name_the_claims_of_role_and_name() -> None:
    settings = AccessSettings(SECRET, role_claim="stage.rights.role", name_claim="user_metadata.name")
    token = saying(stage={"rights": {"role": "seller"}}, user_metadata={"name": "Alice"})
    assert verify(token, settings, NOW) == Identity("alice", AccessRole.SELLER, (NOW + 60) * 1000, name="Alice")


@pytest.mark.parametrize("path", ["user_metadata", "user_metadata.role", "user_metadata.a.b"])
def test_a_role_that_users_could_edit_is_refused(path: str) -> None:
    with pytest.raises(AccessSettingsError, match="role"):
        AccessSettings(SECRET, role_claim=path)


@pytest.mark.parametrize("leeway_s", [-1, 301])
def test_a_leeway_out_of_range_is_refused(leeway_s: int) -> None:
    with pytest.raises(AccessSettingsError, match="leeway"):
        AccessSettings(SECRET, leeway_s=leeway_s)


@pytest.mark.parametrize(
    "name",
    ["Alice", "Aïcha 李", "👨\u200d👩\u200d👧", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "x" * 64],
)
def test_a_name_is_shown(name: str) -> None:
    assert verify(saying(name=name), SETTINGS, NOW).name == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "a\0b", "\u202egnp.exe", "\u200b", 7, None, {}])
def test_a_name_that_is_not_for_show_is_none(name: object) -> None:
    assert verify(saying(name=name), SETTINGS, NOW).name is None


@pytest.mark.parametrize(
    ("claims", "synthetic"),
    [
        ({"synthetic": True}, True),
        ({"synthetic": 1}, False),
        ({"synthetic": "true"}, False),
        ({"user_metadata": {"synthetic": True}}, False),
    ],
)
def test_a_load_tester_is_marked_at_the_top_level(claims: dict[str, Any], synthetic: bool) -> None:
    assert verify(saying(**claims), SETTINGS, NOW).synthetic is synthetic


@pytest.mark.parametrize(
    ("secret", "rule"),
    [
        ("", "32 bytes"),
        ("x" * 31, "32 bytes"),
        (PUBLIC_PEM.decode(), "asymmetric"),
        (json.dumps({"kty": "oct", "k": "A" * 43}), "asymmetric"),
    ],
)
def test_a_secret_that_cannot_protect_is_refused(secret: str, rule: str) -> None:
    with pytest.raises(AccessSettingsError, match=rule):
        SharedSecret(secret)


def test_a_secret_as_long_as_the_hash_is_enough() -> None:
    assert SharedSecret("x" * 32).secret == "x" * 32


def test_a_secret_is_not_shown() -> None:
    assert SECRET.secret not in f"{SECRET!r} {SECRET} {SETTINGS!r}"


def test_a_minted_token_says_what_was_asked() -> None:
    token = mint(
        "tester-1",
        AccessRole.ADMIN,
        SECRET,
        NOW,
        60,
        issuer="https://id.example",
        audience="stagewire",
        synthetic=True,
        name="Tester",
    )
    assert verify(token, SETTINGS, NOW) == Identity(
        "tester-1", AccessRole.ADMIN, (NOW + 60) * 1000, synthetic=True, name="Tester"
    )
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


@pytest.mark.parametrize("user", ["", "al ice", "x" * 65])
def test_a_token_is_not_minted_for_an_illegal_user(user: str) -> None:
    with pytest.raises(AccessDenied, match="no_subject"):
        mint(user, AccessRole.VIEWER, SECRET, NOW, 60)
