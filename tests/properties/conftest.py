from collections.abc import Iterator

import pytest

from persistence.embedded import Servers
from tests.properties.world import World

# Short beats, so that what heals by itself does so many times in one example; and a memory that is soon too small.
QUICK = {
    "heartbeat": 0.3,
    "positions_ms": 20,
    "head_check_ms": 100,
    "hole_wait_ms": 20,
    "ring_events": 8,
    "replay_limit": 8,
    "drain_timeout": 0.1,
    "audience_ms": 50,
}


@pytest.fixture(scope="module")
def world(servers: Servers, migrated: str, request: pytest.FixtureRequest) -> Iterator[World]:
    """Run two nodes for a module, by its own `SETTINGS` where it has any."""
    with World(migrated, servers.redis_url, **getattr(request.module, "SETTINGS", QUICK)) as running:
        yield running
