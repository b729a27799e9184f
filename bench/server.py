"""Starts a whole Stagewire to measure: Postgres, Valkey and one server process, on free ports."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from msgspec import structs

from bench.errors import BenchError
from bench.machine import Cores
from bench.process import await_ready, free_port, last_words, running
from bench.target import Address, Target
from persistence.embedded import EmbeddedError, Servers, embedded

_MIGRATING_SECONDS: Final = 60.0
_HOST: Final = "127.0.0.1"


@contextmanager
def under_test(cores: Cores) -> Iterator[Target]:
    """Run a server on `cores.server`, and everything else of ours on `cores.others`.

    Settings given in the environment (`STAGEWIRE_TICK_MS=20`) are the server's too.

    Raises:
        BenchError: it does not start.
    """
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores.others)
        folder = stack.enter_context(_scratch())
        stores = stack.enter_context(_stores(folder))
        log = stack.enter_context((folder / "server.log").open("w+"))
        target = Target(_free(), _free(), secrets.token_hex(32), None, cores, stores.database_url)
        environ = _environ(target, stores)
        _migrate(environ)
        serving = _Serving(stack, target, cores.server, log, environ)

        def another() -> Target:
            beside = structs.replace(target, websocket=_free(), http=_free())
            pid = _Serving(stack, beside, cores.others, log, _environ(beside, stores)).start()
            return structs.replace(beside, pid=pid)

        started = structs.replace(target, pid=serving.start(), again=serving.again, another=another)
        with last_words(lambda: serving.process, log):
            yield started


def _free() -> Address:
    return Address(_HOST, free_port())


class _Serving:
    """The server's process, which may be killed and get a successor. All end with the stack."""

    def __init__(
        self, stack: ExitStack, target: Target, cores: set[int], log: IO[str], environ: Mapping[str, str]
    ) -> None:
        self._stack = stack
        self._target = target
        self._cores = cores
        self._log = log
        self._environ = environ

    def start(self) -> int:
        """Start it, wait until it is ready, and give its pid."""
        command = [sys.executable, "-m", "realtime", "serve"]
        self.process = self._stack.enter_context(running(command, self._cores, self._log, self._environ))
        await_ready(self._target.ready, self.process, self._log)
        return self.process.pid

    def again(self) -> int:
        """Kill it without a word, and start it anew."""
        self.process.kill()
        self.process.wait()
        return self.start()


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="stagewire-bench-"))
    # Started by root, Postgres runs as nobody, who must be able to enter.
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _stores(folder: Path) -> Iterator[Servers]:
    try:
        with ExitStack() as stopped, embedded(folder) as servers:
            # A part of them may lie elsewhere, where nobody can enter the folder.
            stopped.callback(servers.postgres.erase)
            stopped.callback(servers.valkey.erase)
            yield servers
    except EmbeddedError as exc:
        raise BenchError(str(exc)) from None


def _environ(target: Target, stores: Servers) -> Mapping[str, str]:
    return {
        "STAGEWIRE_LOG_LEVEL": "warning",
        "STAGEWIRE_AGORA_APP_ID": secrets.token_hex(16),
        "STAGEWIRE_AGORA_CERTIFICATE": secrets.token_hex(16),
        # Thousands of clients come from here, all at once; what each may do is limited as ever.
        "STAGEWIRE_UNLIMITED_ADDRESSES": "127.0.0.0/8",
        "STAGEWIRE_HANDSHAKE_RATE": "1000000",
        **os.environ,
        "STAGEWIRE_HOST": target.websocket.host,
        "STAGEWIRE_PORT": str(target.websocket.port),
        "STAGEWIRE_HTTP_PORT": str(target.http.port),
        "STAGEWIRE_JWT_SECRET": target.secret,
        "DATABASE_URL": stores.database_url,
        "REDIS_URL": stores.redis_url,
    }


def _migrate(environ: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "realtime", "migrate"]
    try:
        subprocess.run(command, env=environ, capture_output=True, text=True, timeout=_MIGRATING_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        raise BenchError("the database was not made in time") from None
    except subprocess.CalledProcessError as exc:
        raise BenchError(f"the database could not be made: {exc.stderr.strip()}") from None
