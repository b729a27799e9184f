"""Agora's AccessToken, version 006, for projects that still ask for it: built by Agora's own package.

    token     "006" + app_id + base64(string(signature) u32(crc32(channel)) u32(crc32(uid)) string(message))
    message   u32(salt) u32(expires) privileges
    signature HMAC-SHA256(certificate, app_id + channel + uid as text + message), key first

Expiries are unix seconds. A token holds no channel and no uid, only their checksums: `verify` takes the ones
to check. What is signed runs channel and uid together: only channels of one length, as session ids are, keep
them apart.
"""

import hmac
from collections.abc import Mapping
from typing import Final
from zlib import crc32

from agora_token_builder.AccessToken import AccessToken
from msgspec import Struct

from tokens.errors import TokenExpired, TokenForged, TokenMalformed
from tokens.grants import PRIVILEGES, App, Grant, require_salt
from tokens.packing import Reader, unarmour

VERSION: Final = "006"

_APP_ID_CHARS: Final = 32


class LegacyToken(Struct, frozen=True):
    """What a token says; privileges as Agora's number → the unix second at which it ends."""

    app_id: str
    channel_crc: int
    uid_crc: int
    salt: int
    expires_at: int
    privileges: dict[int, int]


def build(app: App, grant: Grant, salt: int) -> str:
    """The RTC token of a grant. `salt` is random, from 1 to 2^32-1.

    Raises:
        GrantError: the salt is out of range.
    """
    require_salt(salt)
    privileges: dict[int, int] = dict.fromkeys(PRIVILEGES[grant.role], grant.privilege_expires_at)
    return _assemble(
        app,
        grant.channel,
        grant.uid,
        salt=salt,
        expires_at=grant.token_expires_at,
        privileges=privileges,
    )


def parse(token: str) -> LegacyToken:
    """What a token says, believed or not.

    Raises:
        TokenMalformed: the text is not a 006 token.
    """
    return _read(token)[0]


def verify(token: str, app: App, channel: str, uid: int, now: int) -> LegacyToken:
    """What a token says, where this app issued it for this channel and uid and it holds at `now` (unix s).

    Raises:
        TokenMalformed: as `parse`.
        TokenForged: another app's, channel's or uid's, or not signed with this app's certificate.
        TokenExpired: `now` is at its end or later.
    """
    said, signature, message = _read(token)
    who = channel.encode(), str(uid).encode()
    ours = hmac.digest(app.certificate.encode(), b"".join((app.app_id.encode(), *who, message)), "sha256")
    # The signature does not cover the app id in the text, nor the checksums.
    names = (said.app_id, said.channel_crc, said.uid_crc) == (app.app_id, *map(crc32, who))
    if not hmac.compare_digest(signature, ours) or not names:
        raise TokenForged
    if now >= said.expires_at:
        raise TokenExpired
    return said


def _assemble(app: App, channel: str, uid: int, *, salt: int, expires_at: int, privileges: Mapping[int, int]) -> str:
    token = AccessToken(app.app_id, app.certificate, channel, uid)
    # The package draws its own salt, and takes the time itself for an end a day from now.
    token.salt = salt
    token.ts = expires_at
    for privilege, privilege_expires_at in privileges.items():
        token.addPrivilege(privilege, privilege_expires_at)
    return str(token.build())


def _read(token: str) -> tuple[LegacyToken, bytes, bytes]:
    if not token.startswith(VERSION):
        raise TokenMalformed
    body = token[len(VERSION) :]
    content = Reader(unarmour(body[_APP_ID_CHARS:]))
    signature = content.string()
    channel_crc, uid_crc = content.u32(), content.u32()
    message = content.string()
    content.end()
    reader = Reader(message)
    salt, expires_at = reader.u32(), reader.u32()
    privileges = reader.privileges()
    reader.end()
    said = LegacyToken(body[:_APP_ID_CHARS], channel_crc, uid_crc, salt, expires_at, privileges)
    return said, signature, message
