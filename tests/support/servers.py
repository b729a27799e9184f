"""A whole Stagewire in a process of its own, the way a person starts one."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from tests.support.databases import scratch
from tests.support.processes import bare_environment, free_port, wait_until

READY_WITHIN = 30.0
STOP_WITHIN = 20.0


class DevServer:
    """`stagewire dev` on one folder and one pair of ports, which it keeps when it is started again.

    `settings` are environment variables, whole names.
    """

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.http_port = free_port()
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Give the address of the studio and of the side API."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def websocket(self) -> str:
        """Give the address of the WebSocket."""
        return f"ws://127.0.0.1:{self.port}/v1/ws"

    def set(self, **settings: str) -> None:
        """Change settings, from the next start on."""
        self._settings |= settings

    @property
    def pid(self) -> int:
        """Give its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """Give all that it has written."""
        return (self.folder / "dev.log").read_text()

    def start(self) -> None:
        """Start, and wait until it is ready for traffic."""
        with (self.folder / "dev.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "realtime", "dev", "--folder", str(self.folder / "data")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                # Ctrl-C at the terminal is for the tests, which then stop it in their own way.
                process_group=0,
            )
        wait_until(self._ready, within=READY_WITHIN)

    def kill(self) -> None:
        """End it as a crash would: `kill -9`."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_WITHIN)
        self._process = None

    def stop(self) -> None:
        """End it as Ctrl-C does; it must agree."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._process = None
        assert code == 0, self.log

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            with closing(HTTPConnection("127.0.0.1", self.http_port, timeout=READY_WITHIN)) as connection:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == HTTPStatus.OK
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        ports = {"STAGEWIRE_PORT": str(self.port), "STAGEWIRE_HTTP_PORT": str(self.http_port)}
        return {**bare_environment(), **ports, **self._settings}


@contextmanager
def dev_server(**settings: str) -> Iterator[DevServer]:
    """Run `stagewire dev` on a folder and ports of its own, and see to it that it stops as it should."""
    with scratch() as folder:
        # Tests talk faster than people.
        server = DevServer(folder, {"STAGEWIRE_RATE_LIMITS": "false", **settings})
        try:
            server.start()
            yield server
        finally:
            server.stop()
