"""Whatever ends a run, none of its processes outlives it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.stage import ROOT
from tests.support.databases import scratch
from tests.support.processes import alive, family, wait_until

RUN = [sys.executable, "-m", "tests.faults", "--minutes", "5", "--nodes", "2", "--rate", "50", "--keep"]


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as folder:
        yield folder


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_outlives_a_run(folder: Path, number: signal.Signals) -> None:
    with subprocess.Popen([*RUN, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, process_group=0) as run:
        assert run.stdout is not None
        assert b"acks" in run.stdout.readline()
        processes = family(run.pid)
        names = [process.name() for process in processes]
        assert "valkey-server" in names
        assert "postgres" in names
        # Stopped ones, too: they hear of no other signal.
        stopped = next(process for process in processes if process.name() == "postgres")
        stopped.send_signal(signal.SIGSTOP)
        run.send_signal(number)
        run.wait(30)
        wait_until(lambda: not any(map(_alive, processes)), within=15)


def _alive(process: psutil.Process) -> bool:
    try:
        return alive(process)
    except psutil.Error:
        return False
