"""What Hypothesis draws for the fuzzing: values of a JSON schema, almost such values, and mutations of a corpus."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from hypothesis import strategies as st

# What has been trouble elsewhere, in places where something else belongs.
NASTY: Final[st.SearchStrategy[Any]] = st.sampled_from([
    None, True, 0, -1, 0.5, 2**53, 2**63, 2**64, 10**400, "", "\0", "\ud800", "\u202e", "%00", "../", "x" * 5000, [],
    [[]], {}, {"": None}, "1e999", "01932c07-3a6e-7cc0-8000-000000000001", "@server",
])  # fmt: skip
_SPLICES: Final = [b"\0", b"\xff", b"\xc1", b"{", b"[", b'"', b"\\ud800", b"9" * 400, b"1e999", b"\xdf\xff\xff\xff\xff"]


def valid(schema: dict[str, Any], components: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Draw values that a schema allows, of the keywords that our documents use (JSON Schema 2020-12)."""
    if "$ref" in schema:
        return st.deferred(lambda: valid(components[schema["$ref"].rpartition("/")[2]], components))
    if "anyOf" in schema:
        return st.one_of([valid(one, components) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _OF_TYPE.get(schema.get("type", ""), _anything)(schema, components)


def almost(schema: dict[str, Any], components: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Draw values that a schema allows, and such in which something else stands."""
    return st.tuples(valid(schema, components), st.integers(0, 3), NASTY, st.integers(0, 7)).map(_spoil)


def _spoil(drawn: tuple[Any, int, Any, int]) -> Any:
    value, chance, nasty, place = drawn
    if chance:
        return value
    if isinstance(value, dict) and value:
        name = sorted(value)[place % len(value)]
        return {**value, name: nasty} if place % 2 else {**{k: v for k, v in value.items() if k != name}, "x": nasty}
    return nasty


def _text(schema: dict[str, Any], _: dict[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "uuid":
        return st.uuids().map(str)
    if "pattern" in schema:
        # Our patterns are Python's, whose `$` is not quite that of the schema's language.
        return st.from_regex(re.compile(schema["pattern"]))
    return st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 50), 50))


def _integer(schema: dict[str, Any], _: dict[str, Any]) -> st.SearchStrategy[int]:
    return st.integers(schema.get("minimum"), schema.get("maximum"))


def _array(schema: dict[str, Any], components: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(valid(schema.get("items", {}), components), max_size=min(schema.get("maxItems", 5), 5))


def _object(schema: dict[str, Any], components: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: valid(inner, components) for name, inner in schema.get("properties", {}).items()}
    required = {name: fields.pop(name) for name in schema.get("required", [])}
    if not fields and not required:
        return st.dictionaries(st.text(max_size=5), _anything(schema, components), max_size=5)
    return st.fixed_dictionaries(required, optional=fields)


def _anything(_: dict[str, Any], __: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.booleans() | st.integers() | st.text(max_size=20)


_OF_TYPE: Final[dict[str, Callable[[dict[str, Any], dict[str, Any]], st.SearchStrategy[Any]]]] = {
    "string": _text,
    "integer": _integer,
    "number": lambda _, __: st.floats(allow_nan=False, allow_infinity=False),
    "boolean": lambda _, __: st.booleans(),
    "null": lambda _, __: st.none(),
    "array": _array,
    "object": _object,
}


@st.composite
def mutated(draw: st.DrawFn, corpus: Sequence[bytes]) -> bytes:
    """Draw one of a corpus, with parts cut, doubled, changed, or taken from another one."""
    data = draw(st.sampled_from(corpus))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 8)))
        part = draw(
            st.sampled_from(_SPLICES)
            | st.binary(max_size=4)
            | st.just(data[start:end] * 2)
            | st.sampled_from(corpus).map(lambda other: other[:64])
        )
        data = data[:start] + part + data[end:]
    return data
