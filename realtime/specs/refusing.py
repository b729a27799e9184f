"""With which codes a command or a request may be refused.

Mostly that follows from what it has: a body may be too large, a session may be none. The tables say the rest.
"""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import fields

from realtime.domain.access import RIGHTS, RULES, Right, Role
from realtime.domain.session import State
from realtime.http.endpoints import Endpoint
from realtime.protocol import commands
from realtime.protocol.codes import Code
from realtime.protocol.commands import Command, type_of

_ALWAYS: Final = {Code.BAD_REQUEST, Code.RATE_LIMITED, Code.INTERNAL}
# These are answered from memory.
_AT_ONCE: Final = (commands.Pong, commands.Leave, commands.Typing, commands.React, commands.Playback)
# What is said in them is cleaned, and may be too long then.
_TEXTS: Final = frozenset(["text", "title", "reason"])
_ALSO: Final[dict[type[Command], set[Code]]] = {
    commands.Hello: {Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.CONFLICT},
    commands.TokenRefresh: {Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.CONFLICT},
    commands.Join: {Code.FORBIDDEN, Code.CONFLICT},
    commands.ChatEdit: {Code.NOT_FOUND},
    commands.ChatDelete: {Code.NOT_FOUND},
    commands.React: {Code.CONFLICT},
    commands.SessionCreate: {Code.FORBIDDEN},
    commands.SessionAsk: {Code.FORBIDDEN, Code.CONFLICT},
    commands.SessionTakeover: {Code.CONFLICT},
    commands.DirectSend: {Code.FORBIDDEN},
    commands.AgoraToken: {Code.NOT_CONFIGURED},
}
_SESSION: Final = "/v1/sessions/{id}"


def codes_of_command(command: type[Command]) -> list[Code]:
    """Give the codes of a command, in the order of `Code`."""
    named = {field.name for field in fields(command)}
    right = RIGHTS.get(type_of(command))
    found = _ALWAYS | _ALSO.get(command, set())
    if command not in _AT_ONCE:
        found |= {Code.UNAVAILABLE}
    if named & _TEXTS:
        found |= {Code.TOO_LARGE}
    if "key" in named:
        found |= {Code.CONFLICT}
    if right is not None:
        found |= _by_right(right)
    if "session" in named and not (right and right.joined) and command is not commands.Leave:
        found |= {Code.NOT_FOUND}
    return _in_order(found)


def _by_right(right: Right) -> set[Code]:
    limited = right.joined or RULES[right.may].roles != set(Role)
    stateful = right.states != set(State)
    return ({Code.FORBIDDEN} if limited else set()) | ({Code.CONFLICT} if stateful else set())


def codes_of_endpoint(endpoint: Endpoint) -> list[Code]:
    """Give the codes of an endpoint, in the order of `Code`."""
    found = {Code.INTERNAL}
    if not endpoint.signature:
        # What is signed may come as often as it likes.
        found |= {Code.RATE_LIMITED}
    if "{" in endpoint.path or endpoint.query or endpoint.body:
        found |= {Code.BAD_REQUEST}
    if endpoint.body:
        found |= {Code.TOO_LARGE}
    if not endpoint.public:
        found |= {Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.UNAVAILABLE}
    if endpoint.path.startswith(_SESSION):
        found |= {Code.NOT_FOUND} if endpoint.method == "GET" else {Code.NOT_FOUND, Code.CONFLICT}
    return _in_order(found | set(endpoint.refuses))


def _in_order(codes: Iterable[Code]) -> list[Code]:
    found = set(codes)
    return [code for code in Code if code in found]
