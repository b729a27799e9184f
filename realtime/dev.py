"""`stagewire dev`: a whole Stagewire, Postgres and Valkey included, on one folder."""

import os
import secrets
import shlex
import sys
from pathlib import Path
from typing import Final

from msgspec import structs

from persistence.embedded import embedded
from realtime.environment import SettingsError, load
from realtime.migrating import bring_up
from realtime.run import run
from realtime.settings import Settings
from realtime.sockets import Sockets, listen
from realtime.telemetry import logs

FOLDER: Final = Path(".stagewire")
_DEFAULTS: Final = {
    "STAGEWIRE_LOG_FORMAT": "console",
    "STAGEWIRE_DRAIN_TIMEOUT": "1",
    "STAGEWIRE_SHUTDOWN_TIMEOUT": "1",
}


def dev(folder: Path) -> None:
    """Serve until Ctrl-C. Everything lies in `folder`, and is kept.

    Raises:
        SettingsError, ListenError, EmbeddedError, StorageError
    """
    settings = load({**_DEFAULTS, **os.environ})
    settings = structs.replace(settings, dev=True, jwt_secret=settings.jwt_secret or secret(folder))
    sockets = listen(settings)
    logs.configure(settings.log_format, settings.log_level)
    with embedded(folder, report=_report) as servers:
        settings = structs.replace(
            settings,
            origins=settings.origins or _origins(sockets),
            database_url=servers.database_url,
            redis_url=servers.redis_url,
        )
        bring_up(settings)
        run(settings, sockets, lambda: _announce(settings, sockets, folder, servers.postgres.data))


def secret(folder: Path) -> str:
    """Give the folder's JWT secret; make it at the first call.

    Raises:
        SettingsError: the folder cannot be used.
    """
    path = folder / "jwt-secret"
    try:
        if not path.exists():
            _keep_secret(path)
        return path.read_text()
    except OSError as exc:
        raise SettingsError(f"cannot use the folder {folder}: {exc.strerror}") from None


def _keep_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not at all, and nobody else's to read.
    half = path.with_suffix(".half")
    half.touch(mode=0o600)
    half.write_text(secrets.token_urlsafe(32))
    half.replace(path)


def _origins(sockets: Sockets) -> str:
    return ",".join(f"http://{host}:{sockets.http_port}" for host in ("127.0.0.1", "localhost"))


def _report(line: str) -> None:
    print(f"{line} …", file=sys.stderr, flush=True)


def _announce(settings: Settings, sockets: Sockets, folder: Path, data: Path) -> None:
    which = "" if folder == FOLDER else f" --folder {shlex.quote(str(folder))}"
    elsewhere = "" if data.is_relative_to(folder.absolute()) else f" (Postgres: {data})"
    print(
        f"Stagewire is up.\n"
        f"  studio      http://{settings.host}:{sockets.http_port}/\n"
        f"  WebSocket   ws://{settings.host}:{sockets.websocket_port}/v1/ws\n"
        f"  a token     .venv/bin/stagewire token alice --role seller{which}\n"
        f"  data        {folder.absolute()}{elsewhere}\n"
        f"  stop        Ctrl-C",
        flush=True,
    )
