"""A worker of `serve --workers`: a place with listening sockets, and the server process that is there.

The sockets stay open in the parent: a process that is replaced leaves them, and what waits in their queues, to the
next one.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import structlog
from prometheus_client.multiprocess import mark_process_dead

from persistence.embedded.child import tie_to
from realtime.settings import Settings
from realtime.sockets import Sockets, reserve

# A worker that lived this long may be started again at once; one that dies young waits, longer each time.
STEADY_SECONDS: Final = 30.0
BACKOFF_SECONDS: Final = (0.25, 10.0)
METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
# What the parent waits for, and blocks: each is a word of the operator's.
SIGNALS: Final = frozenset([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
log = structlog.get_logger("workers")


class Process:
    """One server process, which takes over listening sockets, and tells when it serves."""

    def __init__(self, sockets: Sockets, environ: dict[str, str], now: float) -> None:
        self.began = now
        self._news, told = os.pipe()
        os.set_blocking(self._news, False)
        inherited = (sockets.websocket.fileno(), sockets.http.fileno(), told)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - what is run is this program
                # What is started here may be another version than this: how it is told of the sockets must stay.
                [sys.executable, "-m", "realtime", "serve", "--inherit", ",".join(map(str, inherited))],
                env=environ,
                pass_fds=inherited,
                start_new_session=True,
                preexec_fn=_tied(os.getpid()),  # noqa: PLW1509 - it takes no lock
            )
        finally:
            os.close(told)

    @property
    def pid(self) -> int:
        """Give its number."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Give its exit code, if it has ended."""
        return self._process.poll()

    def look(self) -> bool:
        """Tell whether it has just said that it serves."""
        with suppress(BlockingIOError):
            return bool(os.read(self._news, 1))
        return False

    def leave(self) -> None:
        """Ask it to say goodbye to its clients, and to end."""
        self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, by force after so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._process.kill()
        self._process.wait()

    def bury(self, folder: str) -> None:
        """Let go of what is left of it."""
        os.close(self._news)
        mark_process_dead(self.pid, folder)  # type: ignore[no-untyped-call] # prometheus-client leaves it untyped


def _tied(parent: int) -> Callable[[], None]:
    tie = tie_to(parent, signal.SIGTERM)

    def prepare() -> None:
        tie()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # that is for its parent, also where all of a service get it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    return prepare


class Worker:
    """A place for a server process: its sockets, who is there, who comes and who goes."""

    def __init__(self, settings: Settings, environ: dict[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._delay = BACKOFF_SECONDS[0]
        self._due = 0.0
        self._sockets = reserve(settings)
        self.present: Process | None = None
        self.coming: Process | None = None
        self.going: Process | None = None

    def keep(self, now: float) -> None:
        """Start the process if it is not there, and due. While another one comes, that will do."""
        if self.coming is not None:
            return
        if self.present is not None and (code := self.present.code) is not None:
            self._mourn(self.present, code, now)
        if self.present is None and now >= self._due:
            self.present = self._start(now)

    def invite(self, now: float) -> None:
        """Start a process that is to replace the present one."""
        self.coming = self._start(now)

    def replace(self) -> None:
        """Let the one that has come take the present one's place."""
        self.going, self.present, self.coming = self.present, self.coming, None
        if self.going is not None:
            self.going.leave()

    def turn_away(self) -> None:
        """End the one that was to come."""
        if self.coming is not None:
            self._end(self.coming)
        self.coming = None

    def see_off(self) -> None:
        """End the one that goes, if it has not gone by itself."""
        if self.going is not None:
            self._end(self.going)
            log.info("worker replaced", pid=self.going.pid, code=self.going.code)
        self.going = None

    def close(self) -> None:
        """Listen no more: this process's part of it."""
        self._sockets.close()

    def processes(self) -> Iterator[Process]:
        """Give all that may be running."""
        yield from (process for process in (self.present, self.coming, self.going) if process is not None)

    def _start(self, now: float) -> Process:
        return Process(self._sockets, self._environ, now)

    def _end(self, process: Process) -> None:
        process.wait(0.0)
        process.bury(self._environ[METRICS_FOLDER])

    def _mourn(self, process: Process, code: int, now: float) -> None:
        self.present = None
        process.bury(self._environ[METRICS_FOLDER])
        # Nobody is there to take what waits for it: better that it goes to the other workers.
        self._sockets.close()
        self._sockets = reserve(self._settings)
        steady = now - process.began > STEADY_SECONDS
        self._delay = BACKOFF_SECONDS[0] if steady else min(2 * self._delay, BACKOFF_SECONDS[1])
        self._due = now + self._delay
        log.error("worker ended", pid=process.pid, code=code, again_in=self._delay)
