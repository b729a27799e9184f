"""Health: is the process alive, and is it ready for traffic."""

import asyncio

from msgspec import Struct

from persistence import migrate, redis
from persistence.errors import StorageError
from persistence.postgres import Postgres
from persistence.redis import Redis


class Readiness(Struct, frozen=True):
    """What `/readyz` answers: each check is `ok` or says in a word what is wrong."""

    status: str
    checks: dict[str, str]

    @property
    def ready(self) -> bool:
        """Tell whether every check is fine."""
        return self.status == "ready"


class Health:
    """Asks what the node depends on."""

    def __init__(self, postgres: Postgres, client: Redis) -> None:
        self._postgres = postgres
        self._redis = client
        self.draining = False

    async def readiness(self) -> Readiness:
        """Ask everything, at the same time."""
        postgres, valkey = await asyncio.gather(self._ask_postgres(), self._ask_redis())
        checks = {"postgres": postgres, "redis": valkey, "draining": "yes" if self.draining else "ok"}
        ready = all(check == "ok" for check in checks.values())
        return Readiness("ready" if ready else "not ready", checks)

    async def _ask_postgres(self) -> str:
        try:
            await migrate.check(self._postgres)
        except StorageError as exc:
            return type(exc).__name__.lower()
        return "ok"

    async def _ask_redis(self) -> str:
        try:
            await redis.ping(self._redis)
        except StorageError as exc:
            return type(exc).__name__.lower()
        return "ok"
