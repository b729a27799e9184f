"""Whether a connection is good enough for all that one could ask of it. Pure."""

from typing import Final

from msgspec import Struct

from stagewire_client.messages import Quality
from stagewire_client.settings import Settings

POOR: Final = "poor"
_LARGEST_PAGE: Final = 200
_SMALL_PAGE: Final = 20


class Pulse(Struct, frozen=True):
    """What is known of a connection: the server's word, how long it has been silent, and the heartbeat, in seconds."""

    told: Quality | None
    silence: float
    heartbeat: float


def is_poor(pulse: Pulse, settings: Settings) -> bool:
    """Tell whether the connection is degraded: the server says so, or is late."""
    told_poor = pulse.told is not None and pulse.told.quality == POOR
    return told_poor or pulse.silence >= settings.late * pulse.heartbeat


def is_lost(pulse: Pulse, settings: Settings) -> bool:
    """Tell whether the connection is as good as gone."""
    return pulse.silence >= settings.lost * pulse.heartbeat


def next_look(pulse: Pulse, settings: Settings) -> float:
    """Give the seconds after which time alone may have changed either answer."""
    late, lost = settings.late * pulse.heartbeat, settings.lost * pulse.heartbeat
    return (late if pulse.silence < late else lost) - pulse.silence


def page_size(wanted: int, *, poor: bool) -> int:
    """Give how many events to ask for at a time: over a poor connection the session's state must not wait for them."""
    return min(wanted, _SMALL_PAGE if poor else _LARGEST_PAGE)
