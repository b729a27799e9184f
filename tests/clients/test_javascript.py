"""The JavaScript client, by its own tests: its types, its modules, and against a server."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.node_packages import INSTALL_SECONDS, installed
from tests.support.nodes import token
from tests.support.served import served
from tokens.access import AccessRole

PACKAGE = Path(__file__).parents[2] / "clients" / "js"
TEST_WITHIN = 240


@pytest.fixture(scope="module")
def package() -> Path:
    """Give the package with what its tests import."""
    return installed(PACKAGE)


def _run(package: Path, *command: str, **environment: str) -> None:
    ran = subprocess.run(
        [str(package / "node_modules" / ".bin" / command[0]), *command[1:]],
        cwd=package,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=TEST_WITHIN,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.timeout(INSTALL_SECONDS + TEST_WITHIN)
def test_the_types_are_right(package: Path) -> None:
    _run(package, "tsc", "--noEmit", "--project", "tsconfig.json")


@pytest.mark.timeout(TEST_WITHIN)
def test_the_modules_and_the_client_against_a_server(package: Path, migrated: str, redis_url: str) -> None:
    users = {"anna": AccessRole.SELLER, "bob": AccessRole.VIEWER, "dora": AccessRole.VIEWER}
    tokens = json.dumps({user: token(user, role) for user, role in users.items()})
    # A heart that beats fast, so that silence is soon noticed.
    with served(migrated, redis_url, STAGEWIRE_HEARTBEAT="0.6") as node:
        _run(package, "vitest", "run", SERVER_URL=node.websocket, SERVER_TOKENS=tokens)
