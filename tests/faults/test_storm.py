"""Storms over a whole Stagewire. `FAULTS_SEED` in the environment chooses others, `FAULTS_MINUTES` how long they last.

What is judged here is right or wrong; how quick it is depends on what else this machine does, and is for long runs.
"""

import os
from pathlib import Path

import pytest

from tests.faults.keeper import servers
from tests.faults.report import Options, words
from tests.faults.storm import run
from tests.support.databases import scratch

SEED = int(os.environ.get("FAULTS_SEED", "1"))
MINUTES = float(os.environ.get("FAULTS_MINUTES", "1.6"))


def show_logs(folder: Path) -> str:
    """Give the ends of what the nodes had to say."""
    return "\n".join(
        f"{log.name}: …{log.read_text('utf-8', 'replace')[-2000:]}" for log in sorted(folder.glob("*.log"))
    )


@pytest.mark.timeout(60 * MINUTES * 2 + 240)
async def test_every_promise_is_kept_through_storms() -> None:
    options = Options(seed=SEED, minutes=MINUTES, rate=600, writers=16, readers=12, sessions=6, healing=0)
    with scratch() as folder:
        report = await run(options, folder, print)
        assert not report.broken, f"{words(report)}\n{show_logs(folder)}"
        for server in servers(folder):
            server.erase()
    # It must have been a storm, and not a calm in which there is nothing to find.
    assert report.faults > 5 * MINUTES
    assert report.acks > 10_000 * MINUTES
    assert report.received > report.acks
    assert report.refused
    assert report.resent
