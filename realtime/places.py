"""How far each user has got in each log, gathered from pongs and mirrored in Redis for clients that lost their state.

The same notes tell when a user was last heard of before the present connection: what was written between
then and now may have been written offline.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from msgspec import Struct

from persistence.errors import StorageError
from persistence.positions import Place, Positions
from persistence.seldom import Seldom
from realtime.domain.clock import Absence
from realtime.peer import Peer
from realtime.protocol.types import Position
from realtime.settings import Settings

# Users of one write, so that no write holds Redis up for long.
CHUNK: Final = 500
seldom_log = Seldom(structlog.get_logger("places"))


class _Note(Struct):
    """What is still to be written of one user; `newcomers` want to know what was written before."""

    position: Position
    heard: float
    newcomers: list[Peer]


class Places:
    """Gathers positions and writes them every `positions_ms`. Times are the event loop's, in seconds."""

    def __init__(self, positions: Positions, settings: Settings) -> None:
        self._positions = positions
        self._settings = settings
        self._notes: dict[str, dict[str, _Note]] = {}
        # One write at a time, so that who waits for it knows that nothing else is on its way.
        self._writing = asyncio.Lock()

    def confirm(self, session: str, user: str, position: Position, heard: float) -> None:
        """Take note that a user has everything up to `position`, and was heard of at `heard`."""
        self._note(session, user, position, heard)

    def meet(self, session: str, peer: Peer, position: Position, heard: float) -> None:
        """Take note of a user who has just joined, and learn when the user was heard of before."""
        user = peer.identity.user
        earlier = self._notes.get(session, {}).get(user)
        if earlier is not None:
            # Not written yet, and nothing that is written can be newer.
            _tell(session, [peer], int(earlier.heard * 1000))
        self._note(session, user, position, heard).newcomers.append(peer)

    def _note(self, session: str, user: str, position: Position, heard: float) -> _Note:
        notes = self._notes.setdefault(session, {})
        note = notes.get(user)
        if note is None:
            note = notes[user] = _Note(position, heard, [])
        else:
            if position.seq and (position.epoch != note.position.epoch or position.seq > note.position.seq):
                note.position = position
            note.heard = max(note.heard, heard)
        return note

    async def last(self, session: str, user: str) -> Position | None:
        """Give how far a user has got, if that is known."""
        try:
            await self._write(session, [user])
            known = await self._positions.read(session, user)
        except StorageError as exc:
            seldom_log.warning("position unknown", reason=str(exc))
            return None
        return Position(*known) if known else None

    async def absence(self, session: str, peer: Peer) -> Absence | None:
        """Give the time between the user's last sign of life in this session and this connection, if it is known."""
        try:
            await self._write(session, [peer.identity.user])
        except StorageError as exc:
            seldom_log.warning("absence unknown", reason=str(exc))
        return peer.absences.get(session)

    async def forget(self, session: str) -> None:
        """Forget how far everyone has got in a session.

        Raises:
            StorageError
        """
        async with self._writing:
            self._notes.pop(session, None)
            await self._positions.forget(session)

    async def run(self) -> None:
        """Write what was gathered, for ever."""
        while True:
            await asyncio.sleep(self._settings.positions_ms / 1000)
            await self.write_all()

    async def write_all(self) -> None:
        """Write what was gathered."""
        try:
            for session in list(self._notes):
                users = list(self._notes.get(session, ()))
                for first in range(0, len(users), CHUNK):
                    await self._write(session, users[first : first + CHUNK])
        except StorageError as exc:
            seldom_log.warning("positions not written", reason=str(exc))

    async def _write(self, session: str, users: Sequence[str]) -> None:
        async with self._writing:
            notes = self._take(session, users)
            if not notes:
                return
            now = asyncio.get_running_loop().time()
            places = [
                Place(user, note.position.epoch, note.position.seq, max(0, int((now - note.heard) * 1000)))
                for user, note in notes.items()
            ]
            try:
                known = await self._positions.write(session, places)
            except StorageError:
                # Whoever is still there confirms again with the next pong. And nobody else has to wait as long for
                # a Redis that doesn't answer.
                self._notes.clear()
                raise
            for note, before in zip(notes.values(), known, strict=True):
                if before is not None:
                    _tell(session, note.newcomers, int(now * 1000) - before.silent_ms)

    def _take(self, session: str, users: Sequence[str]) -> dict[str, _Note]:
        notes = self._notes.get(session, {})
        taken = {user: notes.pop(user) for user in users if user in notes}
        if not notes:
            self._notes.pop(session, None)
        return taken


def _tell(session: str, newcomers: Sequence[Peer], lost: int) -> None:
    for peer in newcomers:
        peer.absences.setdefault(session, Absence(lost, max(lost, peer.since)))
