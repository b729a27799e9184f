"""When a client comes back, and what the end of a connection means to a person. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from stagewire_client.errors import Code, Refused
from stagewire_client.settings import Settings

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
ABNORMAL: Final = 1006
DRAIN: Final = 4000
SILENT: Final = 4002
TOKEN_EXPIRED: Final = 4300
_FLOOD: Final = 4429
_REFRESH: Final = 4300
_FINAL: Final = 4400
# Worth another try, with the same key; so is an `internal` that is the first refusal. Any other one is an answer.
_PASSING: Final = frozenset([Code.UNAVAILABLE, Code.RATE_LIMITED])


class State(StrEnum):
    """What a client's connection is at."""

    CONNECTING = "connecting"
    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    FAILED = "failed"


class Reason(StrEnum):
    """Why it is so: IDLE is before it was asked to connect, and after it was closed."""

    NONE = ""
    IDLE = "idle"
    LOST = "lost"
    UNREACHABLE = "unreachable"
    DRAIN = "drain"
    SLOW = "slow"
    SILENT = "silent"
    UNAVAILABLE = "unavailable"
    POOR_QUALITY = "poor_quality"
    TOKEN = "token"  # noqa: S105 - a reason, and no secret
    EXPIRED = "expired"
    REJECTED = "rejected"
    FROZEN = "frozen"
    TAKEN_OVER = "taken_over"
    FLOOD = "flood"
    PROTOCOL = "protocol"
    DEFECT = "defect"


SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.NONE: "",
    Reason.IDLE: "Not connected.",
    Reason.LOST: "The connection was lost.",
    Reason.UNREACHABLE: "The server cannot be reached.",
    Reason.DRAIN: "The server is restarting.",
    Reason.SLOW: "This connection was too slow to keep up.",
    Reason.SILENT: "The server has not been heard of for too long.",
    Reason.UNAVAILABLE: "The server is not available right now.",
    Reason.POOR_QUALITY: "The connection is poor.",
    Reason.TOKEN: "There is no access token.",
    Reason.EXPIRED: "The access token has expired.",
    Reason.REJECTED: "The server did not accept the access token.",
    Reason.FROZEN: "You have been kept out.",
    Reason.TAKEN_OVER: "Another device has taken over the session.",
    Reason.FLOOD: "Too much came from here, again and again.",
    Reason.PROTOCOL: "The server and this client did not understand each other.",
    Reason.DEFECT: "The client has a defect.",
}
_REASONS: Final[Mapping[int, Reason]] = {
    PROTOCOL_ERROR: Reason.PROTOCOL,
    DRAIN: Reason.DRAIN,
    4001: Reason.SLOW,
    SILENT: Reason.SILENT,
    4003: Reason.UNAVAILABLE,
    TOKEN_EXPIRED: Reason.EXPIRED,
    4401: Reason.REJECTED,
    4403: Reason.FROZEN,
    4409: Reason.TAKEN_OVER,
    _FLOOD: Reason.FLOOD,
}


class Status(Struct, frozen=True, kw_only=True):
    """What is to be told of a connection.

    While it is offline it comes back after `retry_in` seconds, from when this was said. `lasting` says that it is
    time to tell the user, and to offer a `retry`: it has failed several times, or for long, or is not tried any more.
    `close_code` is that of the last close, if there was one.
    """

    state: State
    reason: Reason = Reason.NONE
    retry_in: float = 0.0
    lasting: bool = False
    close_code: int | None = None

    @property
    def online(self) -> bool:
        """Tell whether commands reach the server."""
        return self.state in (State.ONLINE, State.DEGRADED)

    @property
    def sentence(self) -> str:
        """Say the reason for people."""
        return SENTENCES[self.reason]


class Verdict(StrEnum):
    """What a close code asks for."""

    RESUME = "resume"
    REFRESH = "refresh"
    FINAL = "final"


class End(Struct, frozen=True, kw_only=True):
    """How an attempt ended: by which close code, after how many seconds online, if it was, and for which reason.

    `retry_after` is what the server asked for, in seconds. `drained` says that it had named the moment to come back.
    """

    code: int = ABNORMAL
    online: float | None = None
    reason: Reason | None = None
    retry_after: float = 0.0
    drained: bool = False
    final: bool = False


class Step(Struct, frozen=True, kw_only=True):
    """What follows: the next attempt after `delay` seconds, or none. `stale` asks for a fresh token."""

    reason: Reason
    attempts: int
    delay: float | None
    stale: bool


def delay_of(attempt: int, random: float, settings: Settings) -> float:
    """Give the seconds before an attempt, from 0 on: full jitter below a bound that doubles.

    `random` is from 0 to 1. The way of Marc Brooker's "Exponential Backoff And Jitter" (AWS, 2015).
    """
    # Beyond that the power is far above any bound, and would not fit a float at last.
    return random * min(settings.longest_delay, settings.first_delay * 2.0 ** min(attempt, 32))


def verdict_of(code: int) -> Verdict:
    """Read a close code. Below 4000 are RFC 6455's, which say nothing about coming back."""
    if code < _REFRESH:
        return Verdict.RESUME
    return Verdict.REFRESH if code < _FINAL else Verdict.FINAL


def reason_of(code: int, *, was_online: bool) -> Reason:
    """Say why a connection ended."""
    if code >= _FINAL:
        return _REASONS.get(code, Reason.PROTOCOL)
    return _REASONS.get(code, Reason.LOST if was_online else Reason.UNREACHABLE)


def after(end: End, attempts: int, random: float, settings: Settings) -> Step:
    """Decide what follows an end, which `attempts` failed ones came before."""
    verdict = _verdict(end)
    reason = end.reason or reason_of(end.code, was_online=end.online is not None)
    if end.online is not None and end.online >= settings.stable:
        attempts = 0
    if verdict is Verdict.FINAL:
        # It may be the token's fault: whoever asks again by hand gets a fresh one as well.
        return Step(reason=reason, attempts=attempts + 1, delay=None, stale=True)
    delay = max(end.retry_after, delay_of(attempts, random, settings))
    if end.drained and end.code == DRAIN:
        delay = 0.0
    return Step(reason=reason, attempts=attempts + 1, delay=delay, stale=verdict is Verdict.REFRESH)


def _verdict(end: End) -> Verdict:
    if end.code == _FLOOD and end.retry_after:
        # Whoever was told when to come back has not been sent away for good.
        return Verdict.RESUME
    return Verdict.FINAL if end.final else verdict_of(end.code)


def status_of(step: Step, code: int | None, away: float, settings: Settings) -> Status:
    """Give what is to be told while nobody is connected, for `away` seconds by now."""
    return Status(
        state=State.FAILED if step.delay is None else State.OFFLINE,
        reason=step.reason,
        retry_in=step.delay or 0.0,
        lasting=step.delay is None or step.attempts >= settings.lasting or away >= settings.lasting_after,
        close_code=code,
    )


def passes(error: Refused, *, first: bool) -> bool:
    """Tell whether a command that was refused, for the first time or again, is worth another try."""
    return error.code in _PASSING or (first and error.code == Code.INTERNAL)


def wait_of(error: Refused, tries: int, random: float, settings: Settings) -> float:
    """Give the seconds to wait before the next try: what the server asks for, and longer with every refusal."""
    return max((error.retry_after_ms or 0) / 1000, delay_of(tries - 1, random, settings))
