"""When each connection ends by its token: its client is warned before, and may extend it with a fresh one.

Connections lie on a wheel by the second in which something is due for them: there is no timer per connection.
"""

import asyncio
from math import ceil
from time import time
from typing import Final

from realtime.domain.wheel import Wheel
from realtime.protocol.codes import Close
from realtime.protocol.events import TokenExpiring
from realtime.settings import Settings
from realtime.transport import Connection

# Seconds from look to look.
BEAT: Final = 0.5
# Many tokens may end in one second, as after a restart: so many connections are seen to without a break.
BATCH: Final = 200


class Expiry:
    """The ends of all connections. Its clock is the wall's, in unix seconds, as the tokens' is."""

    def __init__(self, settings: Settings) -> None:
        self._warning = settings.token_warning
        self._leeway = settings.jwt_leeway
        self._wheel: Wheel[Connection] = Wheel()

    def __len__(self) -> int:
        return len(self._wheel)

    def ends_at(self, connection: Connection) -> float:
        """Give when a `hello` with the connection's token would not be accepted any more."""
        return float(connection.peer.identity.expires_at / 1000 + self._leeway)

    def add(self, connection: Connection) -> None:
        """Watch an identified connection, or look at its token anew."""
        self._wheel.put(connection, ceil(self.ends_at(connection) - self._warning))

    def remove(self, connection: Connection) -> None:
        """Let go of a connection."""
        self._wheel.remove(connection)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            # Others come in between, also where many are due.
            more = self.turn(time())
            await asyncio.sleep(0 if more else BEAT)

    def turn(self, now: float) -> bool:
        """Warn and close whoever is due at `now`, up to `BATCH`; tell whether others may be due, too."""
        due = self._wheel.take(int(now), BATCH)
        for connection in due:
            self._see_to(connection, now)
        return len(due) == BATCH

    def _see_to(self, connection: Connection, now: float) -> None:
        ends = self.ends_at(connection)
        if now >= ends:
            connection.close(Close.TOKEN_EXPIRED, "token expired")
        else:
            self._wheel.put(connection, ceil(ends))
            connection.send(TokenExpiring(expires_in_ms=int((ends - now) * 1000)))
