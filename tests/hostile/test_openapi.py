"""The side API against its own document, by schemathesis: a little here, for long by `make fuzz`."""

import re
from typing import Any, Final

import msgspec
import pytest
import requests
import schemathesis
from msgspec.structs import replace
from requests import PreparedRequest
from schemathesis import Case, Response
from schemathesis.checks import CheckContext
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.schemas import OpenApiSchema

from realtime.http.endpoints import Endpoint
from realtime.http.serving import FailureBody
from realtime.http.table import ENDPOINTS
from realtime.protocol.codes import HTTP_STATUS, Code
from realtime.specs import openapi
from tests.hostile.conftest import Stage
from tests.properties.effort import tried
from tests.support.nodes import token
from tokens import agora_notices
from tokens.access import AccessRole

SECRET: Final = "pbqWdh7Ip"
SESSION_ID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Why something may be refused that the document allows: what a schema cannot say.
BEYOND_A_SCHEMA: Final = (
    # Integers are integers here, where a schema allows 5.0.
    "got `float`",
    "the text has nothing to see",
    "to find",
    "no text can have these words",
    "a user is in both lists",
    "is not limited for",
    "either before or after",
    "nothing to change",
    "max_message is",
    "metadata holds a text or a number that cannot be stored",
    "metadata is at most",
    # What it must be depends on the event.
    "payload: ",
)


def documented(*endpoints: Endpoint) -> OpenApiSchema:
    config = {
        # That what is allowed is taken, but for what is beyond a schema, is a check of our own.
        "checks": {"positive_data_acceptance": {"enabled": False}},
        # Each request has a token, and is sent again without by `ignored_auth`.
        "generation": {"with-security-parameters": False},
    }
    return schemathesis.openapi.from_dict(openapi.document(endpoints, "0"), config=SchemathesisConfig.from_dict(config))


DOCUMENT: Final = documented(*ENDPOINTS)
# To sign each request is for who sends it, whatever is drawn.
SIGNED: Final = documented(*[replace(endpoint, signature=None) for endpoint in ENDPOINTS if endpoint.signature])


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"STAGEWIRE_AGORA_WEBHOOK_SECRET": SECRET}


def speaking(stage: Stage) -> dict[str, Any]:
    """Give how a request is sent: to the server, by an admin."""
    return {"base_url": stage.node.http, "headers": {"Authorization": f"Bearer {token('fuzz', AccessRole.ADMIN)}"}}


def as_agora(request: PreparedRequest) -> PreparedRequest:
    body = request.body or b""
    assert isinstance(body, bytes)
    request.headers[agora_notices.SIGNATURE] = agora_notices.sign(SECRET, body)
    return request


@schemathesis.check
def refused_in_our_words(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Check that a refusal is one of ours, and that what the document allows is refused for a known reason."""
    if response.status_code < 400:
        return
    refusal = msgspec.json.decode(response.content, type=FailureBody).error
    assert refusal.code != Code.INTERNAL, refusal
    # A method that a path has not is refused by the framework, in our words.
    assert response.status_code in (HTTP_STATUS[Code(refusal.code)], 405)
    if case.meta and case.meta.generation.mode is GenerationMode.POSITIVE and response.status_code == 400:
        assert any(known in refusal.message for known in BEYOND_A_SCHEMA), refusal


@DOCUMENT.parametrize()
@tried(10)
def test_the_api_answers_as_its_document_says(stage: Stage, case: Case[Any]) -> None:
    """Asked about sessions that were never made, about new ones, and about live ones."""
    drawn = case.path_parameters.get("id")
    if case.path.startswith("/v1/sessions/{id}") and isinstance(drawn, str) and SESSION_ID.fullmatch(drawn):
        make = (None, created, None, live)[int(drawn[-1], 16) % 4]
        case.path_parameters["id"] = make(stage) if make else drawn
    case.call_and_validate(**speaking(stage))


def created(stage: Stage) -> str:
    """Create a session, which the next request is about."""
    return post(stage, "/v1/sessions", {"title": "A show"})


def live(stage: Stage) -> str:
    return post(stage, f"/v1/sessions/{created(stage)}/start", {})


def post(stage: Stage, path: str, body: dict[str, str]) -> str:
    said = speaking(stage)
    return str(requests.post(said["base_url"] + path, json=body, headers=said["headers"], timeout=10).json()["id"])


@SIGNED.parametrize()
@tried(10)
def test_what_agora_signs_is_answered_as_the_document_says(stage: Stage, case: Case[Any]) -> None:
    case.call_and_validate(base_url=stage.node.http, auth=as_agora)
