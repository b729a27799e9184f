"""Processes that are measured or that measure: started on their cores, and ended with us."""

import multiprocessing
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import IO, Any, Final

from bench.errors import BenchError
from persistence.embedded.child import tie_to

READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.05
_TAIL_BYTES: Final = 2000
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


def await_ready(ready: Callable[[], bool], process: subprocess.Popen[str], log: IO[str]) -> None:
    """Wait until a server is ready.

    Raises:
        BenchError: it ended, or took too long. The message has the end of its log.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"the server did not start:\n{_tail(log)}")
        time.sleep(_POLL_SECONDS)


@contextmanager
def last_words(process: Callable[[], subprocess.Popen[str]], log: IO[str]) -> Iterator[None]:
    """Have errors tell, too, how the server has ended, if it has.

    Raises:
        BenchError: what was raised within.
    """
    try:
        yield
    except BenchError as exc:
        code = process().poll()
        raise BenchError(f"{exc}" if code is None else f"{exc}; the server ended with {code}:\n{_tail(log)}") from None


def _tail(log: IO[str]) -> str:
    log.seek(0)
    return log.read()[-_TAIL_BYTES:].strip()


def spawn(work: Callable[..., None], *given: Any) -> "tuple[SpawnProcess, Connection[Any, Any]]":
    """Start a process of ours that does `work(pipe, *given)`; give it, and the other end of the pipe.

    Ctrl-C, which goes to all processes of a terminal, leaves it alone: it is ended by whoever has started it.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, *given), daemon=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
    theirs.close()
    return process, ours


def end_with_conductor() -> None:
    """Have the kernel end this process when the one ends that has started it with `spawn`."""
    conductor = multiprocessing.parent_process()
    assert conductor is not None
    assert conductor.pid is not None
    tie_to(conductor.pid, signal.SIGKILL)()


def free_port() -> int:
    """Find a port that nobody listens on."""
    # Below Linux's ephemeral ports, or a connection of somebody's takes it before the server does.
    while True:
        port = secrets.choice(_PORTS)
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a port."""
    with suppress(OSError), closing(socket.create_server((_HOST, port))):
        return True
    return False


def listening(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with suppress(OSError), closing(socket.create_connection((_HOST, port), 1)):
        return True
    return False
