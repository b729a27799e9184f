"""Messages as frames of the server's (RFC 6455, section 5.2), compressed (RFC 7692) for those who agreed to it.

A compressed message stands for itself: no context is kept between two of them. So the same bytes are good for everyone,
and a message is compressed once, however many get it.
"""

import zlib
from struct import Struct
from typing import Final, NamedTuple

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Opcode

from realtime.protocol.codec import CODECS, Format

# Ours is a window of 4 KiB: more than a message needs, and little for a client to keep.
WINDOW_BITS: Final = 12
# Below so many bytes a message gets hardly smaller.
WORTHWHILE: Final = 128
DEFLATE: Final = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True, client_no_context_takeover=True, server_max_window_bits=WINDOW_BITS
)

_FINAL: Final = 0x80
_COMPRESSED: Final = 0x40
# Where the length follows in 16 bits or in 64, and the head then.
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_HEAD_16: Final = Struct(">BBH")
_HEAD_64: Final = Struct(">BBQ")
# How a flushed block ends; whoever reads adds it again (RFC 7692, section 7.2.1).
_TAIL: Final = b"\x00\x00\xff\xff"


class Form(NamedTuple):
    """In which format messages for many reach a connection, and whether compressed."""

    format: Format
    compressed: bool

    def frame(self, document: bytes) -> bytes:
        """Make a frame of a JSON document."""
        codec = CODECS[self.format]
        wrap = to_small_frame if self.compressed else to_frame
        return wrap(codec.translate(document), binary=codec.binary)


PLAIN: Final = Form(Format.JSON, compressed=False)
# One of each for all connections.
FORMS: Final = {form: form for form in (Form(name, compressed) for name in Format for compressed in (False, True))}


def to_frame(payload: bytes, *, binary: bool = False) -> bytes:
    """Wrap a message in a frame: unmasked, final."""
    return _head(_opcode(binary=binary), len(payload)) + payload


def to_small_frame(payload: bytes, *, binary: bool = False) -> bytes:
    """Compress a message where that is worth it, and wrap it in a frame."""
    if len(payload) < WORTHWHILE:
        return to_frame(payload, binary=binary)
    compressor = zlib.compressobj(wbits=-WINDOW_BITS, memLevel=5)
    compressed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    payload = compressed.removesuffix(_TAIL)
    return _head(_COMPRESSED | _opcode(binary=binary), len(payload)) + payload


def _opcode(*, binary: bool) -> int:
    return Opcode.BINARY if binary else Opcode.TEXT


def _head(first: int, size: int) -> bytes:
    first |= _FINAL
    if size < _LENGTH_16:
        return bytes((first, size))
    if size < 1 << 16:
        return _HEAD_16.pack(first, _LENGTH_16, size)
    return _HEAD_64.pack(first, _LENGTH_64, size)
