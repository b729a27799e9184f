"""The keys of the issuer of access tokens: fetched on a beat, and when a token names one that is not known.

A fetch is shared by all who wait for it, and follows the one before after the cooldown at the earliest, so that
made-up names of keys cost the issuer nothing. While it is away, the keys that are known stay good.
"""

import asyncio
from http import HTTPStatus
from typing import Final

import structlog

from persistence.seldom import Seldom
from realtime.calling import CallError, call
from realtime.protocol.codes import Barred, Close, Code
from realtime.settings import Settings
from realtime.tasks import Tasks
from realtime.telemetry import metrics
from tokens.jwks import KeyRing, KeysMalformed, read_keys

_AWAY: Final = "the keys of access tokens can't be fetched now"
log = structlog.get_logger("issuer")
seldom_log = Seldom(log)


class Issuer:
    """Keeps a key ring up to date."""

    def __init__(self, ring: KeyRing, tasks: Tasks, settings: Settings) -> None:
        self._ring = ring
        self._tasks = tasks
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._not_before = 0.0
        self._well = True
        # Whether the fetch that goes on has asked the issuer already.
        self._asked = False
        self._fetching: asyncio.Task[bool] | None = None

    async def run(self) -> None:
        """Fetch for ever."""
        while True:
            well = await self._shared()
            await asyncio.sleep(self._settings.jwks_refresh if well else self._settings.jwks_cooldown)

    async def renew(self) -> bool:
        """Fetch the keys once more, as soon as that may be; tell whether they were asked for after this was called.

        Else they may be older than a token by a key that is missing.

        Raises:
            Barred: they can't be fetched. Nobody knows whether the token is good.
        """
        wait, late = self._not_before - self._loop.time(), self._asked
        if not self._well and wait > 0 and self._fetching is None:
            raise self._barred(wait)
        if not await self._shared():
            raise self._barred(self._settings.jwks_cooldown)
        return not late

    def _barred(self, wait: float) -> Barred:
        return Barred(Code.UNAVAILABLE, _AWAY, Close.UNAVAILABLE, retry_after_ms=int(wait * 1000) + 1)

    async def _shared(self) -> bool:
        if self._fetching is None:
            self._fetching = self._tasks.start(self._fetch())
        # Whoever gives up must not take it from the others.
        return await asyncio.shield(self._fetching)

    async def _fetch(self) -> bool:
        try:
            await asyncio.sleep(self._not_before - self._loop.time())
            self._asked = True
            self._well = await self._try()
            return self._well
        finally:
            self._asked = False
            self._not_before = self._loop.time() + self._settings.jwks_cooldown
            self._fetching = None

    async def _try(self) -> bool:
        try:
            keys = read_keys(await self._document())
        except (CallError, KeysMalformed) as exc:
            seldom_log.warning("keys not fetched", reason=str(exc), known=len(self._ring))
            metrics.KEY_FETCHES.labels("failed").inc()
            return False
        self._ring.replace(keys)
        metrics.KEY_FETCHES.labels("done").inc()
        return True

    async def _document(self) -> bytes:
        url, settings = self._settings.jwt_jwks_url, self._settings
        status, document = await call("GET", url, seconds=settings.jwks_timeout, most=settings.jwks_bytes)
        if status != HTTPStatus.OK:
            raise CallError(f"status {status}")
        return document
