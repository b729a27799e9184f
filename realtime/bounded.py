"""Memories that forget: the oldest of what they know, or what counts no more."""

from collections import Counter, OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def keep(known: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Remember something as the newest; of more than `most` forget the oldest.

    A plain dict would be slow here: to find its first item it walks over all that were deleted before it.
    """
    known[key] = value
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)


def uncount(counts: Counter[K], key: K) -> None:
    """Count one less; forget what there is none of any more."""
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
