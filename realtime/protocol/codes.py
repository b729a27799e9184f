"""What a refusal and a close say to the other side."""

from enum import IntEnum, StrEnum


class Code(StrEnum):
    """Why one command or request was refused. The connection lives on."""

    BAD_REQUEST = "bad_request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    NOT_CONFIGURED = "not_configured"
    INTERNAL = "internal"


HTTP_STATUS = {
    Code.BAD_REQUEST: 400,
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.CONFLICT: 409,
    Code.TOO_LARGE: 413,
    Code.RATE_LIMITED: 429,
    Code.UNAVAILABLE: 503,
    Code.NOT_CONFIGURED: 503,
    Code.INTERNAL: 500,
}


class Close(IntEnum):
    """Close codes. The range says what to do next.

    1000-1015 are RFC 6455's. 4000-4299: reconnect and resume. 4300-4399: reconnect with a fresh
    token. 4400 and up: final.
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    ABNORMAL = 1006
    INVALID_DATA = 1007
    MESSAGE_TOO_BIG = 1009
    DRAIN = 4000
    SLOW_CONSUMER = 4001
    HEARTBEAT_LOST = 4002
    UNAVAILABLE = 4003
    TOKEN_EXPIRED = 4300
    BAD_FRAME = 4400
    NOT_AUTHENTICATED = 4401
    FROZEN = 4403
    NO_HELLO = 4408
    TAKEN_OVER = 4409
    TOO_LARGE = 4413
    FLOOD = 4429


class Refusal(Exception):
    """A command or request is not carried out, and this is all that its sender learns.

    `message` is a sentence for people. `retry_after_ms` says when trying again makes sense; `state`
    is the session's state where that is what stands in the way.
    """

    def __init__(
        self, code: Code, message: str, *, retry_after_ms: int | None = None, state: str | None = None
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.state = state


class Barred(Refusal):
    """A token's user may not come in. A connection that has said no good `hello` is closed with `close`."""

    def __init__(self, code: Code, message: str, close: Close, *, retry_after_ms: int | None = None) -> None:
        super().__init__(code, message, retry_after_ms=retry_after_ms)
        self.close = close
