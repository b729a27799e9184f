"""Finds the replies in what a Redis-protocol server says, and which of them are hints. Pure: bytes in, bytes out.

Both versions of the protocol (RESP2, RESP3), as far as telling where a reply ends:
https://valkey.io/topics/protocol/
"""

from typing import Final

_END: Final = b"\r\n"
# Followed by a length in bytes, and so many bytes: strings, errors, verbatim texts.
_BULK: Final = frozenset(b"$!=")
# Followed by a number of elements: arrays, sets, pushes; and maps and attributes, which count pairs.
_MANY: Final = frozenset(b"*~>")
_PAIRS: Final = frozenset(b"%|")
_HINTS: Final = tuple(
    start + length + word + _END
    for start in (b"*3\r\n", b">3\r\n")
    for length, word in ((b"$7\r\n", b"message"), (b"$8\r\n", b"smessage"))
)


class Splitter:
    """Cuts a stream that comes in pieces into whole replies."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take a piece; give the replies that are whole now."""
        data = self._rest + data
        replies, start = [], 0
        while (end := _end_of(data, start)) is not None:
            replies.append(data[start:end])
            start = end
        self._rest = data[start:]
        return replies


def is_hint(reply: bytes) -> bool:
    """Tell whether a reply is a message of a subscription, sharded or not."""
    return reply.startswith(_HINTS)


def _end_of(data: bytes, start: int) -> int | None:
    """Give where the reply that begins at `start` ends; nothing while it is not whole."""
    expected = 1
    while expected:
        line = data.find(_END, start)
        if line < 0:
            return None
        kind, following = data[start], line + len(_END)
        expected -= 1
        if kind in _BULK:
            length = int(data[start + 1 : line])
            # Below zero there is none.
            following += length + len(_END) if length >= 0 else 0
            if following > len(data):
                return None
        elif kind in _MANY or kind in _PAIRS:
            expected += max(0, int(data[start + 1 : line])) * (2 if kind in _PAIRS else 1)
            # An attribute precedes the reply that it is about.
            expected += kind == ord("|")
        start = following
    return start
