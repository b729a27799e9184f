"""`stagewire serve --workers N`: server processes that share the ports, kept running by one that serves nothing.

The kernel spreads connections over the workers' listening sockets (SO_REUSEPORT). Their metrics meet in a folder, so
that whichever worker is asked answers for all.
"""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from msgspec import structs

from realtime.environment import name_of
from realtime.rolling import Roll
from realtime.settings import Settings
from realtime.sockets import reserve
from realtime.worker import METRICS_FOLDER, SIGNALS, Worker

POLL_SECONDS: Final = 0.1
# For a worker to get around to its goodbye, and to end after it.
GRACE_SECONDS: Final = 5.0


def supervise(settings: Settings, count: int) -> None:
    """Keep `count` workers running until SIGINT or SIGTERM, then let them finish. SIGHUP replaces them one by one.

    Raises:
        ListenError: a port is taken.
    """
    # Waited for, not handled: nothing is interrupted.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with _reserved(settings) as ours, tempfile.TemporaryDirectory(prefix="stagewire-metrics-") as metrics:
        os.environ[METRICS_FOLDER] = metrics
        environ = {**os.environ, name_of("share_ports"): "true"}
        workers = [Worker(ours, environ) for _ in range(count)]
        _keep(workers, ours)
        _end(workers, _patience(settings))


@contextmanager
def _reserved(settings: Settings) -> Iterator[Settings]:
    """Hold the ports for as long as this lasts, whatever becomes of the workers' sockets."""
    sockets = reserve(structs.replace(settings, share_ports=True))
    try:
        yield structs.replace(settings, share_ports=True, port=sockets.websocket_port, http_port=sockets.http_port)
    finally:
        sockets.close()


def _keep(workers: list[Worker], settings: Settings) -> None:
    roll: Roll | None = None
    asked = False
    while True:
        now = monotonic()
        for worker in workers:
            worker.keep(now)
        if asked and roll is None:
            roll, asked = Roll(workers, settings.roll_timeout, _patience(settings)), False
        if roll is not None and roll.step(now):
            roll = None
        received = signal.sigtimedwait(SIGNALS, POLL_SECONDS)
        if received is None:
            continue
        if received.si_signo != signal.SIGHUP:
            return
        asked = True


def _patience(settings: Settings) -> float:
    # Each bounds its own goodbye by the same time; what is left well after it is stuck.
    return settings.drain_timeout + settings.shutdown_timeout + GRACE_SECONDS


def _end(workers: list[Worker], patience: float) -> None:
    running = [process for worker in workers for process in worker.processes()]
    for worker in workers:
        worker.close()
    for process in running:
        process.leave()
    deadline = monotonic() + patience
    for process in running:
        process.wait(max(0.0, deadline - monotonic()))
