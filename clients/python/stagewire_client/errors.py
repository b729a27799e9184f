"""What can go wrong, by type; all of them are a `StagewireError`."""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stagewire_client.policy import Status


class Code(StrEnum):
    """Why the server refuses something. There may be others, by a later server."""

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


class StagewireError(Exception):
    """Whatever this package raises."""


class Refused(StagewireError):
    """The server did not carry a command out; the connection lives on.

    `code` is one of `Code`, or a later server's. `retry_after_ms` says when trying again makes sense, `state` is
    the session's, where that stands in the way.
    """

    def __init__(self, code: str, message: str, *, retry_after_ms: int | None = None, state: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.state = state


class Lost(StagewireError):
    """The connection ended before the answer came: the command may have been carried out, or not."""


class Failed(StagewireError):
    """The client has given up, until somebody asks it to `retry`. `status` says why."""

    def __init__(self, status: "Status") -> None:
        super().__init__(status.sentence)
        self.status = status


class Full(StagewireError):
    """Too much waits already."""


class Dropped(StagewireError):
    """A message was taken back before it was stored."""


class NotSignedIn(StagewireError):
    """Raised by an application's source of tokens: there is none, and asking again is of no use."""


class NoToken(StagewireError):
    """An application's source of tokens was cancelled: there is none, for now."""


class StorageError(StagewireError):
    """Messages cannot be kept, or read, where they should be."""


class Closed(StagewireError):
    """A socket is closed. `code` is RFC 6455's or the server's; 1006 where there was no close."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Unreachable(StagewireError):
    """There is no socket: nobody answers, or the handshake was refused. Try again after `retry_after` seconds."""

    def __init__(self, retry_after: float = 0.0) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after
