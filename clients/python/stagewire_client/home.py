"""What the sessions of a client share."""

from collections.abc import Callable

from msgspec import Struct

from stagewire_client.asking import Asker
from stagewire_client.connection import Edges
from stagewire_client.keeper import Keeper
from stagewire_client.settings import Settings


class Home(Struct, frozen=True):
    """What a session needs of the client that it belongs to. `poor` tells whether less is to be asked for."""

    user: str
    settings: Settings
    edges: Edges
    keeper: Keeper
    poor: Callable[[], bool]
    asker: Asker
