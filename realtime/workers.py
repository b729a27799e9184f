"""`stagewire serve --workers N`: server processes that share the ports, kept running by one that serves nothing.

The kernel spreads connections over the workers (SO_REUSEPORT). Their metrics meet in a folder, so that
whichever worker is asked answers for all.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from time import monotonic
from typing import Final

import structlog
from msgspec import structs
from prometheus_client.multiprocess import mark_process_dead

from persistence.embedded.child import tie_to
from realtime.app import reserve
from realtime.settings import Settings, name_of

POLL_SECONDS: Final = 0.1
# For a worker to get around to its goodbye, and to end after it.
GRACE_SECONDS: Final = 5.0
# A worker that lived this long may be started again at once; one that dies young waits, longer each time.
STEADY_SECONDS: Final = 30.0
BACKOFF_SECONDS: Final = (0.25, 10.0)
log = structlog.get_logger("workers")


class Worker:
    """One server process, started again whenever it ends by itself."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._delay = BACKOFF_SECONDS[0]
        self._due = 0.0
        self._began = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def keep(self, now: float) -> None:
        """Start the process if it is not there, and due."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self._bury(self.process.pid, code, now)
        if self.process is None and now >= self._due:
            self._began = now
            self.process = subprocess.Popen(
                [sys.executable, "-m", "realtime", "serve"],
                env=self._environ,
                start_new_session=True,
                preexec_fn=tie_to(os.getpid(), signal.SIGTERM),  # noqa: PLW1509 - it takes no lock
            )

    def _bury(self, pid: int, code: int, now: float) -> None:
        self.process = None
        steady = now - self._began > STEADY_SECONDS
        self._delay = BACKOFF_SECONDS[0] if steady else min(2 * self._delay, BACKOFF_SECONDS[1])
        self._due = now + self._delay
        mark_process_dead(pid, self._environ["PROMETHEUS_MULTIPROC_DIR"])  # type: ignore[no-untyped-call]
        log.error("worker ended", pid=pid, code=code, again_in=self._delay)


def supervise(settings: Settings, count: int) -> None:
    """Keep `count` workers running until SIGINT or SIGTERM, then let them finish.

    Raises:
        ListenError: a port is taken.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    sockets = reserve(structs.replace(settings, share_ports=True))
    with tempfile.TemporaryDirectory(prefix="stagewire-metrics-") as metrics:
        environ = {
            **os.environ,
            name_of("port"): str(sockets.websocket_port),
            name_of("http_port"): str(sockets.http_port),
            name_of("share_ports"): "true",
            "PROMETHEUS_MULTIPROC_DIR": metrics,
        }
        workers = [Worker(environ) for _ in range(count)]
        while not stop.is_set():
            for worker in workers:
                worker.keep(monotonic())
            stop.wait(POLL_SECONDS)
        _end(workers, settings.drain_timeout + settings.shutdown_timeout)


def _end(workers: list[Worker], patience: float) -> None:
    running = [worker.process for worker in workers if worker.process is not None]
    for process in running:
        process.terminate()
    # Each bounds its own goodbye by the same time; what is left well after it is stuck.
    deadline = monotonic() + patience + GRACE_SECONDS
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - monotonic()))
        process.kill()
