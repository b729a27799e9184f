"""Processes, ports and waiting, for tests of what happens between programs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

import psutil

from bench.process import free_port as one_free_port
from bench.process import is_free

# A member of a cluster listens for its fellows at its port and this.
BUS: Final = 10_000
# Where those begin that connections get (ip_local_port_range), with some to spare.
EPHEMERAL: Final = 32_000


def free_port(beside: int = 0) -> int:
    """Give a port that nothing listens on at the moment, nor on the one that lies `beside` it."""
    while True:
        port = one_free_port()
        if not beside or (port + beside < EPHEMERAL and is_free(port + beside)):
            return port


def bare_environment() -> dict[str, str]:
    """Give this process's environment without anything that a server would read as a setting."""
    ours = {"DATABASE_URL", "REDIS_URL"}
    return {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("STAGEWIRE_")}


def wait_until(done: Callable[[], bool], *, within: float = 10.0) -> None:
    """Wait for something that comes soon, for `within` seconds at most."""
    deadline = time.monotonic() + within
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def run_python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Run a script in an interpreter and a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def family(pid: int) -> list[psutil.Process]:
    """Give a process and its descendants."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def alive(process: psutil.Process) -> bool:
    """Whether a process can still do something: where nobody collects the dead, they stay listed."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
