"""`stagewire serve --workers N` in a process of its own, and what it says."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.support.nodes import SECRET, Target
from tests.support.processes import alive, bare_environment, free_port, wait_until


class Supervised(Target):
    """Some workers, and the process that keeps them."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, ports: tuple[int, int]) -> None:
        super().__init__(*ports)
        self.process = process
        self._ports = set(ports)
        self._log = log

    def workers(self) -> list[int]:
        """Give the processes that run now."""
        return [child.pid for child in psutil.Process(self.process.pid).children() if alive(child)]

    def listening(self) -> list[int]:
        """Give the processes that take connections now."""
        return [pid for pid in self.workers() if self._listens(psutil.Process(pid))]

    def said(self, event: str) -> list[dict[str, Any]]:
        """Give what was logged with these words by now."""
        # What no worker has a log for yet (a setting is wrong) is no JSON, and the last line may be half-written.
        whole, _, _ = self._log.read_text().rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def _listens(self, worker: psutil.Process) -> bool:
        sockets = worker.net_connections("tcp")
        return {c.laddr.port for c in sockets if c.status == psutil.CONN_LISTEN} >= self._ports

    def roll(self) -> None:
        """Have the workers replaced."""
        self.process.send_signal(signal.SIGHUP)

    def until_said(self, event: str, times: int = 1, within: float = 30.0) -> None:
        """Wait until something has been logged so many times."""
        wait_until(lambda: len(self.said(event)) >= times, within=within)


@contextmanager
def supervised(folder: Path, settings: dict[str, str], count: int = 2) -> Iterator[Supervised]:
    """Run workers, and see to it that they end as they should."""
    ports = free_port(), free_port()
    log = folder / "workers.log"
    environ = {
        **bare_environment(),
        "STAGEWIRE_PORT": str(ports[0]),
        "STAGEWIRE_HTTP_PORT": str(ports[1]),
        "STAGEWIRE_JWT_SECRET": SECRET,
        # Tests talk faster than people.
        "STAGEWIRE_RATE_LIMITS": "false",
        **settings,
    }
    with (
        log.open("wb") as written,
        subprocess.Popen(
            [sys.executable, "-m", "realtime", "serve", "--workers", str(count)],
            env=environ,
            stderr=written,
            process_group=0,
        ) as process,
    ):
        running = Supervised(process, log, ports)
        try:
            yield running
        finally:
            left = psutil.Process(process.pid).children() if process.poll() is None else []
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert code == 0, log.read_text()
        assert not any(map(alive, left))
