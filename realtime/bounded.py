"""Memories that forget the oldest of what they know."""

from collections import OrderedDict
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
