"""The JavaScript client, by its own tests: its types, its modules, and against a server."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.nodes import token
from tests.support.served import served
from tokens.access import AccessRole

PACKAGE = Path(__file__).parents[2] / "clients" / "js"
INSTALL_WITHIN = 180
TEST_WITHIN = 240


@pytest.fixture(scope="module")
def package() -> Path:
    """Give the package with what its tests import, as its lock file says; installed again only if that has changed."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on the PATH")
    wanted = hashlib.sha256((PACKAGE / "package-lock.json").read_bytes()).hexdigest()
    installed = PACKAGE / "node_modules" / ".installed"
    if not installed.exists() or installed.read_text() != wanted:
        _install()
        installed.write_text(wanted)
    return PACKAGE


def _install() -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, timeout=INSTALL_WITHIN, check=True)
    except subprocess.CalledProcessError as exc:
        told = exc.stderr.strip().splitlines()
        pytest.skip(f"`{' '.join(command)}` failed: {told[-1] if told else exc.returncode}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"`{' '.join(command)}` took more than {INSTALL_WITHIN} s")


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


@pytest.mark.timeout(INSTALL_WITHIN + TEST_WITHIN)
def test_the_types_are_right(package: Path) -> None:
    _run(package, "tsc", "--noEmit", "--project", "tsconfig.json")


@pytest.mark.timeout(TEST_WITHIN)
def test_the_modules_and_the_client_against_a_server(package: Path, migrated: str, redis_url: str) -> None:
    users = {"anna": AccessRole.SELLER, "bob": AccessRole.VIEWER, "dora": AccessRole.VIEWER}
    tokens = json.dumps({user: token(user, role) for user, role in users.items()})
    # A heart that beats fast, so that silence is soon noticed.
    with served(migrated, redis_url, STAGEWIRE_HEARTBEAT="0.6") as node:
        _run(package, "vitest", "run", STAGEWIRE_URL=node.websocket, STAGEWIRE_TOKENS=tokens)
