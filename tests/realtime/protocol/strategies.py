"""What Hypothesis draws for the protocol: every legal command, and bytes that almost are one."""

import json
from typing import Any, Final, get_args

from hypothesis import strategies as st

from realtime.protocol import commands
from realtime.protocol.codec import JSON, MSGPACK, Codec
from realtime.protocol.session_settings import ChatMode, Limits
from realtime.protocol.types import MAX_INTEGER, Position

CODECS: Final = [JSON, MSGPACK]
COMMAND_TYPES: Final[list[type[commands.Command]]] = list(get_args(commands.AnyCommand))

NUMBERS = st.integers(0, MAX_INTEGER)
SESSIONS = st.uuids().map(str)
POSITIONS = st.builds(Position, epoch=st.text(min_size=1, max_size=64), seq=NUMBERS)
FIELDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "id": st.none() | NUMBERS,
    "session": SESSIONS,
    "token": st.text(min_size=1, max_size=100),
    "client": st.none() | st.text(max_size=64),
    "device": st.none() | st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64),
    "reason": st.none() | st.text(max_size=200),
    "now": st.none() | NUMBERS,
    "since": st.none() | POSITIONS | st.just("last"),
    "key": st.uuids(),
    "text": st.text(),
    "sent_at": st.none() | NUMBERS,
    "edited_at": st.none() | NUMBERS,
    "seq": NUMBERS,
    "reply_to": st.none() | NUMBERS,
    "before": st.none() | NUMBERS,
    "after": st.none() | NUMBERS,
    "limit": st.integers(1, commands.MAX_PAGE),
    "on": st.booleans(),
    "kind": st.from_regex("[a-z0-9_-]{1,32}", fullmatch=True),
    "title": st.text(),
    "state": st.sampled_from(["playing", "buffering", "paused"]),
    "chat": st.sampled_from(ChatMode),
    "slow_mode": st.integers(0, 3600),
    "links": st.booleans(),
    "private": st.booleans(),
    "max_message": st.none() | st.integers(1, MAX_INTEGER),
    "language": st.sampled_from([None, "de", "zh-Hant-TW"]),
    "cover": st.sampled_from([None, "https://example.com/cover.png?v=1#a"]),
    "metadata": st.none() | st.dictionaries(st.text(), st.booleans() | st.text()),
    "limits": st.sampled_from([None, Limits(), Limits(grace=0, away=5), Limits(longest=1)]),
    "role": st.sampled_from(["cohost", "moderator", "viewer"]),
    "accept": st.booleans(),
    "user": st.from_regex("[A-Za-z0-9_-]{1,64}", fullmatch=True),
    "upto": NUMBERS,
}


def commands_of(kind: type[commands.Command]) -> st.SearchStrategy[commands.Command]:
    """Draw legal commands of one type."""
    return st.builds(kind, **{name: FIELDS[name] for name in kind.__struct_fields__})


COMMANDS = st.sampled_from(COMMAND_TYPES).flatmap(commands_of)

# Values of every JSON type, many of them where a command has something else.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=5) | SESSIONS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*FIELDS, "type", "seq", "epoch", "other"])
TAGS = st.sampled_from([kind.__struct_config__.tag for kind in COMMAND_TYPES])
OBJECTS = st.tuples(st.dictionaries(NAMES, VALUES, max_size=5), TAGS).map(lambda drawn: {"type": drawn[1], **drawn[0]})


@st.composite
def frames(draw: st.DrawFn, codec: Codec) -> bytes:
    """Draw what a peer may send: noise, near misses, and commands with a few bytes changed."""
    whole = draw(
        st.binary(max_size=60)
        | COMMANDS.map(codec.encode)
        | (VALUES | OBJECTS).map(lambda value: _encoded(codec, value))
    )
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(start + 4, len(whole))))
    return whole[:start] + draw(st.binary(max_size=4) | st.just(whole[start:end])) + whole[end:]


def _encoded(codec: Codec, value: Any) -> bytes:
    # The standard library writes what no strict encoder does: NaN, and integers of any size.
    return json.dumps(value).encode() if codec is JSON else codec.encode(_narrow(value))


def _narrow(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _narrow(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_narrow(inner) for inner in value]
    return max(-(2**63), min(value, 2**64 - 1)) if type(value) is int else value
