"""What a user writes to the inboxes of others."""

from typing import Final

from stagewire_client.connection import Edges
from stagewire_client.delivery import Delivery
from stagewire_client.errors import Lost
from stagewire_client.keeper import Keeper
from stagewire_client.settings import Settings
from stagewire_client.wire import Wire
from stagewire_client.writing import Writing

# Where they are kept, in the place of a session, whose names are UUIDs.
SHELF: Final = "letters"


class Letters:
    """They may be written before it is known whose they are: the server says so when it is reached."""

    def __init__(self, settings: Settings, edges: Edges, keeper: Keeper) -> None:
        self.writing = Writing(SHELF, "", settings, edges, keeper)

    def write(self, user: str, text: str) -> Delivery:
        """Take a letter in, to be sent when it can be. Raises Full where too many wait."""
        return self.writing.write("direct.send", to=user, text=text)

    async def send_on(self, wire: Wire, user: str) -> None:
        """Send what there is, and what comes, until the wire ends."""
        self.writing.belongs_to(user)
        try:
            await self.writing.restore()
            await self.writing.send_on(wire)
        except Lost:
            # The connection says so, and comes back.
            return
        finally:
            self.writing.lost()
