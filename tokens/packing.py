"""The binary encoding that Agora's tokens share.

Integers are little-endian; a string is a u16 length and its bytes; privileges are a u16 count, then a u16
privilege and a u32 expiry each, in order of the privilege. The whole travels as standard base64.
"""

import struct
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from itertools import pairwise

from tokens.errors import TokenMalformed

# Ample: the fullest legal token, whatever the version, stays under 400.
MAX_TOKEN_CHARS = 1024


def pack_string(data: bytes) -> bytes:
    return struct.pack("<H", len(data)) + data


def pack_privileges(expiries: Mapping[int, int]) -> bytes:
    pairs = (struct.pack("<HI", privilege, expiries[privilege]) for privilege in sorted(expiries))
    return struct.pack("<H", len(expiries)) + b"".join(pairs)


def armour(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def unarmour(text: str) -> bytes:
    """The bytes behind base64 text, which must be the one spelling that `armour` would give.

    Raises:
        TokenMalformed: the text is something else, or longer than any token.
    """
    if len(text) > MAX_TOKEN_CHARS:
        raise TokenMalformed
    try:
        data = b64decode(text)
    except (NotBase64, ValueError):
        raise TokenMalformed from None
    # A lenient decoder skips foreign characters and spare bits, and so reads many texts as one token.
    if armour(data) != text:
        raise TokenMalformed
    return data


class Reader:
    """Reads packed values in order; each method raises `TokenMalformed` where the data does not hold one."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise TokenMalformed
        self._at += count
        return taken

    def u16(self) -> int:
        return int.from_bytes(self._take(2), "little")

    def u32(self) -> int:
        return int.from_bytes(self._take(4), "little")

    def string(self) -> bytes:
        return self._take(self.u16())

    def text(self) -> str:
        try:
            return self.string().decode("ascii")
        except UnicodeDecodeError:
            raise TokenMalformed from None

    def privileges(self) -> dict[int, int]:
        """Expiry by privilege; the privileges must ascend, so none comes twice."""
        pairs = [(self.u16(), self.u32()) for _ in range(self.u16())]
        if any(later <= earlier for (earlier, _), (later, _) in pairwise(pairs)):
            raise TokenMalformed
        return dict(pairs)

    def rest(self) -> bytes:
        """Everything not yet read, which stays unread."""
        return self._data[self._at :]

    def end(self) -> None:
        if self.rest():
            raise TokenMalformed
