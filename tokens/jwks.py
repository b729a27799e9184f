"""Public keys of an issuer, as a JSON Web Key Set (RFC 7517) tells them, and tokens that are signed by them.

Each key is good for one algorithm, which its own type decides and never the token: so no token can have a public
key taken for a secret. A token says by `kid` which key it means; `jwk`, `jku`, `x5u` and `x5c` in its header are not
looked at. Two algorithms (RFC 7518) are known: ES256, and RS256 with 2048 bits or more.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from jwt import InvalidAlgorithmError, InvalidSignatureError, InvalidTokenError, PyJWK, PyJWS, PyJWTError
from msgspec import Struct

from tokens.access import AccessDenied, Reason, SharedSecret

ALGORITHMS: Final = ("ES256", "RS256")
MIN_RSA_BITS: Final = 2048

_JWS: Final = PyJWS(algorithms=list(ALGORITHMS))
# What of a key is public: a set that tells a private key by mistake is used like any other.
_MEMBERS: Final = {"EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e")}


class KeysMalformed(Exception):
    """A document is no set of keys. The message says why, for the operator."""


class UnknownKey(Exception):
    """A token names a key that is not known here, or not yet."""


class _KeySet(Struct, frozen=True):
    """Of a key set what is read; keys of other kinds may be anything."""

    keys: list[dict[str, Any]]


def read_keys(document: bytes) -> dict[str, PyJWK]:
    """Give the usable keys of a set by their `kid`. Those that are of no use here are left out, as RFC 7517 asks.

    Raises:
        KeysMalformed: it is no JSON object with a list of objects as its `keys`.
    """
    try:
        found = msgspec.json.decode(document, type=_KeySet)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise KeysMalformed(f"no set of keys: {exc}") from None
    usable: dict[str, PyJWK] = {}
    for said in found.keys:
        kid, key = said.get("kid"), _usable(said)
        if isinstance(kid, str) and key is not None:
            usable.setdefault(kid, key)
    return usable


def _usable(said: Mapping[str, Any]) -> PyJWK | None:
    algorithm = _algorithm(said)
    if algorithm is None or said.get("alg", algorithm) != algorithm or not _for_signatures(said):
        return None
    try:
        key = PyJWK({name: said[name] for name in _MEMBERS[said["kty"]]}, algorithm)
    except (PyJWTError, KeyError, TypeError, ValueError):
        return None
    return None if algorithm == "RS256" and key.key.key_size < MIN_RSA_BITS else key


def _algorithm(said: Mapping[str, Any]) -> str | None:
    match said.get("kty"), said.get("crv"):
        case "EC", "P-256":
            return "ES256"
        case "RSA", _:
            return "RS256"
        case _:
            return None


def _for_signatures(said: Mapping[str, Any]) -> bool:
    operations = said.get("key_ops", ["verify"])
    return said.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _same(one: PyJWK, other: PyJWK) -> bool:
    return bool(one.algorithm_name == other.algorithm_name and one.key == other.key)


class KeyRing:
    """The keys by which tokens are verified: an issuer's, which come and go, and a secret, if there is one.

    `algorithms` are those of `ALGORITHMS` that are accepted. HS256 is accepted where there is a secret, and checked
    with that alone.
    """

    def __init__(self, algorithms: Collection[str], secret: SharedSecret | None = None) -> None:
        self._algorithms = frozenset(algorithms)
        self._secret = secret
        self._keys: Mapping[str, PyJWK] = {}
        # Grows when a key is not what it was, or there no more.
        self.version = 0

    def __len__(self) -> int:
        return len(self._keys)

    def replace(self, keys: Mapping[str, PyJWK]) -> None:
        """Go by these keys from now on."""
        before, self._keys = self._keys, keys
        if any(kid not in keys or not _same(keys[kid], key) for kid, key in before.items()):
            self.version += 1

    def payload_of(self, token: str) -> bytes:
        """Give the payload of a token that one of the keys has signed.

        Raises:
            AccessDenied: malformed or forged.
            UnknownKey: it may be signed by a key that is new.
        """
        try:
            header = _JWS.get_unverified_header(token)
            if header.get("alg") == "HS256" and self._secret is not None:
                return self._secret.payload_of(token)
            key = self._key(header)
            payload: bytes = _JWS.decode(token, key, algorithms=[key.algorithm_name])
        except (InvalidSignatureError, InvalidAlgorithmError):
            raise AccessDenied(Reason.FORGED) from None
        except InvalidTokenError:
            raise AccessDenied(Reason.MALFORMED) from None
        return payload

    def _key(self, header: Mapping[str, Any]) -> PyJWK:
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms or not isinstance(kid, str):
            raise AccessDenied(Reason.FORGED)
        try:
            return self._keys[kid]
        except KeyError:
            raise UnknownKey from None
