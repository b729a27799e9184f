"""The AsyncAPI 3 document of the wire, from the types of its messages.

Its operations are the server's, as AsyncAPI wants it: what the server receives, clients send.
"""

from collections.abc import Iterable
from typing import Any, Final, get_args

from msgspec import Struct

from realtime.domain import access
from realtime.domain.limits import DEFAULTS, Action, RateRole
from realtime.limiting import action_of
from realtime.protocol import commands, events, replies
from realtime.protocol.codec import Format
from realtime.protocol.codes import HTTP_STATUS, Close, Code
from realtime.protocol.commands import AnyCommand, Command, type_of
from realtime.protocol.meanings import CLOSES, ERRORS, HANDSHAKES, RANGES, Meaning, unlinked
from realtime.settings import Settings
from realtime.specs.examples import EXAMPLES
from realtime.specs.refusing import codes_of_command
from realtime.specs.schemas import Schemas, documentation

PATH: Final = "/v1/ws"
COMMANDS: Final[tuple[type[Command], ...]] = get_args(AnyCommand)
PUSHES: Final[tuple[type[Struct], ...]] = (*events.Push.__subclasses__(), replies.AgoraToken)
# What answers a command; an `ack` where nothing is said here.
REPLIES: Final[dict[type[Command], type[replies.Reply]]] = {
    commands.Hello: replies.Welcome,
    commands.TokenRefresh: replies.TokenTaken,
    commands.Join: replies.Joined,
    commands.Leave: replies.Left,
    commands.History: replies.Page,
    commands.SessionCreate: replies.Created,
    commands.AgoraToken: replies.AgoraToken,
}
# What is beyond the settings that clients meet: a code that refuses, a code that closes, or what happens.
LIMITS: Final[dict[str, Code | Close | str]] = {
    "max_frame": Close.TOO_LARGE,
    "hello_timeout": Close.NO_HELLO,
    "silence": Close.HEARTBEAT_LOST,
    "jwt_leeway": Close.TOKEN_EXPIRED,
    "max_sessions_joined": Code.CONFLICT,
    "max_in_flight": "the server reads on when some are answered",
    "text_characters": Code.TOO_LARGE,
    "text_bytes": Code.TOO_LARGE,
    "title_characters": Code.TOO_LARGE,
    "reaction_kinds": Code.CONFLICT,
    "replay_limit": "`complete` is false",
    "members": Code.CONFLICT,
    "guests": Code.CONFLICT,
    "requests": Code.CONFLICT,
    "inbox_entries": "the oldest are `lost`",
    "inbox_days": "they are `lost`",
    "max_outgoing": Close.SLOW_CONSUMER,
    "slow_timeout": Close.SLOW_CONSUMER,
    "max_connections": "status 503",
    "handshake_rate": "status 503",
    "user_connections": Close.FLOOD,
    "address_connections": "status 429",
    "flood_refusals": Close.FLOOD,
    "small_frames": Close.FLOOD,
}
_ABOUT: Final = """\
The WebSocket of Stagewire, the realtime server for live sessions and chat.

`hello` comes first: before it, every other command is `unauthenticated`, and the connection is closed with 4401.
A command with an `id` gets a reply with the same number as `re`; a push has neither.
Messages are JSON in text frames, or, with the subprotocol `stagewire.v1.msgpack`, MessagePack in binary ones,
with the same names and values. Times are milliseconds since 1970-01-01 UTC.
Ignore fields and types that you don't know.

What errors and closes mean is in `x-errors`, `x-closes` and `x-close-ranges`; with which statuses a handshake is
refused, in `x-handshakes`. `x-limits` are those of this server,
and `x-rate-limits` what it begins with: they may be changed while it runs.
"""
_CHANNEL: Final = "#/channels/wire"
_COMMAND, _REPLY, _PUSH = "command", "reply", "push"


def document(settings: Settings, version: str) -> dict[str, Any]:
    """Give the document, with the limits of these settings."""
    schemas = Schemas([*COMMANDS, *_replies(), *PUSHES])
    messages = dict(_messages(schemas))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Stagewire",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"direct": _server("ws", settings.port), "behindProxy": _server("wss", 443)},
        "channels": {
            "wire": {
                "address": PATH,
                "description": "One connection of one user. It may join several sessions.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "headers": _subprotocols(), "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {**dict(map(_asked, COMMANDS)), **dict(_told())},
        "components": {"messages": messages, "schemas": schemas.components},
        "x-handshakes": [{"status": int(status), **_said(meaning)} for status, meaning in HANDSHAKES.items()],
        "x-errors": [{"code": str(code), **_said(ERRORS[code]), "http_status": HTTP_STATUS[code]} for code in Code],
        "x-closes": [{"code": int(close), "name": close.name.lower(), **_said(CLOSES[close])} for close in Close],
        "x-close-ranges": [{"from": code, "codes": rule.means, "do": rule.do} for code, rule in RANGES.items()],
        "x-limits": _limits(settings),
        "x-rate-limits": _rate_limits(),
    }


def _server(protocol: str, port: int) -> dict[str, Any]:
    return {
        "host": "{host}:{port}",
        "protocol": protocol,
        "variables": {"host": {"default": "localhost"}, "port": {"default": str(port)}},
    }


def _subprotocols() -> dict[str, Any]:
    header = {"type": "string", "enum": list(map(str, Format)), "default": str(Format.JSON)}
    return {"type": "object", "properties": {"Sec-WebSocket-Protocol": header}}


# Messages.


def name_of(direction: str, message: type[Struct]) -> str:
    """Give a message's name in the document; signals and events have one type each, and several shapes."""
    tag = str(message.__struct_config__.tag)
    return f"{direction}.{tag}" if tag != "signal" else f"{direction}.signal.{EXAMPLES[message][0]['kind']}"


def _replies() -> list[type[replies.Reply]]:
    return list(dict.fromkeys([*REPLIES.values(), replies.Ack, replies.Error]))


def _messages(schemas: Schemas) -> Iterable[tuple[str, dict[str, Any]]]:
    for direction, kinds, number in (
        (_COMMAND, COMMANDS, "id"),
        (_REPLY, _replies(), "re"),
        (_PUSH, PUSHES, None),
    ):
        for kind in kinds:
            yield name_of(direction, kind), _message(direction, kind, schemas, number)


def _message(direction: str, kind: type[Struct], schemas: Schemas, number: str | None) -> dict[str, Any]:
    summary, _, more = documentation(kind).partition("\n")
    message: dict[str, Any] = {
        "name": str(kind.__struct_config__.tag),
        "summary": summary,
        "tags": [{"name": direction}],
        "payload": schemas.of(kind),
        "examples": [{"payload": example} for example in EXAMPLES[kind] if _belongs(direction, example)],
    }
    if more.strip():
        message["description"] = more.strip()
    if number:
        message["correlationId"] = {"location": f"$message.payload#/{number}"}
    return message


def _belongs(direction: str, example: Any) -> bool:
    """Tell whether an example of a type that is both a reply and a push is of the one that is meant."""
    return direction == _COMMAND or ("re" in example) == (direction == _REPLY)


# Operations.


def _asked(command: type[Command]) -> tuple[str, dict[str, Any]]:
    """Give the operation by which the server receives a command, and answers it."""
    codes, tag = codes_of_command(command), type_of(command)
    operation: dict[str, Any] = {
        "action": "receive",
        "channel": {"$ref": _CHANNEL},
        "summary": documentation(command).partition("\n")[0],
        "messages": [_reference(name_of(_COMMAND, command))],
        "reply": {
            "channel": {"$ref": _CHANNEL},
            "messages": [
                _reference(name_of(_REPLY, REPLIES.get(command, replies.Ack))),
                _reference(name_of(_REPLY, replies.Error)),
            ],
        },
        "x-errors": list(map(str, codes)),
        "x-rate-limit": str(action_of(command)),
    }
    if rights := [_right(name, right) for name, right in access.RIGHTS.items() if name.split()[0] == tag]:
        operation["x-rights"] = rights
    return name_of(_COMMAND, command), operation


def _told() -> Iterable[tuple[str, dict[str, Any]]]:
    """Give the operations by which the server pushes."""
    for push in PUSHES:
        name = name_of(_PUSH, push)
        yield (
            name,
            {
                "action": "send",
                "channel": {"$ref": _CHANNEL},
                "summary": documentation(push).partition("\n")[0],
                "messages": [_reference(name)],
            },
        )


def _reference(message: str) -> dict[str, str]:
    return {"$ref": f"{_CHANNEL}/messages/{message}"}


def _right(name: str, right: access.Right) -> dict[str, Any]:
    """Give who may do it, when; `of` says which of what the command can do that is about."""
    beyond = ", ".join(part for part in (name.partition(" ")[2], right.beyond) if part)
    return {
        "roles": [str(role) for role in access.Role if role in access.RULES[right.may].roles],
        "states": sorted(map(str, right.states)),
        "joined": right.joined,
        **({"of": beyond} if beyond else {}),
    }


# Codes and limits.


def _said(meaning: Meaning) -> dict[str, str]:
    return {"means": unlinked(meaning.means), "do": unlinked(meaning.do)}


def _limits(settings: Settings) -> list[dict[str, Any]]:
    described = Settings.__annotations__
    return [
        {
            "limit": name,
            "value": getattr(settings, name),
            "means": _described(described[name]),
            **_beyond(beyond),
        }
        for name, beyond in LIMITS.items()
    ]


def _described(annotation: Any) -> str:
    return unlinked(next(meta.description for meta in annotation.__metadata__ if meta.description))


def _beyond(beyond: Code | Close | str) -> dict[str, Any]:
    match beyond:
        case Code():
            return {"error": str(beyond)}
        case Close():
            return {"close": int(beyond)}
        case _:
            return {"beyond": beyond}


def _rate_limits() -> list[dict[str, Any]]:
    return [
        {
            "action": str(action),
            "commands": [type_of(command) for command in COMMANDS if action_of(command) is action],
            "limits": [
                {"role": str(role), "rate": limit.rate, "burst": limit.burst}
                for role in RateRole
                if (limit := DEFAULTS.get((action, role)))
            ],
        }
        for action in Action
    ]
