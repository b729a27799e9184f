from collections.abc import AsyncIterator

import pytest

from tests.support.nodes import RunningNode, serving


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    """Run one node."""
    async with serving(migrated, redis_url) as running:
        yield running
