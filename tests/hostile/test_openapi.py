"""The side API against its own document, by schemathesis: a little here, for long by `make fuzz`."""

from typing import Any, Final

import msgspec
import pytest
import schemathesis
from msgspec.structs import replace
from requests import PreparedRequest
from schemathesis import Case, Response
from schemathesis.checks import CheckContext
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.schemas import OpenApiSchema

from realtime.http import openapi
from realtime.http.endpoints import Endpoint
from realtime.http.serving import FailureBody
from realtime.http.site import ENDPOINTS
from realtime.protocol.codes import HTTP_STATUS, Code
from tests.hostile.conftest import Stage
from tests.properties.effort import tried
from tests.support.nodes import token
from tokens import agora_notices
from tokens.access import AccessRole

SECRET: Final = "pbqWdh7Ip"
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


def speaking(stage: Stage, role: AccessRole) -> dict[str, Any]:
    """Give how a request is sent to the server."""
    return {"base_url": stage.node.http, "headers": {"Authorization": f"Bearer {token('fuzz', role)}"}}


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
    case.call_and_validate(**speaking(stage, AccessRole.ADMIN))


@SIGNED.parametrize()
@tried(10)
def test_what_agora_signs_is_answered_as_the_document_says(stage: Stage, case: Case[Any]) -> None:
    case.call_and_validate(base_url=stage.node.http, auth=as_agora)


def test_one_request_after_the_other(stage: Stage) -> None:
    """What one answer names, most of all a new session, is asked for by the next request."""
    # What there is to list depends on what was tried before: an example must be the same when it is tried again.
    anew = DOCUMENT.exclude(operation_id="get_v1_sessions")

    class Visitor(anew.as_state_machine()):  # type: ignore[misc] # the base is made at run time
        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:  # noqa: ARG002 # all are asked alike
            # An admin would change the sessions of others.
            return speaking(stage, AccessRole.SELLER)

    Visitor.run(settings=tried(20))
