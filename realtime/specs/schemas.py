"""JSON Schemas of the types that the specifications name: what msgspec says of them, and what it can't know."""

import inspect
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import NODEFAULT, UNSET, Struct
from msgspec.inspect import StructType
from msgspec.structs import FieldInfo, fields

from realtime.audit import Act
from realtime.domain.access import Role
from realtime.domain.quality import Quality
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
    ("SessionBody", "role"): Role,
    ("Joined", "role"): Role,
    ("AgoraToken", "role"): Role,
    ("QualityPush", "quality"): Quality,
    ("Spent", "state"): State,
    ("Audited", "action"): Act,
}
# What msgspec leaves out where it is empty, of what is left out as it is by default.
_LEFT_OUT: Final = (NODEFAULT, list, dict, set)
# How Python says where a text ends. In a JSON Schema's patterns (ECMA-262) `$` alone is that.
_ENDS: Final = (r"$(?!\n)", r"\Z")


class Schemas:
    """The schemas of some types, and of all types that these are made of."""

    def __init__(self, types: Iterable[Any]) -> None:
        named = list(dict.fromkeys([*types, *_HELD]))
        found, components = msgspec.json.schema_components(named, ref_template=PREFIX + "{name}")
        self._of: dict[Any, Schema] = {kind: _tidied(schema) for kind, schema in zip(named, found, strict=True)}
        self.components: Final = {_short(name): _tidied(schema) for name, schema in components.items()}
        for kind in _structs(msgspec.inspect.multi_type_info(named)):
            _as_given(kind, self.components[self._name(kind)])
        for name, schema in self.components.items():
            _name_words(name.rpartition(".")[2], schema)
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

    def _name(self, kind: type) -> str:
        return kind.__name__ if kind.__name__ in self.components else _short(f"{kind.__module__}.{kind.__name__}")


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
    if tidied.get("default", ...) is None:
        # What is left out. Generators make of each default a field that is always there.
        del tidied["default"]
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


def _structs(found: Any) -> set[type[Struct]]:
    """Give all structs that types are made of."""
    kinds: set[type[Struct]] = {found.cls} if isinstance(found, StructType) else set()
    inner = found if isinstance(found, tuple | list) else [getattr(found, name) for name in found.__struct_fields__]
    return kinds.union(*(_structs(one) for one in inner if isinstance(one, Struct | tuple | list)))


def _as_given(kind: type[Struct], schema: Schema) -> None:
    """Say of what servers give what always comes, and that nothing is null: what would be is left out.

    What clients say is strict, and so are its types.
    """
    if kind.__struct_config__.forbid_unknown_fields:
        return
    told = {field.encode_name: field for field in fields(kind) if field.encode_name in schema["properties"]}
    for name, field in told.items():
        if field.default is None:
            schema["properties"][name] = _not_null(schema["properties"][name])
        elif _always_given(kind, field):
            schema["properties"][name].pop("default", None)
            schema.setdefault("required", []).append(name)


def _always_given(kind: type[Struct], field: FieldInfo) -> bool:
    given = not kind.__struct_config__.omit_defaults or field.default_factory not in _LEFT_OUT
    return given and not field.required and field.default is not UNSET


def _not_null(declared: Schema) -> Schema:
    """Give the schema of a field that is left out in place of null."""
    (value,) = (one for one in declared["anyOf"] if one != {"type": "null"})
    return {**{name: of for name, of in declared.items() if name != "anyOf"}, **value}


def _name_words(name: str, schema: Schema) -> None:
    for field, declared in schema.get("properties", {}).items():
        words = WORDS.get((name, field))
        if words is not None:
            text = next((one for one in declared.get("anyOf", ()) if one.get("type") == "string"), declared)
            text["enum"] = list(map(str, words))


def _tell_bodies(schema: Schema, bodies: Mapping[Any, type]) -> None:
    """Say which body comes with which kind."""
    schema["oneOf"] = [
        {
            "title": str(kind),
            "properties": {"kind": {"const": str(kind)}, "body": {"$ref": PREFIX + body.__name__}},
            "required": ["kind", "body"],
        }
        for kind, body in bodies.items()
    ]
