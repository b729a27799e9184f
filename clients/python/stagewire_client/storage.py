"""Where messages are kept that are not stored by the server yet."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec

from stagewire_client.errors import StorageError
from stagewire_client.outbox import Draft

# How often a folder is made again that another process has removed in between.
_FOLDERS: Final = 100


class Storage(Protocol):
    """Keeps the drafts of users, by session. Each method may raise StorageError."""

    async def load(self, user: str, session: str) -> list[Draft]:
        """Give what is kept, in any order."""

    async def put(self, user: str, session: str, draft: Draft) -> None:
        """Keep a draft."""

    async def remove(self, user: str, session: str, key: str) -> None:
        """Forget a draft. One that is not there is forgotten already."""


class MemoryStorage:
    """Keeps them for as long as it lives: one client may follow another."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], dict[str, Draft]] = {}

    async def load(self, user: str, session: str) -> list[Draft]:
        """Give what is kept, in any order."""
        return list(self._kept.get((user, session), {}).values())

    async def put(self, user: str, session: str, draft: Draft) -> None:
        """Keep a draft."""
        self._kept.setdefault((user, session), {})[draft.key] = draft

    async def remove(self, user: str, session: str, key: str) -> None:
        """Forget a draft."""
        drafts = self._kept.get((user, session), {})
        drafts.pop(key, None)
        if not drafts:
            self._kept.pop((user, session), None)


class FileStorage:
    """Keeps them in a folder: a file for each, so that several processes may share it, below its user and session."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def load(self, user: str, session: str) -> list[Draft]:
        """Give what is kept, in any order. A file that cannot be read as a draft is none."""
        return await asyncio.to_thread(lambda: list(self._read(user, session)))

    async def put(self, user: str, session: str, draft: Draft) -> None:
        """Keep a draft. It is on the disk afterwards."""
        await asyncio.to_thread(self._write, self._shelf(user, session), draft)

    async def remove(self, user: str, session: str, key: str) -> None:
        """Forget a draft."""
        await asyncio.to_thread(self._delete, self._shelf(user, session), key)

    def _shelf(self, user: str, session: str) -> Path:
        # The names are the server's: neither can lead out of the folder.
        return self._folder / user / session

    def _read(self, user: str, session: str) -> Iterator[Draft]:
        for file in self._shelf(user, session).glob("*.json"):
            try:
                yield msgspec.json.decode(file.read_bytes(), type=Draft)
            except FileNotFoundError:
                # Another process has sent it meanwhile.
                continue
            except msgspec.DecodeError:
                continue
            except OSError as exc:
                raise StorageError(f"cannot read {file}: {exc.strerror}") from None

    def _write(self, shelf: Path, draft: Draft) -> None:
        file = shelf / f"{draft.key}.json"
        half = file.with_suffix(f".{os.getpid()}")
        try:
            with os.fdopen(_opened(half), "wb") as opened:
                opened.write(msgspec.json.encode(draft))
                opened.flush()
                os.fsync(opened.fileno())
            # Whole or not at all.
            half.replace(file)
        except OSError as exc:
            raise StorageError(f"cannot write {file}: {exc.strerror}") from None

    def _delete(self, shelf: Path, key: str) -> None:
        try:
            (shelf / f"{key}.json").unlink(missing_ok=True)
        except OSError as exc:
            raise StorageError(f"cannot remove {key}: {exc.strerror}") from None
        # Another draft may be there, or another process at work.
        with suppress(OSError):
            shelf.rmdir()


def _opened(file: Path) -> int:
    """Open a file that nobody else may read, in a folder of that kind."""
    for _ in range(_FOLDERS):
        # Whoever has sent the last that was in there removes the folder, between any two of these steps.
        with suppress(FileNotFoundError, FileExistsError):
            return _open(file)
    return _open(file)


def _open(file: Path) -> int:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
