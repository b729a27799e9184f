"""Who is who: what every token passes, of a `hello`, a `token.refresh`, or a request over HTTP."""

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from hashlib import sha256
from time import time
from typing import Any, Final, TypeAlias

from realtime.bounded import keep
from realtime.issuer import Issuer
from realtime.protocol.codes import Barred, Close, Code
from realtime.settings import Settings
from realtime.tasks import Tasks
from tokens.access import AccessDenied, AccessSettings, Identity, Keys, Reason, SharedSecret, verify
from tokens.jwks import KeyRing, UnknownKey

FROZEN: Final = "this user is frozen"
# At once, unless a key has to be fetched for it.
Identified: TypeAlias = Identity | Coroutine[Any, Any, Identity]


class Identities:
    """Tells who a token speaks for, where that may come in.

    Of the last `most` good tokens it remembers that, by their SHA-256: whoever comes back shows the same one. Whether
    it still holds, and the user may come in, is asked each time.
    """

    def __init__(
        self, access: AccessSettings, issuer: Issuer | None, is_frozen: Callable[[str], bool], most: int
    ) -> None:
        self._access = access
        self._issuer = issuer
        self._is_frozen = is_frozen
        self._most = most
        # By the version of the keys that verified it, and its hash.
        self._good: OrderedDict[tuple[int, bytes], Identity] = OrderedDict()

    def identify(self, token: str) -> Identified:
        """Give who a token speaks for, or what to await for that.

        Raises:
            Barred
        """
        try:
            return self._check(token)
        except UnknownKey:
            assert self._issuer is not None, "only the keys of an issuer may be unknown"
            return self._identify_later(token, self._issuer)

    async def _identify_later(self, token: str, issuer: Issuer) -> Identity:
        fresh = False
        while not fresh:
            fresh = await issuer.renew()
            with suppress(UnknownKey):
                return self._check(token)
        raise _barred(Reason.FORGED)

    def recheck(self, identity: Identity) -> None:
        """Let pass who was identified a while ago, and would be now.

        Raises:
            Barred
        """
        if time() >= identity.expires_at / 1000 + self._access.leeway_s:
            raise _barred(Reason.EXPIRED)
        if self._is_frozen(identity.user):
            raise Barred(Code.FORBIDDEN, FROZEN, Close.FROZEN)

    def _check(self, token: str) -> Identity:
        shown = (self._access.keys.version, sha256(token.encode()).digest())
        identity = self._good.get(shown)
        if identity is None:
            identity = self._verify(token)
            keep(self._good, shown, identity, self._most)
        self.recheck(identity)
        return identity

    def _verify(self, token: str) -> Identity:
        try:
            return verify(token, self._access, time())
        except AccessDenied as exc:
            raise _barred(exc.reason) from None


def _barred(reason: Reason) -> Barred:
    """Whoever has an expired token gets a fresh one; any other is final."""
    close = Close.TOKEN_EXPIRED if reason is Reason.EXPIRED else Close.NOT_AUTHENTICATED
    return Barred(Code.UNAUTHENTICATED, f"token {reason}", close)


def identities_for(settings: Settings, tasks: Tasks, is_frozen: Callable[[str], bool]) -> Identities:
    """Give what tells them, as the settings say. Where tokens have an issuer, its keys are kept up to date.

    Raises:
        AccessSettingsError
    """
    access = _access(settings)
    if not isinstance(access.keys, KeyRing):
        return Identities(access, None, is_frozen, settings.token_cache)
    issuer = Issuer(access.keys, tasks, settings)
    tasks.keep(issuer.run)
    return Identities(access, issuer, is_frozen, settings.token_cache)


def _access(settings: Settings) -> AccessSettings:
    return AccessSettings(
        keys=_keys(settings),
        issuer=settings.jwt_issuer or None,
        audience=settings.jwt_audience or None,
        role_claim=settings.jwt_role_claim,
        leeway_s=settings.jwt_leeway,
        require_nbf=settings.jwt_require_nbf,
    )


def _keys(settings: Settings) -> Keys:
    if not settings.jwt_jwks_url:
        return SharedSecret(settings.jwt_secret)
    secret = SharedSecret(settings.jwt_secret) if settings.jwt_secret else None
    return KeyRing(settings.jwt_algorithms.split(","), secret)
