"""The master that Sentinels name: https://valkey.io/topics/sentinel-clients/."""

from redis.asyncio import Redis as Client
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.exceptions import AuthenticationError, RedisError

from persistence.redis_url import Address
from persistence.tasks import first


class Sentinels(Sentinel):
    """redis-py's Sentinels, but all asked at once: one after the other, a silent one costs its time-out."""

    async def discover_master(self, service_name: str) -> Address:
        """Give the master's address, as the first that knows tells it.

        Raises:
            MasterNotFoundError: none knows one that is up.
            AuthenticationError: the last to answer does not know our password.
        """
        try:
            return await first(self._ask(sentinel, service_name) for sentinel in self.sentinels)
        except AuthenticationError:
            raise
        except (RedisError, OSError) as exc:
            raise MasterNotFoundError(f"no Sentinel names a master of {service_name!r} that is up: {exc}") from exc

    async def _ask(self, sentinel: Client, service: str) -> Address:
        masters = await sentinel.sentinel_masters()
        # Its other form is that of RESP2 without redis-py's callbacks.
        state = masters.get(service) if isinstance(masters, dict) else None
        if state is None or not self.check_master_state(state, service):
            raise MasterNotFoundError("it is down, or there is none of that name")
        return state["ip"], int(state["port"])


class MasterPool(SentinelConnectionPool):
    """Connections to the master of the moment. A broken one, and one to a master of the past, asks anew."""

    async def aclose(self) -> None:
        """Close the connections to the Sentinels too."""
        await super().aclose()
        await self.sentinel_manager.aclose()
