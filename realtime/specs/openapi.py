"""The OpenAPI 3.1 document of the side API, from the table of endpoints and their types."""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import FieldInfo

from realtime.http.endpoints import Endpoint
from realtime.http.serving import FailureBody
from realtime.protocol.codes import HTTP_STATUS, Code
from realtime.protocol.meanings import ERRORS, unlinked
from realtime.specs.examples import EXAMPLES, plain
from realtime.specs.http_examples import FAILURES
from realtime.specs.refusing import codes_of_endpoint
from realtime.specs.schemas import Schemas, documentation

_ABOUT: Final = (
    "The HTTP side API of Stagewire, the realtime server for live sessions and chat. The WebSocket is described by the "
    "AsyncAPI document beside this one. Times are milliseconds since 1970-01-01 UTC. Ignore fields that you don't know."
)
_HEADERS: Final[dict[str, Any]] = {
    "Retry-After": {
        "description": "Seconds after which to try again, where that is known.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "How to prove who one is.",
        "schema": {"type": "string"},
        "example": "Bearer",
    },
}
# Which statuses have a header more.
_HEADER_OF: Final = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


class Parameter(NamedTuple):
    """A parameter, whether it is in the path or the query, and an example of it."""

    place: str
    field: FieldInfo
    example: Any


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """Give the document."""
    types = [t for e in endpoints for t in (e.body, e.reply, *(p.field.type for p in _parameters(e))) if t]
    schemas = Schemas([*types, FailureBody])
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stagewire",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # Wherever this document comes from.
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(map(_tag, endpoints))],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "headers": _HEADERS,
            "responses": _refusals(endpoints, schemas),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                **{s: {"type": "apiKey", "in": "header", "name": s} for e in endpoints if (s := e.signature)},
            },
        },
    }


def _operation(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_"),
        "tags": [_tag(endpoint)],
        "responses": {
            str(endpoint.status): _answer(endpoint.reply, schemas),
            **{
                str(HTTP_STATUS[codes[0]]): {"$ref": f"#/components/responses/{_name(codes)}"}
                for codes in _by_status(endpoint)
            },
        },
    }
    if parameters := _parameters(endpoint):
        operation["parameters"] = [
            {
                "name": field.encode_name,
                "in": place,
                "required": field.required,
                "schema": _with_default(schemas.of(field.type), field),
                "example": example,
            }
            for place, field, example in parameters
        ]
    if endpoint.body:
        content = _content(schemas.of(endpoint.body), {"body": EXAMPLES[endpoint.body][0]})
        operation["requestBody"] = {"required": not endpoint.body_optional, "content": content}
    # An empty list says that nothing has to be proven.
    operation["security"] = [{endpoint.signature or "bearer": []}] if _is_guarded(endpoint) else []
    return operation


def _with_default(schema: dict[str, Any], field: FieldInfo) -> dict[str, Any]:
    """Say what counts where a parameter is left out: null would say no more than that it was."""
    return schema if field.default in (NODEFAULT, None, "") else {**schema, "default": field.default}


def _is_guarded(endpoint: Endpoint) -> bool:
    return not endpoint.public or endpoint.signature is not None


def _tag(endpoint: Endpoint) -> str:
    """Give what a path is about: its first word, after the version."""
    return endpoint.path.removeprefix("/v1").split("/")[1]


def _answer(reply: type, schemas: Schemas) -> dict[str, Any]:
    description = documentation(reply).partition("\n")[0]
    return {"description": description, "content": _content(schemas.of(reply), {"answer": EXAMPLES[reply][0]})}


def _by_status(endpoint: Endpoint) -> list[tuple[Code, ...]]:
    """Give the codes with which an endpoint may refuse: those together that have one status."""
    codes = sorted(codes_of_endpoint(endpoint), key=HTTP_STATUS.__getitem__)
    return [tuple(found) for _, found in groupby(codes, HTTP_STATUS.__getitem__)]


def _name(codes: tuple[Code, ...]) -> str:
    return "-or-".join(codes)


def _refusals(endpoints: Sequence[Endpoint], schemas: Schemas) -> dict[str, Any]:
    """Give the responses that refuse, which many endpoints share."""
    wanted = dict.fromkeys(codes for endpoint in endpoints for codes in _by_status(endpoint))
    return {_name(codes): _refusal(codes, schemas) for codes in wanted}


def _refusal(codes: tuple[Code, ...], schemas: Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": "\n".join(map(_meaning, codes)),
        "content": _content(schemas.of(FailureBody), {str(code): plain(FAILURES[code]) for code in codes}),
    }
    if header := _HEADER_OF.get(HTTP_STATUS[codes[0]]):
        response["headers"] = {header: {"$ref": f"#/components/headers/{header}"}}
    return response


def _meaning(code: Code) -> str:
    return unlinked(f"- `{code}`: {ERRORS[code].means}. To do: {ERRORS[code].do}.")


def _content(schema: Any, examples: dict[str, Any]) -> dict[str, Any]:
    named = {name: {"value": example} for name, example in examples.items()}
    return {"application/json": {"schema": schema, "examples": named}}


def _parameters(endpoint: Endpoint) -> list[Parameter]:
    path = endpoint.parameters if "{" in endpoint.path else None
    return [
        Parameter(place, field, _example(shape, field.encode_name))
        for place, shape in (("path", path), ("query", endpoint.query))
        if shape
        for field in msgspec.structs.fields(shape)
    ]


def _example(shape: type, name: str) -> Any:
    """Give the first example of a parameter: of two that exclude each other, no request has both."""
    return next(example[name] for example in EXAMPLES[shape] if name in example)
