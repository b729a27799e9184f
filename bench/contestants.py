"""Who can take part in a contest, and what each did. Pure."""

from typing import Final

from msgspec import Struct

from bench.scenarios.fanout import Results

STAGEWIRE: Final = "stagewire"
# With as many events in each write as Stagewire had, and with a write for each.
GATHERING: Final = "floor"
EACH: Final = "floor-each"
FLOORS: Final = (GATHERING, EACH)


class Contestant(Struct, frozen=True):
    """Who takes part, or does not: `left_out` says why."""

    name: str
    version: str
    settings: str
    left_out: str = ""


class Outcome(Struct, frozen=True):
    """What a contestant did under a load. Without figures, `failed` says why."""

    contestant: str
    rate: int
    figures: Results | None
    events_per_write: float | None = None
    failed: str = ""


def alike(gathered: dict[int, float], rate: int) -> float:
    """Give the events in a write at a rate, with as many writes a second as at the nearest one that is known."""
    if not gathered:
        return 1.0
    nearest = min(gathered, key=lambda known: max(known / rate, rate / known))
    return max(1.0, gathered[nearest] * rate / nearest)
