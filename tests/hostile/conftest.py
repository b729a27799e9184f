import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.embedded import Servers
from realtime.migrating import bring_up
from realtime.settings import Settings
from tests.hostile.bystander import Bystander
from tests.support.databases import fresh_database
from tests.support.served import ServedNode, served

AGORA = {
    "STAGEWIRE_AGORA_APP_ID": "970CA35de60c44645bbae8a215061b33",
    "STAGEWIRE_AGORA_CERTIFICATE": "5CFd2fd1755d40ecb72977518be15d3b",
}


class Stage:
    """A server, a session on it, and somebody who must not be disturbed."""

    def __init__(self, node: ServedNode, bystander: Bystander, session: str, log: Path) -> None:
        self.node = node
        self.bystander = bystander
        self.session = session
        self.log = log


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Give the server's settings, which a module may have others of."""
    return {}


@pytest.fixture(scope="module")
def stage(servers: Servers, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run a server for a module, with all its logs."""
    log = tmp_path_factory.mktemp("hostile") / "server.log"
    defaults = {"STAGEWIRE_LOG_LEVEL": "debug", "STAGEWIRE_DEV": "true", **AGORA}
    with fresh_database(servers.database_url) as database_url:
        bring_up(Settings(database_url=database_url))
        with served(database_url, servers.redis_url, log=str(log), **{**defaults, **settings}) as node:
            bystander = Bystander(node, node.process.pid)
            bystander.start()
            yield Stage(node, bystander, asyncio.run(node.session("victim")), log)
            bystander.stop()
            assert node.process.poll() is None


@pytest.fixture(autouse=True)
def _undisturbed(stage: Stage) -> Iterator[None]:
    yield
    stage.bystander.check()
    assert "Traceback" not in stage.log.read_text()
