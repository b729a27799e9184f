"""What each refusal and each close means, and what a client does about it: for the pages and the specifications.

Links lead to headings of `docs/protocol.md`.
"""

import re
from http import HTTPStatus
from typing import Final, NamedTuple

from realtime.protocol.codes import Close, Code


class Meaning(NamedTuple):
    """What a code means, and what to do."""

    means: str
    do: str


ERRORS: Final[dict[Code, Meaning]] = {
    Code.BAD_REQUEST: Meaning(
        "the command is malformed, or its text can't be stored",
        "a mistake in the client, or nothing visible in the text: don't repeat it",
    ),
    Code.UNAUTHENTICATED: Meaning("no good token; in answer to `hello` a close follows", "get a token"),
    Code.FORBIDDEN: Meaning(
        "your role or the session's settings don't allow that, or a fresh token is another user's, or you have not "
        "joined, or the session is private, or you are frozen, or that user is none you may write to",
        "join first, ask to be let in, or hide the button",
    ),
    Code.NOT_FOUND: Meaning("there is no such session, or nothing in it that you name", "forget it"),
    Code.CONFLICT: Meaning(
        "the state, the key, or a number (of joined sessions, of kinds of reaction) stands in the way",
        "look at `state`; don't repeat it",
    ),
    Code.TOO_LARGE: Meaning("the text or the body is too long", "tell the user"),
    Code.RATE_LIMITED: Meaning(
        "too often: beyond your [limit](#limits) for this, or the session is in slow mode",
        "wait for `retry_after_ms`, then send it again, a message with the same key",
    ),
    Code.UNAVAILABLE: Meaning(
        "Postgres can't be asked, or the issuer of tokens for its keys, or too much waits. It comes within 5 seconds. "
        "**Nobody knows whether a message was stored**",
        "send it again with the same key after `retry_after_ms`, and what you sent after it in its order: "
        "if it was not stored, it gets its place then",
    ),
    Code.NOT_CONFIGURED: Meaning(
        "the operator has given no Agora credentials, or no secret for its notices", "do without"
    ),
    Code.INTERNAL: Meaning("a defect in the server", "once again at most"),
}

_MISTAKE: Final = "a mistake in the client"
_LATER: Final = "connect again after `Retry-After` (seconds), or a delay of your own if that is longer"

# By their statuses of HTTP.
HANDSHAKES: Final[dict[HTTPStatus, Meaning]] = {
    HTTPStatus.BAD_REQUEST: Meaning(
        "not exactly one `Host` header, no request of HTTP/1.1, or a malformed WebSocket handshake, "
        "or not its version 13",
        _MISTAKE,
    ),
    HTTPStatus.FORBIDDEN: Meaning(
        "a browser's `Origin` that the operator has not allowed; clients that send none are let in",
        "ask the operator to allow the page",
    ),
    HTTPStatus.NOT_FOUND: Meaning("another path", _MISTAKE),
    HTTPStatus.METHOD_NOT_ALLOWED: Meaning("not a `GET`", _MISTAKE),
    HTTPStatus.REQUEST_URI_TOO_LONG: Meaning("a request line above 8,192 bytes", _MISTAKE),
    HTTPStatus.UPGRADE_REQUIRED: Meaning("not an upgrade to `websocket`", _MISTAKE),
    HTTPStatus.TOO_MANY_REQUESTS: Meaning("too many connections or handshakes from your address", _LATER),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: Meaning(
        "a header above 8,192 bytes, all together above 16 KiB, or more than 128 of them", _MISTAKE
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: Meaning("the server is full, or too many come at the same time", _LATER),
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: Meaning("HTTP/1.0", _MISTAKE),
}

_RESUME: Final = "reconnect and resume"

CLOSES: Final[dict[Close, Meaning]] = {
    Close.NORMAL: Meaning("closed by you, or by a proxy on the way", "as you like"),
    Close.GOING_AWAY: Meaning("closed by you, or by a proxy on the way", "as you like"),
    Close.PROTOCOL_ERROR: Meaning("a WebSocket frame was malformed", _MISTAKE),
    Close.ABNORMAL: Meaning("the connection was lost", _RESUME),
    Close.INVALID_DATA: Meaning("a text was not UTF-8", _MISTAKE),
    Close.MESSAGE_TOO_BIG: Meaning(
        "your own limit for one message is too small", "raise it, see [Connecting](#connecting)"
    ),
    Close.DRAIN: Meaning(
        "the server is being stopped, after a [`drain`](#drain)", f"{_RESUME}, at once if that was told"
    ),
    Close.SLOW_CONSUMER: Meaning(
        "you read too slowly: too much waited for you, or you took nothing away for too long",
        f"{_RESUME}; read faster, or join less",
    ),
    Close.HEARTBEAT_LOST: Meaning("no sign of life from you for 30 seconds", _RESUME),
    Close.UNAVAILABLE: Meaning(
        "a log that you follow began anew, in another epoch; or the server can't tell yet whether your token is good",
        f"{_RESUME}: in the first case `complete` will be false",
    ),
    Close.TOKEN_EXPIRED: Meaning(
        "the token has expired, in a `hello` or while you were connected", f"get a fresh one, then {_RESUME}"
    ),
    Close.BAD_FRAME: Meaning("a message was no object, or not in the kind of frame that was agreed", _MISTAKE),
    Close.NOT_AUTHENTICATED: Meaning("the token is no good, or something came before `hello`", "log in again"),
    Close.FROZEN: Meaning(
        "an admin has frozen you, see [The HTTP side API](#the-http-side-api)",
        "tell the user; come back only if the user asks for it",
    ),
    Close.NO_HELLO: Meaning("no `hello` within 5 seconds", f"{_MISTAKE}, or a very slow network"),
    Close.TAKEN_OVER: Meaning(
        "another device of yours runs the session now, see [The device of the host](#the-device-of-the-host)",
        "stop hosting; come back only if the user asks for it",
    ),
    Close.TOO_LARGE: Meaning("a message was larger than 16,384 bytes", _MISTAKE),
    Close.FLOOD: Meaning(
        "you went on after `rate_limited`, again and again; or too many connections of yours; "
        "or hundreds of pings or pieces of messages",
        f"{_MISTAKE}: keep to `retry_after_ms`. Where a `hello` was refused with one, connect again after it",
    ),
}

# From which code on, up to the next one, which rule holds. What is below is RFC 6455's.
RANGES: Final[dict[int, Meaning]] = {
    4000: Meaning("4000 to 4299", _RESUME),
    4300: Meaning("4300 to 4399", "reconnect with a fresh token"),
    4400: Meaning("4400 and up", "final: reconnecting as you are gets the same"),
}

_LINK: Final = re.compile(r"\[([^]]+)\]\([^)]+\)")


def unlinked(text: str) -> str:
    """Give a text without its links, for where the page is not."""
    return _LINK.sub(r"\1", text)
