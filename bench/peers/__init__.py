"""Who else can serve a room: which program it is, how it is set, and whether it can be run here.

Each is a small program on its library, with that library's best plain settings. What a sender says is told to all
in the room, in an envelope like an event's. Nobody is logged in, nothing is stored, nothing is acknowledged, and no
heartbeat is due within a run: all of that favours them.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from msgspec import Struct

_HERE: Final = Path(__file__).parent
_NODE_FILES: Final = ("package.json", "package-lock.json", "ws.mjs", "socketio.mjs")
_INSTALL_SECONDS: Final = 180


class LeftOut(Exception):
    """A peer can't be run here. The message is one line that says why."""


class Peer(Struct, frozen=True):
    """Another server. `settings` is a sentence for the report.

    `prepare` makes sure that it can be run, with what it imports below a folder for caches.
    """

    dialect: str
    settings: str
    prepare: Callable[[Path], "Prepared"]


class Prepared(Struct, frozen=True):
    """A peer that can be run: its version, and the command that serves on a port of 127.0.0.1.

    What that needs to have written goes into the folder of the run.
    """

    version: str
    command: Callable[[int, Path], list[str]]


def _python(module: str, *packages: str) -> Callable[[Path], Prepared]:
    def prepare(_: Path) -> Prepared:
        try:
            versions = ", ".join(f"{package} {version(package)}" for package in packages)
        except PackageNotFoundError as exc:
            raise LeftOut(f"{exc.name} is not installed") from None
        return Prepared(versions, lambda port, _: [sys.executable, "-m", f"bench.peers.{module}", str(port)])

    return prepare


def _node(script: str, package: str) -> Callable[[Path], Prepared]:
    def prepare(cache: Path) -> Prepared:
        folder = installed(cache)
        manifest = msgspec.json.decode((folder / "node_modules" / package / "package.json").read_bytes())
        node = _output(["node", "--version"])
        return Prepared(
            f"{package} {manifest['version']}, Node {node}", lambda port, _: ["node", str(folder / script), str(port)]
        )

    return prepare


def installed(cache: Path) -> Path:
    """Give the folder with the programs for Node and what they import, as the lock file says; make it once.

    Raises:
        LeftOut: there is no Node here, or no way to get what they import.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise LeftOut(f"{program} is not on the PATH")
    folder = cache / f"node-{_fingerprint()}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # What is interrupted half-way must not be taken for the whole.
        with TemporaryDirectory(dir=cache) as half:
            made = Path(half) / "made"
            made.mkdir()
            for name in _NODE_FILES:
                shutil.copy(_HERE / name, made / name)
            _output(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], made)
            made.rename(folder)
    return folder


def _fingerprint() -> str:
    contents = b"".join((_HERE / name).read_bytes() for name in _NODE_FILES)
    return hashlib.sha256(contents).hexdigest()[:12]


def _output(command: list[str], folder: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as exc:
        raise LeftOut(f"`{' '.join(command)}` failed: {exc}") from None
    return done.stdout.strip()


def _centrifugo(_: Path) -> Prepared:
    if shutil.which("centrifugo") is None:
        raise LeftOut("centrifugo is not on the PATH")

    def command(port: int, folder: Path) -> list[str]:
        path = folder / "centrifugo.json"
        path.write_bytes(msgspec.json.encode(centrifugo_settings(port)))
        return ["centrifugo", "--config", str(path)]

    return Prepared(_output(["centrifugo", "version"]), command)


def centrifugo_settings(port: int) -> dict[str, object]:
    """Give the settings of Centrifugo 6 (centrifugal.dev/docs/server/configuration): one open room on a port.

    The shortest of histories makes it number its publications, which is how gaps are seen.
    """
    may = ("subscribe_for_client", "subscribe_for_anonymous", "publish_for_client", "publish_for_anonymous")
    return {
        "http_server": {"address": "127.0.0.1", "port": port},
        "log": {"level": "warn"},
        "client": {
            "allow_anonymous_connect_without_token": True,
            "ping_interval": "3600s",
            "pong_timeout": "60s",
            # A viewer that falls behind is not cut off, no more than at the other peers.
            "queue_max_size": 1 << 26,
        },
        "channel": {
            "without_namespace": {"history_size": 1, "history_ttl": "60s", **{f"allow_{what}": True for what in may}}
        },
        "usage_stats": {"disabled": True},
    }


def cache_folder(given: str) -> Path:
    """Give the folder for what is installed for peers: the one that was given, or one among the user's caches."""
    return Path(given or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stagewire-bench").resolve()


FLOOR: Final = Peer(
    "room",
    "a bare uvloop protocol that makes the events itself and writes the same frames as a Stagewire",
    _python("floor", "uvloop"),
)
PEERS: Final[dict[str, Peer]] = {
    "websockets": Peer(
        "room",
        "its asyncio server on uvloop, `broadcast` of bytes that are encoded once, no compression, no keepalive",
        _python("websockets_room", "websockets", "uvloop"),
    ),
    "python-socketio": Peer(
        "socketio",
        "AsyncServer on uvicorn with uvloop and its websockets-sansio, `emit` to a room, WebSocket alone, "
        "no compression, no task per event",
        _python("socketio_room", "python-socketio", "python-engineio", "uvicorn", "websockets", "uvloop"),
    ),
    "ws": Peer(
        "room",
        "a loop of `send` over all, with bytes that are encoded once, no compression, no client tracking",
        _node("ws.mjs", "ws"),
    ),
    "socket.io": Peer(
        "socketio",
        "`emit` to a room, which encodes and frames once, WebSocket alone, no compression",
        _node("socketio.mjs", "socket.io"),
    ),
    "centrifugo": Peer(
        "centrifugo",
        "its memory engine, publications by clients, JSON protocol, a history of one, no compression",
        _centrifugo,
    ),
}
