"""`stagewire serve` in a process of its own, on stores that the test has."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from tests.support.nodes import SECRET, Target
from tests.support.processes import bare_environment, free_port, wait_until

READY_WITHIN = 20.0


class ServedNode(Target):
    """A node, by its ports and its process."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, http_port: int) -> None:
        super().__init__(port, http_port)
        self.process = process
        self.websocket_port = port
        self.http_port = http_port

    def status(self, path: str) -> int:
        """Ask for `/healthz` or `/readyz`; give the answer's status, 0 where there is none."""
        try:
            with closing(HTTPConnection("127.0.0.1", self.http_port, timeout=READY_WITHIN)) as connection:
                connection.request("GET", path)
                return connection.getresponse().status
        except OSError:
            return 0

    def stop(self, within: float) -> int:
        """Ask it to stop; give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)


@contextmanager
def served(
    database_url: str,
    redis_url: str,
    program: Sequence[str] = ("realtime",),
    log: str = "",
    **settings: str,
) -> Iterator[ServedNode]:
    """Run a node, or a `program` that becomes one; `settings` are environment variables, whole names.

    What it logs goes to the file of the path `log`, or where what the test logs goes.
    """
    port, http_port = free_port(), free_port()
    ours = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "STAGEWIRE_JWT_SECRET": SECRET,
        # Tests talk faster than people.
        "STAGEWIRE_RATE_LIMITS": "false",
        "STAGEWIRE_PORT": str(port),
        "STAGEWIRE_HTTP_PORT": str(http_port),
        "STAGEWIRE_LOG_LEVEL": "warning",
    }
    with (
        Path(log).open("wb") if log else nullcontext() as written,
        subprocess.Popen(
            [sys.executable, "-m", *program, "serve"],
            env={**bare_environment(), **ours, **settings},
            stdin=subprocess.DEVNULL,
            stderr=written,
            process_group=0,
        ) as process,
    ):
        node = ServedNode(process, port, http_port)
        try:
            wait_until(lambda: node.status("/healthz") == HTTPStatus.OK, within=READY_WITHIN)
            yield node
        finally:
            process.kill()
