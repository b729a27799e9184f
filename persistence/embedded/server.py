"""What the embedded servers have in common: one process on one folder, which never outlives us.

Two locks lie in the folder. `lock` is ours alone, so a second start is refused. `alive` is inherited
by the server and by all its children, so it is free when the last of them is gone, whoever
supervised them. The kernel releases both; no list of processes is searched and no pid file believed.
"""

import fcntl
import platform
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO, ClassVar

from persistence.embedded import child, place
from persistence.embedded.errors import EmbeddedError

READY_WITHIN = 30.0  # seconds; a crash recovery is part of it
STOP_WITHIN = 5.0  # seconds, then SIGKILL
LOG_BYTES = 1 << 20  # a longer log is set aside at the next start, one generation
_POLL = 0.01  # seconds
_UNREMARKABLE = 0.25  # seconds; a longer wait is reported
_TAIL_LINES = 10
_TAIL_BYTES = 4096


class Server(ABC):
    """A server process on `folder`, for one machine and one user: development and tests.

    Without `port` only a Unix socket that nobody else can reach; with it 127.0.0.1:`port` too.
    Blocking: call it from the main thread, before or outside the event loop.
    """

    name: ClassVar[str]
    # How it is asked to stop, and what the kernel sends it when we die: that must not be refused.
    _gentle: ClassVar[signal.Signals]
    _dying: ClassVar[signal.Signals]

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        report: Callable[[str], None] = lambda _: None,
        ready_within: float = READY_WITHIN,
        stop_within: float = STOP_WITHIN,
    ) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._report = report
        self._ready_within = ready_within
        self._stop_within = stop_within
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self._alive: IO[bytes] | None = None
        self._log_start = 0

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect to."""

    @property
    def data(self) -> Path:
        """Where the data really lies, once started."""
        return self._place / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process.

        Raises:
            EmbeddedError: it is not running.
        """
        if self._process is None or not self.running:
            raise EmbeddedError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> str:
        """Start the server, recover its data if need be, and give its URL once it answers.

        Raises:
            EmbeddedError: it cannot start; nothing is left running.
        """
        if self.running:
            raise EmbeddedError(f"{self.name} is already started")
        self._clean_up()
        try:
            return self._bring_up(time.monotonic() + self._ready_within)
        except OSError as error:
            self._clean_up()
            raise EmbeddedError(f"{self.name} cannot use {error.filename or self.folder}: {error.strerror}") from error
        except BaseException:
            self._clean_up()
            raise

    def stop(self) -> None:
        """Let the server finish cleanly; kill it where it does not."""
        stop_all(self)

    def kill(self) -> None:
        """SIGKILL the server and its children at once, as a crash of the machine would."""
        if self._process is not None:
            child.kill_family(self._process)
        self._clean_up()

    def erase(self) -> None:
        """Delete the data, and the folder, of a server that is stopped.

        Raises:
            EmbeddedError: the server is running.
        """
        if self.running:
            raise EmbeddedError(f"{self.name} is running on {self.folder}: stop it first")
        if self.folder.exists():
            try:
                self._take_locks(time.monotonic() + self._ready_within)
                for path in self._places():
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                self._clean_up()

    def ask_to_stop(self) -> None:
        """Begin what `await_stop` ends."""
        if self._process is not None and self.running:
            self._process.send_signal(self._gentle)

    def await_stop(self) -> None:
        """Wait until a server which was asked to stop is gone; kill it where it takes too long."""
        try:
            if self._process is not None:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(self._stop_within)
        finally:
            self._clean_up()

    @abstractmethod
    def _prepare(self, deadline: float) -> None:
        """Make data and sockets' folders ready."""

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def _answers(self, connection: socket.socket) -> bool: ...

    @property
    @abstractmethod
    def _socket(self) -> Path: ...

    @cached_property
    def _account(self) -> child.Account:
        return place.ourselves()

    @cached_property
    def _place(self) -> Path:
        return self.folder

    def _places(self) -> Sequence[Path]:
        return [self.folder]

    def _bring_up(self, deadline: float) -> str:
        if platform.system() != "Linux":
            raise EmbeddedError("the embedded servers need Linux: use a Postgres and a Redis of your own")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_locks(deadline)
        self._set_log_aside()
        self._prepare(deadline)
        place.make_private(self._sockets, self._account)
        self._process = self._spawn(self._command(), dying=self._dying)
        self._await_ready(self._process, deadline)
        return self.url

    @property
    def _sockets(self) -> Path:
        return place.socket_folder(self._place)

    def _take_locks(self, deadline: float) -> None:
        self._lock = _try_lock(self.folder / "lock")
        if self._lock is None:
            raise EmbeddedError(f"{self.name} is already running on {self.folder}")
        self._alive = self._outlive_the_earlier(deadline)

    def _outlive_the_earlier(self, deadline: float) -> IO[bytes]:
        """Wait for what a killed supervisor, or `kill`, left about to end."""
        tell = time.monotonic() + _UNREMARKABLE
        while (alive := _try_lock(self.folder / "alive")) is None:
            now = time.monotonic()
            if now > deadline:
                raise EmbeddedError(f"an earlier {self.name} on {self.folder} does not end: stop its processes")
            if now > tell:
                self._report(f"Waiting for the earlier {self.name} on {self.folder} to end")
                tell = deadline
            time.sleep(_POLL)
        return alive

    def _set_log_aside(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self._log_start = self.log.stat().st_size if self.log.exists() else 0

    def _spawn(
        self, command: Sequence[str], *, dying: signal.Signals, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        assert self._alive is not None
        with self.log.open("ab") as log:
            return child.spawn(
                command, account=self._account, log=log, keep=self._alive.fileno(), dying=dying, stdin=stdin
            )

    def _run(self, command: Sequence[str], deadline: float, *, given: bytes = b"") -> None:
        """Run a program to its end; what it prints goes to the log."""
        process = self._spawn(command, dying=signal.SIGKILL, stdin=subprocess.PIPE)
        try:
            process.communicate(given, timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._failure(f"{self.name} was not ready within {self._ready_within:g} s") from None
        finally:
            child.kill_family(process)
        if process.returncode != 0:
            raise self._failure(f"{self.name} cannot make {self.data}")

    def _await_ready(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while not self._ready():
            if process.poll() is not None:
                raise self._failure(f"{self.name} gave up while starting")
            if time.monotonic() > deadline:
                raise self._failure(f"{self.name} was not ready within {self._ready_within:g} s")
            time.sleep(_POLL)

    def _ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.settimeout(1.0)
            connection.connect(str(self._socket))
            return self._answers(connection)
        return False

    def _failure(self, message: str) -> EmbeddedError:
        with self.log.open("rb") as log:
            log.seek(max(self._log_start, self.log.stat().st_size - _TAIL_BYTES))
            tail = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return EmbeddedError("\n".join([f"{message}; the end of {self.log}:", *tail]))

    def _clean_up(self) -> None:
        """Leave no process, socket or lock."""
        if self._process is not None:
            child.kill_family(self._process)
            child.remove_shared_memory(self._process.pid, self._account)
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._process = None
        for file in (self._alive, self._lock):
            if file is not None:
                file.close()
        self._alive = self._lock = None


def stop_all(*servers: Server) -> None:
    """Stop several servers at the same time."""
    for server in servers:
        server.ask_to_stop()
    try:
        for server in servers:
            server.await_stop()
    finally:
        for server in servers:
            server.kill()


def _try_lock(path: Path) -> IO[bytes] | None:
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
