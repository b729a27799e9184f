"""Processes that are measured: started on their cores, and ended with us."""

import multiprocessing
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import IO, Final

from persistence.embedded.child import tie_to

STOP_SECONDS: Final = 15.0
_HOST: Final = "127.0.0.1"
_PORTS: Final = range(10_000, 30_000)


@contextmanager
def running(
    command: Sequence[str], cores: set[int], log: IO[str], environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a command on some cores, with a pipe to its stdin; end it at the end, and whenever we end.

    Raises:
        OSError: it cannot be started.
    """
    tie = tie_to(os.getpid(), signal.SIGTERM)

    def prepare() -> None:
        tie()
        os.sched_setaffinity(0, cores)

    process = subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        text=True,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509 - it takes no lock: three system calls
    )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.communicate()


def end_with_conductor() -> None:
    """Have the kernel end this process when the one ends that has started it with `multiprocessing`."""
    conductor = multiprocessing.parent_process()
    assert conductor is not None
    assert conductor.pid is not None
    tie_to(conductor.pid, signal.SIGKILL)()


def free_port() -> int:
    """Find a port that nobody listens on."""
    # Below Linux's ephemeral ports, or a connection of somebody's takes it before the server does.
    while True:
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        with suppress(OSError), closing(socket.create_server((_HOST, port))):
            return port


def listening(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with suppress(OSError), closing(socket.create_connection((_HOST, port), 1)):
        return True
    return False
