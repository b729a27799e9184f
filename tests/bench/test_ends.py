"""How a run ends in the middle: with a line that says why, and with nothing of it left."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from tests.support.databases import scratch
from tests.support.processes import alive, family, wait_until

VIEWERS = 20
WITHIN = 30.0

Run = subprocess.Popen[str]


@contextmanager
def under_load(seconds: int) -> Iterator[Run]:
    """Run a fan-out until everybody is there; see that nothing is left of it, neither processes nor temporary files."""
    load = (f"--viewers={VIEWERS}", "--rate=20", f"--seconds={seconds}", "--warmup=0")
    with scratch() as folder:
        run = subprocess.Popen(
            [sys.executable, "-m", "bench", "fanout", *load],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        try:
            wait_until(lambda: len(connections(run)) >= VIEWERS, within=WITHIN)
            started = family(run.pid)
            yield run
            wait_until(lambda: not any(alive(process) for process in started))
            assert not list(folder.iterdir())
        finally:
            run.kill()
            run.communicate()


def server_of(run: Run) -> psutil.Process | None:
    """Give the server that is measured, once it runs."""
    for process in family(run.pid):
        with suppress(psutil.Error):
            if process.cmdline()[-2:] == ["realtime", "serve"]:
                return process
    return None


def connections(run: Run) -> list[str]:
    """Give the addresses of those who are connected to the server."""
    server = server_of(run)
    found = server.net_connections("tcp") if server else []
    ports = {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}
    there = [each for each in found if each.status == psutil.CONN_ESTABLISHED]
    return [str(each.raddr) for each in there if each.laddr.port in ports]


def interrupt(run: Run) -> None:
    """Do what Ctrl-C does: signal all of a terminal's processes."""
    os.killpg(run.pid, signal.SIGINT)


@pytest.mark.parametrize("end", [interrupt, Run.terminate])
def test_nothing_is_left_of_a_run_that_is_interrupted(end: Callable[[Run], None]) -> None:
    with under_load(seconds=60) as run:
        end(run)
        out, err = run.communicate(timeout=WITHIN)
        assert (run.returncode, out, err) == (130, "", "bench: interrupted\n")


def test_nor_of_one_whose_server_has_died() -> None:
    with under_load(seconds=3) as run:
        server = server_of(run)
        assert server is not None
        server.kill()
        out, err = run.communicate(timeout=WITHIN)
        assert (run.returncode, out) == (1, "")
        assert err.startswith("bench: ")
        assert "the server ended with -9" in err
