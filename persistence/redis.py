"""The client of the Redis-protocol server, and its errors in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from persistence.errors import Misconfigured, Unavailable

Redis: TypeAlias = Client


def connect(url: str, *, connections: int, timeout: float) -> Redis:
    """Give a client of the server at `url`. It connects when it is used; `timeout` is in seconds.

    It never retries by itself: what Redis carries has a second way, and waiting is worse.
    """
    return Client.from_url(
        url,
        max_connections=connections,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn redis-py's errors into this package's."""
    try:
        yield
    # RuntimeError is what uvloop raises for a write to a socket that has just been closed.
    except (RedisError, OSError, TimeoutError, RuntimeError) as exc:
        # What is wrong with the password comes wrapped in a plain ConnectionError.
        if isinstance(exc, AuthenticationError) or isinstance(exc.__cause__, AuthenticationError):
            raise Misconfigured(str(exc)) from exc
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc


async def ping(redis: Redis) -> None:
    """Make sure that the server answers.

    Raises:
        Unavailable, Misconfigured
    """
    with translated():
        await redis.ping()
