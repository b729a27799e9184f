"""Bytes to commands, messages to bytes, for both formats of the wire."""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

from realtime.protocol.codes import Code, Refusal
from realtime.protocol.commands import AnyCommand
from realtime.protocol.types import MAX_INTEGER

# Of a validation message, which may quote what the client sent.
MAX_REASON: Final = 200


class Format(StrEnum):
    """The subprotocols, which name the formats."""

    JSON = "stagewire.v1.json"
    MSGPACK = "stagewire.v1.msgpack"


class Malformed(Exception):
    """The frame holds no command at all, not even a wrong one."""


class NotText(Malformed):
    """The bytes of a text frame are not UTF-8 (RFC 6455, section 8.1)."""


class Rejected(Exception):
    """The frame holds a command that is not legal. `re` is its id, where it could be read."""

    def __init__(self, refusal: Refusal, re: int | None) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.re = re


class Codec:
    """One format of the wire. Stateless; shared by all connections."""

    def __init__(
        self,
        name: Format,
        decode: Callable[[bytes], AnyCommand],
        salvage: Callable[[bytes], Any],
        encode: Callable[[Any], bytes],
        array: Callable[[list[bytes]], bytes],
    ) -> None:
        self.name: Final = name
        self.binary: Final = name is Format.MSGPACK
        self.encode: Final = encode
        self._array = array
        self._decode = decode
        self._salvage = salvage

    def decode(self, data: bytes) -> AnyCommand:
        """Read one command.

        Raises:
            Rejected: it is an object, but not a legal command.
            Malformed: it is no object, or cannot be read at all.
        """
        try:
            return self._decode(data)
        except msgspec.ValidationError as exc:
            reason = str(exc)[:MAX_REASON]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            reason = "the frame cannot be read"
        raise Rejected(Refusal(Code.BAD_REQUEST, reason), self._id_of(data))

    def array(self, documents: list[bytes]) -> msgspec.Raw:
        """Join JSON documents into one array of this format."""
        return msgspec.Raw(self._array(documents))

    def translate(self, document: bytes) -> bytes:
        """Give a JSON document in this format."""
        return self.encode(msgspec.json.decode(document)) if self.binary else document

    def _id_of(self, data: bytes) -> int | None:
        try:
            found = self._salvage(data)
        except UnicodeDecodeError as exc:
            raise NotText from exc
        except (ValueError, RecursionError) as exc:
            raise Malformed from exc
        if not isinstance(found, dict):
            raise Malformed
        re = found.get("id")
        return re if type(re) is int and 0 <= re <= MAX_INTEGER else None


JSON: Final = Codec(
    Format.JSON,
    msgspec.json.Decoder(AnyCommand).decode,
    # The standard library reads what msgspec won't (lone surrogates, NaN), which is enough to find the
    # id that the refusal must carry. Left to itself it would also guess at UTF-16.
    lambda data: json.loads(data.decode("utf-8-sig")),
    msgspec.json.Encoder().encode,
    lambda documents: b"[" + b",".join(documents) + b"]",
)
MSGPACK: Final = Codec(
    Format.MSGPACK,
    msgspec.msgpack.Decoder(AnyCommand).decode,
    msgspec.msgpack.Decoder().decode,
    msgspec.msgpack.Encoder().encode,
    lambda documents: msgspec.msgpack.encode([msgspec.json.decode(document) for document in documents]),
)
CODECS: Final = {codec.name: codec for codec in (JSON, MSGPACK)}
