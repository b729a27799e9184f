"""Examples by type, as they look in JSON."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from realtime.protocol.commands import Command
from realtime.specs import http_examples, wire_examples


def plain(example: Struct) -> Any:
    """Give an example as it looks in JSON. What a client does not ask for is left out."""
    told = msgspec.json.decode(msgspec.json.encode(example))
    asked = isinstance(example, Command) or type(example).__struct_config__.forbid_unknown_fields
    return {name: value for name, value in told.items() if value is not None} if asked else told


def _by_type(examples: Iterable[Struct]) -> dict[type, list[Any]]:
    found: dict[type, list[Any]] = {}
    for example in examples:
        found.setdefault(type(example), []).append(plain(example))
    return found


EXAMPLES: Final = _by_type(
    [
        *wire_examples.COMMANDS, *wire_examples.REPLIES, *wire_examples.PUSHES, *wire_examples.ENTRIES,
        *http_examples.EXAMPLES,
    ]
)  # fmt: skip
