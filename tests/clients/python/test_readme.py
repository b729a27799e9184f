"""The README's program runs as it stands."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stagewire_client import DeliveryState, Reason, State
from tests.support.nodes import RunningNode, serving, token

README = (Path(__file__).parents[3] / "clients/python/README.md").read_text("utf-8")


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url) as running:
        yield running


async def test_the_first_program_runs(node: RunningNode) -> None:
    session = await node.session()
    script = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)[0]
    script = script.replace("ws://127.0.0.1:8000/v1/ws", node.websocket).replace("eyJhbGci…", token("alice"))
    script = script.replace("01a1fc40-3411-779b-b3cd-55bf0979533e", session)
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    printed, complaints = await running.communicate()
    assert complaints.decode() == ""
    assert printed.decode().splitlines()[1:] == ["my message is number 3", "alice: Hello, everyone!"]


def test_every_state_and_reason_is_named() -> None:
    for name in [*State, *(reason for reason in Reason if reason), *DeliveryState]:
        assert f"`{name}`" in README
