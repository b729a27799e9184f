from collections.abc import AsyncIterator

import pytest

from realtime.migrating import bring_up
from realtime.settings import Settings
from tests.support.nodes import RunningNode, serving


@pytest.fixture(scope="module")
def migrated(database_url: str) -> str:
    """Give a migrated database to each module."""
    bring_up(Settings(database_url=database_url))
    return database_url


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    """Run one node."""
    async with serving(migrated, redis_url) as running:
        yield running
