"""JSON Schemas of the types that the specifications name: what msgspec says of them, and what it can't know."""

import inspect
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec

from realtime.domain.access import Role
from realtime.domain.session import State
from realtime.protocol.codes import Code
from realtime.protocol.events import BODIES, INBOX_BODIES, Event, InboxEntry
from realtime.specs.examples import EXAMPLES

Schema: TypeAlias = dict[str, Any]

PREFIX: Final = "#/components/schemas/"
# The events and entries that others hold as documents, and what these hold in turn.
_HELD: Final = (Event, InboxEntry, *BODIES.values(), *INBOX_BODIES.values())
# Of which words a text is one, where its type does not say. What clients say is strict, and so are its types.
WORDS: Final[dict[tuple[str, str], type[StrEnum]]] = {
    ("Error", "code"): Code,
    ("Error", "state"): State,
    ("Failure", "code"): Code,
    ("Failure", "state"): State,
    ("Removed", "code"): Code,
    ("SessionView", "state"): State,
    ("SessionBody", "state"): State,
    ("Joined", "role"): Role,
}
# How Python says where a text ends. In a JSON Schema's patterns (ECMA-262) `$` alone is that.
_ENDS: Final = (r"$(?!\n)", r"\Z")


class Schemas:
    """The schemas of some types, and of all types that these are made of."""

    def __init__(self, types: Iterable[Any]) -> None:
        named = list(dict.fromkeys([*types, *_HELD]))
        found, components = msgspec.json.schema_components(named, ref_template=PREFIX + "{name}")
        self._of: dict[Any, Schema] = {kind: _tidied(schema) for kind, schema in zip(named, found, strict=True)}
        self.components: Final = {_short(name): _tidied(schema) for name, schema in components.items()}
        for name, schema in self.components.items():
            _name_words(name, schema)
        _tell_bodies(self.components["Event"], BODIES)
        _tell_bodies(self.components["InboxEntry"], INBOX_BODIES)
        for kind, schema in self._of.items():
            if kind in EXAMPLES and "$ref" in schema:
                self.components[schema["$ref"].removeprefix(PREFIX)]["examples"] = [
                    msgspec.to_builtins(example) for example in EXAMPLES[kind]
                ]

    def of(self, kind: Any) -> Schema:
        """Give the schema of one of the types: mostly a reference."""
        return self._of[kind]


def documentation(kind: type) -> str:
    """Give what a type's docstring says."""
    return inspect.cleandoc(kind.__doc__ or "")


def _short(name: str) -> str:
    """Give a name that two modules have without the packages."""
    return ".".join(name.split(".")[-2:])


def _tidied(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_tidied(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidied = {name: _tidied(value) for name, value in schema.items() if not _internal(value)}
    if isinstance(text := tidied.get("description"), str):
        tidied["description"] = inspect.cleandoc(text)
    if isinstance(pattern := tidied.get("pattern"), str):
        for end in _ENDS:
            pattern = pattern.replace(end, "$")
        tidied["pattern"] = pattern
    if isinstance(ref := tidied.get("$ref"), str):
        tidied["$ref"] = PREFIX + _short(ref.removeprefix(PREFIX))
    return tidied


def _internal(schema: Any) -> bool:
    return isinstance(schema, dict) and bool(schema.get("x-internal"))


def _name_words(name: str, schema: Schema) -> None:
    for field, declared in schema.get("properties", {}).items():
        words = WORDS.get((name, field))
        if words is not None:
            text = next((one for one in declared.get("anyOf", ()) if one.get("type") == "string"), declared)
            text["enum"] = list(map(str, words))


def _tell_bodies(schema: Schema, bodies: Mapping[Any, type]) -> None:
    """Say which body comes with which kind."""
    schema["oneOf"] = [
        {"title": str(kind), "properties": {"kind": {"const": str(kind)}, "body": {"$ref": PREFIX + body.__name__}}}
        for kind, body in bodies.items()
    ]
