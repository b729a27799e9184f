"""The scalar types of the wire, with their bounds."""

from typing import Annotated

from msgspec import Meta, Struct

# The largest integer that every JSON implementation reads exactly (RFC 8259, section 6).
MAX_INTEGER = 2**53 - 1
UUID_TEXT = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
# What follows the `$` keeps a line feed out, which it alone would let pass in Python.
KIND_TEXT = r"^[a-z0-9_-]{1,32}$(?!\n)"
USER_TEXT = r"^[A-Za-z0-9_-]{1,64}$(?!\n)"

CommandId = Annotated[int, Meta(ge=0, le=MAX_INTEGER, description="Chosen by the client; echoed as `re`.")]
Seq = Annotated[int, Meta(ge=0, le=MAX_INTEGER, description="An event's place in its session's log, from 1.")]
Millis = Annotated[int, Meta(ge=0, le=MAX_INTEGER, description="Milliseconds since the epoch, UTC.")]
Duration = Annotated[int, Meta(ge=0, le=MAX_INTEGER, description="A number of milliseconds.")]
# The length, because `$` lets a line feed follow.
SessionId = Annotated[str, Meta(pattern=UUID_TEXT, max_length=36, description="A session's id, as the server gave it.")]
ReactionKind = Annotated[str, Meta(pattern=KIND_TEXT, description="A kind of reaction, named by the app.")]
UserId = Annotated[str, Meta(pattern=USER_TEXT, description="A user: the `sub` of the token.")]
Epoch = Annotated[str, Meta(min_length=1, max_length=64, description="Names one life of a session's log.")]


class Position(Struct, frozen=True, forbid_unknown_fields=True):
    """How far a reader has got: every event of `epoch` up to and including `seq`."""

    epoch: Epoch
    seq: Seq
