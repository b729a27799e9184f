"""What a connection must be given of its user's inbox, and who is told of what. Pure.

A connection is given entries in the order of their ids, each once. Where ids are missing, they are gone:
acknowledged by another device, or, as many as it is told, taken out before anybody acknowledged them.
"""

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

# What a connection has been given that has not been told anything yet.
NOTHING: Final = -1
MAX_MENTIONS: Final = 5
# A name that goes on beyond 64 characters is nobody's; what has a letter before its `@` is an address. Not so
# letters beyond ASCII: not every script has spaces.
_MENTION: Final = re.compile(r"(?<![A-Za-z0-9_@])@([A-Za-z0-9_-]{1,64})(?![A-Za-z0-9_-])")


class Share(Struct, frozen=True):
    """What a page holds for one connection: its entries from index `first` on; then it has been given all to `upto`.

    `lost` entries before them were taken out unread.
    """

    first: int
    upto: int
    lost: int


def serves(given: int, gone: int, after: int, end: int) -> bool:
    """Tell whether a page from above `after` to `end` takes a connection further, and leaves nothing out.

    It was asked for those who were there then. Who has come since may need what lies before it.
    """
    return given < end and max(given, gone) >= after


def share(given: int, acked: int, dropped: int, after: int, end: int) -> Share:
    """Give what a connection that was given everything to `given` gets of a page that serves it.

    `acked` and `dropped` are the inbox's at the moment of the page, which has nothing that is gone.
    """
    reached = max(given, acked)
    return Share(first=max(given - after, 0), upto=max(given, end), lost=max(dropped - reached, 0))


def follows(given: int, seqs: Sequence[int]) -> bool:
    """Tell whether entries that have just come are next in line, after those that were given."""
    return [*seqs] == [*range(given + 1, given + 1 + len(seqs))]


def whole(after: int, seqs: Sequence[int], seq: int, limit: int) -> bool:
    """Tell whether entries are all of those above `after`, to the newest one or to the limit."""
    return len(seqs) == max(0, min(limit, seq - after)) and follows(after, seqs)


def mentioned(text: str, by: str) -> list[str]:
    """Give the users whom a message names with an `@`, each once, in their order: the first few, without its author."""
    found: dict[str, None] = {}
    for match in _MENTION.finditer(text):
        if match[1] != by:
            found[match[1]] = None
        if len(found) == MAX_MENTIONS:
            break
    return list(found)
