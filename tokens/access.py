"""Access tokens: JWTs (RFC 7519) that say who a user is.

PyJWT checks the signature. The claims are read here, strictly typed and against the caller's clock, since
PyJWT reads its own clock and coerces times. A token says:

    sub          the user, `[A-Za-z0-9_-]{1,64}`; Supabase's UUIDs are of that kind
    exp, nbf     whole unix seconds; exp is required, nbf where the settings say so
    iss, aud     checked where the settings name one; aud may be a list that contains ours
    the role     at the path the settings name; an unknown or absent role is a viewer
    the name     at the path the settings name; for display only
    synthetic    `true` at the top level marks a load tester: an issuer writes that level, a user cannot
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec
from jwt import InvalidAlgorithmError, InvalidKeyError, InvalidSignatureError, InvalidTokenError, PyJWS
from jwt.algorithms import HMACAlgorithm
from msgspec import Struct

MAX_TOKEN_CHARS: Final = 8192
MAX_NAME_CHARS: Final = 64
DEFAULT_ROLE_CLAIM: Final = "app_metadata.role"
DEFAULT_NAME_CLAIM: Final = "name"

_MIN_SECRET_BYTES: Final = 32
_MAX_LEEWAY_S: Final = 300
# The last second of the year 9999: a time in milliseconds is beyond it, and so is caught.
_MAX_TIME_S: Final = 253_402_300_799
# RFC 7515 has no padding; PyJWT takes some, and so would read several texts as one token.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_USER = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Marks that join letters or emoji into one; Python counts them as unprintable.
_JOINERS: Final = str.maketrans("", "", "\u200c\u200d")
_ALGORITHM: Final = "HS256"
_JWS: Final = PyJWS(algorithms=[_ALGORITHM])


class Reason(StrEnum):
    """Why an access token was refused, as told to machines. `EXPIRED` alone asks for a fresh token."""

    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    FORGED = "forged"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    NO_EXPIRY = "no_expiry"
    NO_START = "no_start"
    NO_SUBJECT = "no_subject"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"


class AccessDenied(Exception):
    """An access token is refused; `reason` is all that it tells."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class AccessSettingsError(ValueError):
    """The settings could never verify a token safely; the message names the rule they broke."""


class AccessRole(StrEnum):
    """A user's role across sessions."""

    VIEWER = "viewer"
    SELLER = "seller"
    MODERATOR = "moderator"
    ADMIN = "admin"


class Identity(Struct, frozen=True):
    """Who a token speaks for; `expires_at` in milliseconds since the epoch, `synthetic` for load testers."""

    user: str
    role: AccessRole
    expires_at: int
    synthetic: bool = False
    name: str | None = None


class Keys(Protocol):
    """What tokens are verified by: a secret, or an issuer's keys (`tokens.jwks`)."""

    @property
    def version(self) -> int:
        """Give a number that changes with the keys: what was verified before may be good no more."""

    def payload_of(self, token: str) -> bytes:
        """Give the payload of a token that one of the keys has signed; raises `AccessDenied`, malformed or forged."""


class SharedSecret(Struct, frozen=True):
    """The key of HS256 tokens: a secret of 32 bytes or more, shared with the issuer.

    Raises:
        AccessSettingsError: it is shorter than the hash it keys (RFC 7518, 3.2), or is a public key.
    """

    secret: str

    def __post_init__(self) -> None:
        if len(self.secret.encode()) < _MIN_SECRET_BYTES:
            raise AccessSettingsError(f"the access secret has {_MIN_SECRET_BYTES} bytes or more")
        try:
            HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(self.secret)
        except InvalidKeyError:
            raise AccessSettingsError("the access secret is an asymmetric key") from None

    def __repr__(self) -> str:
        return "SharedSecret(…)"

    @property
    def version(self) -> int:
        """A secret stays what it is."""
        return 0

    def payload_of(self, token: str) -> bytes:
        """The payload of a token that this key signed; raises `AccessDenied`, malformed or forged."""
        try:
            payload: bytes = _JWS.decode(token, self.secret, algorithms=[_ALGORITHM])
        except (InvalidSignatureError, InvalidAlgorithmError):
            raise AccessDenied(Reason.FORGED) from None
        except InvalidTokenError:
            raise AccessDenied(Reason.MALFORMED) from None
        return payload

    def sign(self, payload: bytes) -> str:
        return _JWS.encode(payload, self.secret, _ALGORITHM)


class AccessSettings(Struct, frozen=True):
    """What a token must say to be accepted, and where it says it; paths are claim names joined by dots.

    Raises:
        AccessSettingsError: users could edit their own role, or the leeway is not 0 to 300 s.
    """

    keys: Keys
    issuer: str | None = None
    audience: str | None = None
    role_claim: str = DEFAULT_ROLE_CLAIM
    name_claim: str = DEFAULT_NAME_CLAIM
    leeway_s: int = 5
    require_nbf: bool = False

    def __post_init__(self) -> None:
        if self.role_claim.split(".")[0] == "user_metadata":
            raise AccessSettingsError("the role claim must not be one that users edit")
        if not 0 <= self.leeway_s <= _MAX_LEEWAY_S:
            raise AccessSettingsError(f"the leeway is from 0 to {_MAX_LEEWAY_S} s")


def verify(token: str, settings: AccessSettings, now_s: float) -> Identity:
    """Who a token speaks for, where it holds at `now_s` (unix seconds).

    Raises:
        AccessDenied: with the first `Reason` found; no claim is read before the signature.
        Whatever else the keys' `payload_of` raises.
    """
    if len(token) > MAX_TOKEN_CHARS:
        raise AccessDenied(Reason.TOO_LARGE)
    if not _COMPACT.fullmatch(token):
        raise AccessDenied(Reason.MALFORMED)
    claims = _read_claims(settings.keys.payload_of(token))
    _require_address(claims, settings)
    user = _user(claims)
    expires_s = _expiry(claims)
    _require_time(claims, expires_s, now_s, settings)
    return Identity(
        user=user,
        role=_role(_find(claims, settings.role_claim)),
        expires_at=expires_s * 1000,
        synthetic=claims.get("synthetic") is True,
        name=_name(_find(claims, settings.name_claim)),
    )


def mint(
    user: str,
    role: AccessRole,
    secret: SharedSecret,
    now_s: int,
    lifetime_s: int,
    *,
    issuer: str | None = None,
    audience: str | None = None,
    synthetic: bool = False,
    name: str | None = None,
) -> str:
    """An access token for development and load tests, its claims where the default settings look for them.

    Raises:
        AccessDenied: `no_subject`, the user could not be verified.
    """
    said = {
        "sub": user,
        "iat": now_s,
        "exp": now_s + lifetime_s,
        "iss": issuer,
        "aud": audience,
        "app_metadata": {"role": role.value},
        "synthetic": synthetic or None,
        "name": name,
    }
    claims = {claim: value for claim, value in said.items() if value is not None}
    _user(claims)
    return secret.sign(msgspec.json.encode(claims))


def _read_claims(payload: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise AccessDenied(Reason.MALFORMED) from None


def _require_address(claims: Mapping[str, Any], settings: AccessSettings) -> None:
    if settings.issuer is not None and claims.get("iss") != settings.issuer:
        raise AccessDenied(Reason.WRONG_ISSUER)
    if settings.audience is not None and not _names(claims.get("aud"), settings.audience):
        raise AccessDenied(Reason.WRONG_AUDIENCE)


def _names(claim: object, audience: str) -> bool:
    return audience in claim if isinstance(claim, list) else claim == audience


def _user(claims: Mapping[str, Any]) -> str:
    user = claims.get("sub")
    if not isinstance(user, str) or not _USER.fullmatch(user):
        raise AccessDenied(Reason.NO_SUBJECT)
    return user


def _expiry(claims: Mapping[str, Any]) -> int:
    if "exp" not in claims:
        raise AccessDenied(Reason.NO_EXPIRY)
    return _seconds(claims["exp"])


def _require_time(claims: Mapping[str, Any], expires_s: int, now_s: float, settings: AccessSettings) -> None:
    if now_s >= expires_s + settings.leeway_s:
        raise AccessDenied(Reason.EXPIRED)
    if settings.require_nbf and "nbf" not in claims:
        raise AccessDenied(Reason.NO_START)
    if now_s < _seconds(claims.get("nbf", 0)) - settings.leeway_s:
        raise AccessDenied(Reason.NOT_YET)


def _seconds(claim: object) -> int:
    # A bool is an int to Python, and is no time.
    if type(claim) is not int or not 0 <= claim <= _MAX_TIME_S:
        raise AccessDenied(Reason.MALFORMED)
    return claim


def _find(claims: Mapping[str, Any], path: str) -> Any:
    found: Any = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _role(claim: Any) -> AccessRole:
    try:
        return AccessRole(claim)
    except ValueError:
        return AccessRole.VIEWER


def _name(claim: object) -> str | None:
    if not isinstance(claim, str) or not 1 <= len(claim) <= MAX_NAME_CHARS:
        return None
    return claim if claim.translate(_JOINERS).isprintable() else None
