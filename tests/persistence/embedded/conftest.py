from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from persistence.embedded import Postgres, Valkey
from tests.support.databases import scratch


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as made:
        yield made


@pytest.fixture(scope="package")
def home() -> Iterator[Path]:
    """Give a folder whose database is made once for all tests here."""
    with scratch() as made:
        server = Postgres(made / "postgres")
        server.start()
        server.stop()
        yield made
        server.erase()


@pytest.fixture
def postgres(home: Path) -> Iterator[Postgres]:
    server = Postgres(home / "postgres", ready_within=10)
    yield server
    server.kill()


@pytest.fixture
def valkey(folder: Path) -> Iterator[Valkey]:
    server = Valkey(folder / "valkey", ready_within=10)
    yield server
    server.kill()


@pytest.fixture(params=["postgres", "valkey"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)
