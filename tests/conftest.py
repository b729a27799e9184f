import asyncio
from collections.abc import Callable, Iterator

import pytest
import redis
from hypothesis import settings

from persistence.embedded import Servers, embedded
from realtime.migrating import bring_up
from realtime.settings import Settings
from tests.support.clusters import Cluster, Deployment, Sentinels, Single, clustered, sentinelled
from tests.support.databases import fresh_database, scratch
from tests.support.loops import Loop

# How fast something is, benchmarks tell: on a busy machine any example may take long.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the event loop that serves in production."""
    return {"uvloop": Loop}


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Postgres and Valkey for the whole run. A test that kills servers starts its own."""
    with scratch() as folder:
        with embedded(folder) as running:
            yield running
        running.postgres.erase()
        running.valkey.erase()


@pytest.fixture(scope="module")
def database_url(servers: Servers) -> Iterator[str]:
    """Give an empty database to each module; `fresh_database` makes more."""
    with fresh_database(servers.database_url) as url:
        yield url


@pytest.fixture(scope="module")
def migrated(database_url: str) -> str:
    """Give a migrated database to each module."""
    bring_up(Settings(database_url=database_url))
    return database_url


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """Give a Valkey without keys to each test."""
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()
    return servers.redis_url


@pytest.fixture(scope="session")
def sentinels() -> Iterator[Sentinels]:
    """Give a master with Sentinels for the whole run. A test that kills servers starts its own."""
    with sentinelled() as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Give a cluster of three for the whole run."""
    with clustered() as running:
        yield running


@pytest.fixture(params=["single", "sentinels", "cluster"])
def deployment(request: pytest.FixtureRequest, servers: Servers) -> Deployment:
    """Give each kind of Redis, without keys, to each test."""
    chosen: Deployment = Single([servers.valkey])
    if request.param != "single":
        chosen = request.getfixturevalue(request.param)
    chosen.ask_all("FLUSHALL")
    return chosen
