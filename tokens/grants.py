"""Who may do what in a session's video, and for how long. Pure: nothing here reads a clock.

All times are unix seconds.
"""

import re
from enum import IntEnum, StrEnum
from typing import Final

from msgspec import Struct

from tokens.errors import GrantError

U32_MAX: Final = 2**32 - 1
# Agora honours no token for longer.
MAX_LIFETIME_S: Final = 24 * 3600
# The SDK warns 30 s before a privilege expires; a renewal is due a minute before that warning.
RENEW_BEFORE_S: Final = 30 + 60
# Renewals are sent that much before they are due, for a sender that looks once a second, and for the way.
SEND_BEFORE_S: Final = 2
# The part of a token's life over which the renewals of a crowd are spread, that came all at once.
SPREAD_SHARE: Final = 4

# The 89 characters, and fewer than 64 bytes of them, that the SDKs' references give for `channelId`.
_CHANNEL = re.compile(r"[A-Za-z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}|~,]{1,63}")
_APP_KEY = re.compile(r"[0-9A-Fa-f]{32}")
_SESSION_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Role(StrEnum):
    """A user's role in one session."""

    HOST = "host"
    COHOST = "cohost"
    MODERATOR = "moderator"
    VIEWER = "viewer"


class Privilege(IntEnum):
    """What an RTC token can allow, by Agora's numbers."""

    JOIN = 1
    AUDIO = 2
    VIDEO = 3
    DATA = 4


_ON_STAGE: Final = tuple(Privilege)
_WATCHING: Final = (Privilege.JOIN,)
PRIVILEGES: Final[dict[Role, tuple[Privilege, ...]]] = {
    Role.HOST: _ON_STAGE,
    Role.COHOST: _ON_STAGE,
    Role.MODERATOR: _WATCHING,
    Role.VIEWER: _WATCHING,
}


class App(Struct, frozen=True):
    """An Agora project: its app id and its primary certificate, 32 hexadecimal characters each.

    Raises:
        GrantError: one of them is something else.
    """

    app_id: str
    certificate: str

    def __post_init__(self) -> None:
        for key, named in ((self.app_id, "app id"), (self.certificate, "certificate")):
            _require(_APP_KEY.fullmatch(key) is not None, f"the {named} is 32 hexadecimal characters")

    def __repr__(self) -> str:
        # The certificate signs tokens: it must not reach a log.
        return f"App({self.app_id})"


class Grant(Struct, frozen=True):
    """Leave for one user (`uid`, 1 to 2^32-1) to be in one channel, in one role, for a time.

    Raises:
        GrantError: a field is outside what may be issued, so no illegal grant exists.
    """

    channel: str
    uid: int
    role: Role
    issued_at: int
    privilege_expires_at: int
    token_expires_at: int

    def __post_init__(self) -> None:
        _require(_CHANNEL.fullmatch(self.channel) is not None, "a channel is 1 to 63 of Agora's characters")
        # Agora reads uid 0 as "anyone": its holder could join as any user.
        _require(1 <= self.uid <= U32_MAX, "a uid is from 1 to 2^32-1")
        _require_times(self.issued_at, self.privilege_expires_at, self.token_expires_at)


class RtmGrant(Struct, frozen=True):
    """Leave for one user (text, under a channel's rules) to log in to Agora's signalling, for a time.

    Raises:
        GrantError: a field is outside what may be issued.
    """

    user: str
    issued_at: int
    expires_at: int

    def __post_init__(self) -> None:
        legal = _CHANNEL.fullmatch(self.user) is not None and not self.user.startswith(" ")
        _require(legal, "a user is 1 to 63 of Agora's characters and does not begin with a space")
        _require_times(self.issued_at, self.expires_at, self.expires_at)


def channel_for(session_id: str) -> str:
    """The video channel of a session: its id itself, so two sessions never share one.

    Raises:
        GrantError: not a UUIDv7 in canonical text: another spelling of it would be another channel.
    """
    _require(_SESSION_ID.fullmatch(session_id) is not None, "a session id is a UUIDv7 in canonical text")
    return session_id


def grant_for(session_id: str, uid: int, role: Role, now: int, lifetime_s: int) -> Grant:
    """The grant for a user of a session that begins `now` and lasts `lifetime_s` seconds.

    Raises:
        GrantError: as `Grant`, or the lifetime leaves no time between the issue and the renewal.
    """
    _require(lifetime_s > RENEW_BEFORE_S, f"a lifetime is more than {RENEW_BEFORE_S} s")
    # The SDK warns of an expiring privilege, not of an expiring token: the token must not go first.
    expires_at = now + lifetime_s
    return Grant(channel_for(session_id), uid, role, now, expires_at, expires_at)


def renew_at(grant: Grant) -> int:
    """When the holder of a grant should be sent the next one: a minute before the SDK would ask for it."""
    return grant.privilege_expires_at - RENEW_BEFORE_S


def send_at(grant: Grant) -> int:
    """When to send the holder of a grant the next one, unasked: before `renew_at`, and after half of its life.

    Those who got theirs at the same moment are spread evenly over a quarter of it, where it is 6 minutes or more, by
    their uids: these are drawn at random.
    """
    latest = max(renew_at(grant) - SEND_BEFORE_S, grant.issued_at + 1)
    window = min(_life(grant) // SPREAD_SHARE, latest - grant.issued_at - _life(grant) // 2)
    return latest - (max(window, 0) * grant.uid >> 32)


def is_fresh(grant: Grant, now: int) -> bool:
    """Whether a grant has more than half of its life before it, and so may be given to another asker."""
    return grant.issued_at <= now < grant.issued_at + (_life(grant) + 1) // 2


def require_salt(salt: int) -> None:
    """A salt is a random number from 1 to 2^32-1.

    Raises:
        GrantError: it is outside that range.
    """
    _require(1 <= salt <= U32_MAX, "a salt is from 1 to 2^32-1")


def _life(grant: Grant) -> int:
    return grant.privilege_expires_at - grant.issued_at


def _require_times(issued_at: int, privilege_expires_at: int, token_expires_at: int) -> None:
    _require(1 <= issued_at < privilege_expires_at, "a privilege expires after the issue")
    _require(privilege_expires_at <= token_expires_at, "a token expires no sooner than its privileges")
    _require(token_expires_at - issued_at <= MAX_LIFETIME_S, "a token lasts a day at most")
    _require(token_expires_at <= U32_MAX, "times are unix seconds of 32 bits")


def _require(legal: bool, rule: str) -> None:
    if not legal:
        raise GrantError(rule)
