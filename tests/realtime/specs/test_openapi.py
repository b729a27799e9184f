"""The OpenAPI document: valid, complete, with true examples. Whether the server keeps to it, tests/hostile asks."""

from typing import Any

import jsonschema_rs
import msgspec
import pytest

from realtime.http.audience import AudiencePage
from realtime.http.endpoints import Endpoint
from realtime.http.table import ENDPOINTS
from realtime.protocol.codes import Code
from realtime.settings import Settings
from realtime.specs import openapi
from realtime.specs.documents import DOCUMENTS, served
from realtime.specs.examples import EXAMPLES
from realtime.specs.refusing import codes_of_endpoint

DOCUMENT = openapi.document(ENDPOINTS, "0")
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
each = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")


def operation_of(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = OPERATIONS[f"{endpoint.method} {endpoint.path}"]
    return found


def responses_of(endpoint: Endpoint) -> dict[str, Any]:
    """Give the responses by their status, those too that several endpoints share."""
    shared = DOCUMENT["components"]["responses"]
    found = operation_of(endpoint)["responses"].items()
    return {status: shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for status, one in found}


def complaints(schema: dict[str, Any], example: Any) -> list[str]:
    """Give what is wrong with an example."""
    validator = jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    return [error.message for error in validator.iter_errors(example)]


def test_a_validator_of_openapi_takes_the_document() -> None:
    validating = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not installed")
    assert list(validating.OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


@each
def test_the_examples_are_what_the_schemas_say(endpoint: Endpoint) -> None:
    operation = operation_of(endpoint)
    contents = [answer["content"]["application/json"] for answer in responses_of(endpoint).values()]
    if endpoint.body:
        contents.append(operation["requestBody"]["content"]["application/json"])
    for content in contents:
        assert content["examples"]
        for example in content["examples"].values():
            assert complaints(content["schema"], example["value"]) == []
    for parameter in operation.get("parameters", ()):
        assert complaints(parameter["schema"], parameter["example"]) == []


@each
def test_the_examples_of_bodies_are_bodies(endpoint: Endpoint) -> None:
    if endpoint.body:
        for example in EXAMPLES[endpoint.body]:
            msgspec.json.decode(msgspec.json.encode(example), type=endpoint.body)


@each
def test_every_refusal_has_its_status(endpoint: Endpoint) -> None:
    responses = responses_of(endpoint)
    told = {
        example
        for status, response in responses.items()
        if int(status) >= 400
        for example in response["content"]["application/json"]["examples"]
    }
    assert told == set(codes_of_endpoint(endpoint)) >= {Code.INTERNAL}
    # Nobody counts what is signed.
    assert (Code.RATE_LIMITED in told) == (endpoint.signature is None)
    if Code.RATE_LIMITED in told:
        assert "Retry-After" in responses["429"]["headers"]
    assert ("401" in responses) == (not endpoint.public or endpoint.signature is not None)


def test_what_need_not_be_proven() -> None:
    assert OPERATIONS["POST /dev/token"]["security"] == []
    assert OPERATIONS["GET /v1/sessions"]["security"] == [{"bearer": []}]
    assert OPERATIONS["POST /v1/agora/events"]["security"] == [{"Agora-Signature-V2": []}]


def test_what_counts_where_a_parameter_is_left_out() -> None:
    found = {one["name"]: one["schema"] for one in OPERATIONS["GET /v1/sessions/{id}/audience"]["parameters"]}
    assert found["limit"]["default"] == 100
    assert "default" not in found["cursor"]


def test_events_are_described_by_their_kinds() -> None:
    page = DOCUMENT["components"]["schemas"]["EventPage"]
    assert page["properties"]["events"]["items"] == {"$ref": "#/components/schemas/Event"}
    event = page["examples"][0]["events"][0]
    assert complaints({"$ref": "#/components/schemas/Event"}, event) == []
    assert complaints({"$ref": "#/components/schemas/Event"}, {**event, "kind": "chat.deleted"}) != []


def test_nothing_is_null_that_servers_answer() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert "peak_at" not in schemas["Summary"]["required"]
    assert schemas["Summary"]["properties"]["peak_at"]["type"] == "integer"
    page = EXAMPLES[AudiencePage][0]
    assert complaints({"$ref": "#/components/schemas/AudiencePage"}, page) == []
    assert complaints({"$ref": "#/components/schemas/AudiencePage"}, {**page, "cursor": None}) != []
    assert complaints({"$ref": "#/components/schemas/AudiencePage"}, {**page, "audience": {}}) != []


def test_what_only_dev_mode_has() -> None:
    assert "/dev/token" not in DOCUMENTS["openapi"](Settings())["paths"]
    assert "/dev/token" in DOCUMENTS["openapi"](Settings(dev=True))["paths"]
    assert len(served(Settings(dev=True))) == len(ENDPOINTS)
