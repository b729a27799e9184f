"""Who is in a session: four numbers and, while there are few, a list of names. Pure."""

from collections.abc import Mapping

from msgspec import Struct

from stagewire_client.messages import Signal


class Audience(Struct, frozen=True):
    """The numbers by their names (connections, users, watching, chatters); `present` is None where there is no list."""

    numbers: Mapping[str, int] = {}
    present: tuple[str, ...] | None = None


def told(numbers: Mapping[str, int], present: list[str] | None) -> Audience:
    """Give the audience as a `joined` tells it."""
    return Audience(numbers, None if present is None else tuple(sorted(present)))


def after(known: Audience, signal: Signal) -> Audience:
    """Give the audience after a signal: the whole list, what changed of it, or no list any more."""
    numbers = known.numbers if signal.audience is None else signal.audience
    if signal.present is not None:
        return told(numbers, signal.present)
    if known.present is None or (signal.joined is None and signal.left is None):
        return Audience(numbers)
    there = (set(known.present) - set(signal.left or ())) | set(signal.joined or ())
    return Audience(numbers, tuple(sorted(there)))
