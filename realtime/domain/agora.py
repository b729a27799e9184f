"""Who is in a session's video channel, as Agora's notices say, and whom that concerns. Pure.

Notices come late, more than once and in any order. Each says what a user has become, as the `client_seq`-th thing
that the user did; Agora has its readers ignore whatever has a lower number than what they know already ("Handle
redundant notifications", docs.agora.io). So what counts of a set of notices is the greatest: a join-semilattice, in
which order and repetition don't matter. The SQL function `take_agora_notices` has the same comparison.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from msgspec import Struct

from realtime.domain.session import State
from tokens.agora_notices import Event, Move


class Standing(StrEnum):
    """What a user is in a channel."""

    BROADCASTER = "broadcaster"
    AUDIENCE = "audience"
    ABSENT = "absent"


STANDINGS: Final[dict[Event, Standing]] = {
    Event.BROADCASTER_JOINED: Standing.BROADCASTER,
    Event.BROADCASTER_LEFT: Standing.ABSENT,
    Event.AUDIENCE_JOINED: Standing.AUDIENCE,
    Event.AUDIENCE_LEFT: Standing.ABSENT,
    # Whoever is in a channel of the communication profile may publish.
    Event.USER_JOINED: Standing.BROADCASTER,
    Event.USER_LEFT: Standing.ABSENT,
    Event.BECAME_BROADCASTER: Standing.BROADCASTER,
    Event.BECAME_AUDIENCE: Standing.AUDIENCE,
}
# The reason of an old device that had to go because its user has come with another one.
_ANOTHER_DEVICE: Final = 5
_HERE: Final = frozenset([Standing.BROADCASTER, Standing.AUDIENCE])
_ON_AIR: Final = frozenset([Standing.BROADCASTER])


class Sighting(Struct, frozen=True, order=True):
    """What one notice says of a user. The greater counts: by `client_seq`, then by time, then by Agora's number."""

    client_seq: int
    ts: int
    event: Event

    @property
    def standing(self) -> Standing:
        """Give what the user has become."""
        return STANDINGS[self.event]


def sighting(event: Event, move: Move) -> Sighting | None:
    """Give what a notice says of a user, if anything: where an old device had to go, the user is still there."""
    if move.reason == _ANOTHER_DEVICE and STANDINGS[event] is Standing.ABSENT:
        return None
    return Sighting(move.client_seq, move.ts, event)


def latest(held: Sighting | None, seen: Sighting) -> Sighting:
    """Give what is known after another notice."""
    return seen if held is None else max(held, seen)


def news_of_viewer(told: Standing | None, now: Standing | None) -> bool | None:
    """Tell whether a viewer is in the channel now, where that differs from what was told; nothing where not."""
    return _news(told, now, _HERE)


def news_of_host(told: Standing | None, now: Standing | None, state: str) -> bool | None:
    """Tell whether a host is on air now, where that differs from what was told; nothing where not.

    A host who goes while nothing is on air, or all is over, concerns nobody. One who comes may end an absence that
    was told before the session was paused, and so is always told.
    """
    there = _news(told, now, _ON_AIR)
    return None if there is False and state in (State.SCHEDULED, State.PAUSED, State.ENDED) else there


def _news(told: Standing | None, now: Standing | None, wanted: Collection[Standing]) -> bool | None:
    # Of whom nothing was known before, everything is news: what came before may be lost.
    if now is None or (told is not None and (told in wanted) == (now in wanted)):
        return None
    return now in wanted
