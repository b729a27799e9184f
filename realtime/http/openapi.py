"""The OpenAPI 3.1 document, generated from the table of endpoints and their types."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import FieldInfo

from realtime.http.endpoints import Endpoint
from realtime.http.serving import FailureBody

_REF = "#/components/schemas/{name}"


class Parameter(NamedTuple):
    """A parameter, and whether it is in the path or the query."""

    place: str
    field: FieldInfo


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """Give the document."""
    types = [t for e in endpoints for t in (e.body, e.reply, *(p.field.type for p in _parameters(e))) if t]
    types.append(FailureBody)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    refs = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stagewire", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                **{s: {"type": "apiKey", "in": "header", "name": s} for e in endpoints if (s := e.signature)},
            },
        },
    }


def _operation(endpoint: Endpoint, refs: dict[type, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_"),
        "responses": {
            str(endpoint.status): _content("Done", refs[endpoint.reply]),
            "default": _content("Refused", refs[FailureBody]),
        },
    }
    if parameters := _parameters(endpoint):
        operation["parameters"] = [
            {"name": field.encode_name, "in": place, "required": field.required, "schema": refs[field.type]}
            for place, field in parameters
        ]
    if endpoint.body:
        operation["requestBody"] = {"required": not endpoint.body_optional, **_content("", refs[endpoint.body])}
        del operation["requestBody"]["description"]
    if not endpoint.public:
        operation["security"] = [{"bearer": []}]
    elif endpoint.signature:
        operation["security"] = [{endpoint.signature: []}]
    return operation


def _content(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _parameters(endpoint: Endpoint) -> list[Parameter]:
    path = endpoint.parameters if "{" in endpoint.path else None
    return [
        Parameter(place, field)
        for place, shape in (("path", path), ("query", endpoint.query))
        for field in (msgspec.structs.fields(shape) if shape else ())
    ]
