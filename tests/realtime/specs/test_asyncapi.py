"""The AsyncAPI document: valid, complete, and true to what the server takes and gives."""

import json
import subprocess
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given

from realtime.domain.access import RIGHTS, RULES, Role
from realtime.domain.limits import DEFAULTS
from realtime.domain.session import State
from realtime.http.table import ENDPOINTS
from realtime.protocol.codec import JSON
from realtime.protocol.codes import Close, Code
from realtime.protocol.commands import AnyCommand, Command, type_of
from realtime.protocol.events import BODIES, INBOX_BODIES, InboxKind, Kind, Push
from realtime.protocol.meanings import HANDSHAKES
from realtime.protocol.replies import Reply
from realtime.settings import Settings
from realtime.specs import asyncapi, openapi
from realtime.specs.examples import EXAMPLES
from realtime.specs.schemas import WORDS
from tests.conformance.transcript import Hear, Say, Transcript, all_transcripts
from tests.realtime.protocol.strategies import COMMANDS
from tests.support.node_packages import INSTALL_SECONDS, installed

HERE = Path(__file__).parent
DOCUMENT = asyncapi.document(Settings(), "0")
MESSAGES: dict[str, dict[str, Any]] = DOCUMENT["components"]["messages"]
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
OPERATIONS: dict[str, dict[str, Any]] = DOCUMENT["operations"]


def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """Give what tells whether a message is what its schema says."""
    return jsonschema_rs.Draft202012Validator(
        {**MESSAGES[name]["payload"], "components": DOCUMENT["components"]}, validate_formats=True
    )


@pytest.mark.timeout(INSTALL_SECONDS + 60)
def test_asyncapis_own_parser_takes_the_document() -> None:
    folder = installed(HERE / "asyncapi")
    said = subprocess.run(
        ["node", "check.mjs"], cwd=folder, input=json.dumps(DOCUMENT), capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout) == {"read": True, "complaints": []}


def test_every_message_is_in_it() -> None:
    said = [*get_args(AnyCommand), *Reply.__subclasses__(), *Push.__subclasses__()]
    assert {str(kind.__struct_config__.tag) for kind in said} == {message["name"] for message in MESSAGES.values()}
    assert set(DOCUMENT["channels"]["wire"]["messages"]) == set(MESSAGES)
    pushed = {name for name in MESSAGES if name.startswith("push.")}
    assert set(OPERATIONS) == {f"command.{type_of(kind)}" for kind in get_args(AnyCommand)} | pushed
    # Each type of its own is a message of its own; one type is a reply, and a push too.
    assert len(MESSAGES) == len(said) + 1


@pytest.mark.parametrize("name", MESSAGES)
def test_the_examples_of_a_message_are_what_its_schema_says(name: str) -> None:
    examples = [example["payload"] for example in MESSAGES[name]["examples"]]
    assert examples
    for example in examples:
        validator(name).validate(example)


@pytest.mark.parametrize("kind", get_args(AnyCommand), ids=type_of)
def test_the_examples_of_commands_are_commands(kind: type[Command]) -> None:
    for example in EXAMPLES[kind]:
        assert type(JSON.decode(msgspec.json.encode(example))) is kind


VALIDATORS = {type_of(kind): validator(f"command.{type_of(kind)}") for kind in get_args(AnyCommand)}


@given(COMMANDS)
def test_whatever_is_a_command_is_what_its_schema_says(command: Command) -> None:
    VALIDATORS[type_of(command)].validate(msgspec.json.decode(msgspec.json.encode(command)))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("command.join", {"session": "01A1FC40-3411-779B-B3CD-55BF0979533E"}),
        ("command.join", {"session": "01a1fc40-3411-779b-b3cd-55bf0979533e\n"}),
        ("command.join", {"since": "first"}),
        ("command.join", {"other": 1}),
        ("command.react", {"kind": "heart\n"}),
        ("command.history", {"limit": 201}),
        ("command.chat.send", {"key": "x"}),
        ("push.event", {"body": {"text": 3}}),
        ("push.event", {"kind": "chat.shouted"}),
        ("push.event", {"kind": "session.started"}),
        ("push.signal.typing", {"kind": "reactions"}),
        ("push.quality", {"quality": "splendid"}),
        ("push.quality", {"rtt_ms": None}),
        ("reply.error", {"code": "teapot"}),
        ("reply.error", {"state": None}),
        ("reply.joined", {"re": None}),
        ("reply.joined", {"audience": {}}),
        ("reply.joined", {"events": [{}]}),
        ("push.inbox", {"entries": [{"id": 1, "at": 1, "by": "a", "key": "b", "kind": "direct", "body": {}}]}),
    ],
)
def test_what_is_wrong_is_not_what_a_schema_says(name: str, change: dict[str, Any]) -> None:
    example = MESSAGES[name]["examples"][0]["payload"]
    assert validator(name).is_valid(example)
    assert not validator(name).is_valid({**example, **change})


def test_what_always_comes_is_required_and_nothing_is_null_that_servers_say() -> None:
    assert {"kind", "users", "count"} < set(SCHEMAS["TypingSignal"]["required"])
    assert "settings" in SCHEMAS["SessionView"]["required"]
    assert "members" not in SCHEMAS["SessionView"]["required"]
    assert SCHEMAS["SessionSettings"]["required"] == ["chat", "slow_mode", "links", "private"]
    # What clients say may be null.
    assert SCHEMAS["SessionUpdate"]["properties"]["key"] == {
        "anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]
    }
    # In the changes of an event null stands for what was taken away.
    said = {name: schema for name, schema in SCHEMAS.items() if "additionalProperties" not in schema}
    assert [name for name, schema in said.items() if '{"type": "null"}' in json.dumps(schema)] == ["Change"]


def test_every_kind_has_its_body() -> None:
    assert set(BODIES) == set(Kind)
    assert set(INBOX_BODIES) == set(InboxKind)
    assert [one["title"] for one in SCHEMAS["Event"]["oneOf"]] == [str(kind) for kind in BODIES]
    assert {example["kind"] for example in SCHEMAS["InboxEntry"]["examples"]} == set(InboxKind)


def test_what_servers_keep_to_themselves_is_not_in_it() -> None:
    assert not {"allowed", "removed"} & set(SCHEMAS["SessionBody"]["properties"])
    assert "realtime" not in json.dumps(DOCUMENT).replace("realtime server", "")


def test_words_are_of_fields_that_exist() -> None:
    both = [*SCHEMAS.items(), *openapi.document(ENDPOINTS, "0")["components"]["schemas"].items()]
    assert set(WORDS) <= {
        (name.rpartition(".")[2], field) for name, schema in both for field in schema.get("properties", {})
    }
    assert SCHEMAS["SessionView"]["properties"]["state"]["enum"] == list(State)


def test_every_code_and_every_close_is_in_it() -> None:
    assert [error["code"] for error in DOCUMENT["x-errors"]] == list(Code)
    assert [close["code"] for close in DOCUMENT["x-closes"]] == list(Close)
    assert {example["payload"]["code"] for example in MESSAGES["reply.error"]["examples"]} == set(Code)
    told = ("x-handshakes", "x-errors", "x-closes", "x-limits")
    assert "](" not in json.dumps([DOCUMENT[name] for name in told])


def test_every_status_of_a_refused_handshake_is_in_it() -> None:
    assert [refused["status"] for refused in DOCUMENT["x-handshakes"]] == sorted(HANDSHAKES)
    told = {limit["beyond"] for limit in DOCUMENT["x-limits"] if limit.get("beyond", "").startswith("status")}
    assert told <= {f"status {refused['status']}" for refused in DOCUMENT["x-handshakes"]}


def test_commands_say_what_refuses_them() -> None:
    for command, right in RIGHTS.items():
        told = OPERATIONS[f"command.{command.split()[0]}"]
        for joined in (True, False):
            for role in Role:
                verdicts = {right.verdict(role, state, joined=joined) for state in State} - {None}
                assert verdicts <= set(told["x-errors"]), command
    assert OPERATIONS["command.pong"]["x-errors"] == ["bad_request", "rate_limited", "internal"]
    assert "not_found" in OPERATIONS["command.join"]["x-errors"]
    assert "not_found" not in OPERATIONS["command.leave"]["x-errors"]
    assert OPERATIONS["command.chat.send"]["x-errors"] == [
        "bad_request", "forbidden", "conflict", "too_large", "rate_limited", "unavailable", "internal",
    ]  # fmt: skip


@pytest.mark.parametrize("transcript", all_transcripts(), ids=lambda transcript: transcript.name)
def test_whatever_refuses_a_command_in_a_transcript_is_told(transcript: Transcript) -> None:
    said: dict[tuple[str, int], str] = {}
    greeted: set[str] = set()
    for step in (step for row in transcript.rows for step in row.steps):
        match step:
            case Say(actor, {"id": number, "type": kind}):
                said[actor, number] = kind
                greeted |= {actor} if kind == "hello" else set()
            case Hear(actor, {"type": "error", "re": number, "code": code}) if actor in greeted:
                told = OPERATIONS.get(f"command.{said[actor, number]}")
                assert code in (told["x-errors"] if told else [Code.BAD_REQUEST])


def test_commands_say_who_may() -> None:
    own, others = OPERATIONS["command.chat.delete"]["x-rights"]
    assert own["of"] == "of one's own message"
    assert others == {
        "roles": ["host", "cohost", "moderator"],
        "states": ["interrupted", "live", "paused", "scheduled"],
        "joined": True,
        "of": "of others",
    }
    assert set(RULES[RIGHTS["session.end"].may].roles) == set(OPERATIONS["command.session.end"]["x-rights"][0]["roles"])


def test_the_limits_are_those_of_the_server() -> None:
    told = {limit["limit"]: limit for limit in asyncapi.document(Settings(max_frame=2048), "0")["x-limits"]}
    assert told["max_frame"] == {
        "limit": "max_frame", "value": 2048, "means": "Bytes of a client's message at most.", "close": 4413,
    }  # fmt: skip
    assert set(asyncapi.LIMITS) <= set(Settings.__struct_fields__)
    rates = {(one["action"], limit["role"]) for one in DOCUMENT["x-rate-limits"] for limit in one["limits"]}
    assert rates == set(DEFAULTS)
