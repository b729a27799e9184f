"""The client of what `REDIS_URL` names, and its errors in our words.

All three kinds, a server, the master that Sentinels name, and a cluster, are used as redis-py's client:

    with translated():
        await redis.hset(key, ...)
        await redis.register_script(TEXT)(keys=[...], args=[...])
        async with redis.pipeline(transaction=False) as pipe:
            pipe.xadd(key, ...)
            await script(keys=[...], args=[...], client=pipe)
            replies = await pipe.execute()

What a cluster needs of this code: `transaction=False`; commands that have their key first, and scripts;
the keys of one script have one hash tag, as in `sw:{SESSION}:…`. One pipeline may have keys of any slots:
it becomes one for each server, all at the same time. With scripts in it redis-py asks first whether they are known.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeAlias

from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import AuthenticationError, NoPermissionError, RedisClusterException, RedisError

from persistence.cluster import Cluster
from persistence.errors import Misconfigured, StorageError, Unavailable
from persistence.redis_url import Address, Kind, Target, parse
from persistence.sentinel import MasterPool, Sentinels

Redis: TypeAlias = Client


def connect(url: str, *, connections: int, timeout: float) -> Redis:
    """Give a client of what `url` names, in a form of `persistence.redis_url`. It connects when it is used.

    `connections` bounds those to each server, `timeout` each wait, in seconds. It never retries by itself:
    what Redis carries has a second way, and waiting is worse.

    Raises:
        Misconfigured: the URL is wrong.
    """
    target = parse(url)
    options = _options(target, timeout)
    credentials = {"username": target.user or None, "password": target.password or None, "db": target.db}
    pooled = {**options, **credentials, "max_connections": connections}
    if target.kind is Kind.CLUSTER:
        return Cluster(target.hosts, partial(_client, target, pooled), timeout)
    if target.kind is Kind.SENTINEL:
        return Client.from_pool(_master_pool(target, options, pooled))
    if target.kind is Kind.SOCKET:
        return Client.from_pool(ConnectionPool(connection_class=UnixDomainSocketConnection, path=target.path, **pooled))
    return _client(target, pooled, target.hosts[0])


def _options(target: Target, timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        **(target.tls or {}),
    }


def _client(target: Target, options: dict[str, Any], address: Address) -> Client:
    host, port = address
    kind = Connection if target.tls is None else SSLConnection
    return Client.from_pool(ConnectionPool(connection_class=kind, host=host, port=port, **options))


def _master_pool(target: Target, options: dict[str, Any], pooled: dict[str, Any]) -> MasterPool:
    secure = {} if target.tls is None else {"ssl": True}
    credentials = {"username": target.sentinel_user or None, "password": target.sentinel_password or None}
    sentinels = Sentinels(target.hosts, sentinel_kwargs={**options, **credentials, **secure})  # type: ignore[no-untyped-call] # redis-py's
    return MasterPool(target.service, sentinels, **pooled, **secure)  # type: ignore[no-untyped-call] # redis-py's


async def spread(redis: Redis, keys: Iterable[str], *, anew: bool = False) -> dict[Redis, list[str]]:
    """Group keys, or channels, by the server that holds them; those that nobody holds at the moment are left out.

    With `anew` a cluster is asked first who holds what.

    Raises:
        Unavailable, Misconfigured
    """
    if not isinstance(redis, Cluster):
        return {redis: list(keys)}
    if anew:
        redis.doubt()
    with translated():
        return await redis.spread(keys)


# RuntimeError is what uvloop raises for a write to a socket that has just been closed.
DRIVER_ERRORS: Final = (RedisError, RedisClusterException, OSError, TimeoutError, RuntimeError)


@contextmanager
def translated() -> Iterator[None]:
    """Turn redis-py's errors into this package's."""
    try:
        yield
    except DRIVER_ERRORS as exc:
        raise in_our_words(exc) from exc


def in_our_words(error: Exception) -> StorageError:
    """Give what one of redis-py's errors is to this package, such as one that stands for a reply of a pipeline."""
    # What is wrong with the password comes wrapped in a plain ConnectionError, which may be wrapped again.
    if any(isinstance(cause, (AuthenticationError, NoPermissionError, Misconfigured)) for cause in _causes(error)):
        return Misconfigured(str(error))
    return Unavailable(f"{type(error).__name__}: {error}")


async def run_each(redis: Redis, script: AsyncScript, calls: Sequence[tuple[list[str], list[str | int]]]) -> list[Any]:
    """Run a script for each of these keys and arguments, in one pipeline for each server that holds some.

    Gives the replies; a StorageError stands for one that did not come.
    """
    replies: list[Any]
    try:
        async with redis.pipeline(transaction=False) as pipe:
            for keys, arguments in calls:
                await script(keys=keys, args=arguments, client=pipe)
            replies = await pipe.execute(raise_on_error=False)
    except DRIVER_ERRORS as exc:
        replies = [exc] * len(calls)
    return [in_our_words(reply) if isinstance(reply, Exception) else reply for reply in replies]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


async def ping(redis: Redis) -> None:
    """Make sure that the server answers, or every master of a cluster.

    Raises:
        Unavailable, Misconfigured
    """
    with translated():
        await redis.ping()
