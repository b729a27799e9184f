"""Agora's AccessToken2, version 007: build, parse, verify.

Written from Agora's published format (its AccessToken2 builders) and checked against its published vectors:

    token     "007" + base64(zlib(string(signature) + info))
    info      string(app_id) u32(issued) u32(expire) u32(salt) u16(services) service*
    service   u16(type) privileges, then for rtc (1) string(channel) string(uid as text),
              for rtm (2) string(user)
    signature HMAC-SHA256(HMAC-SHA256(u32(salt), HMAC-SHA256(u32(issued), certificate)), info), keys first

Expiries are seconds after the issue; `tokens.packing` has the encoding. Many texts can carry one payload, as the
signature covers what is said and not how it was compressed: only the one that is built here verifies.
"""

import hmac
import struct
import zlib
from typing import Final

from msgspec import Struct

from tokens.errors import TokenExpired, TokenForged, TokenMalformed, TokenNotYet
from tokens.grants import PRIVILEGES, U32_MAX, App, Grant, RtmGrant, require_salt
from tokens.packing import Reader, armour, pack_privileges, pack_string, unarmour

VERSION: Final = "007"
# The largest payload, an RTC and an RTM service with all their privileges, has fewer than 300 bytes.
MAX_PAYLOAD_BYTES: Final = 512

_RTC: Final = 1
_RTM: Final = 2
_RTM_LOGIN: Final = 1


class RtcService(Struct, frozen=True):
    """What a token says of a channel; privileges as Agora's number → the unix second at which it ends."""

    channel: str
    uid: int
    privileges: dict[int, int]


class RtmService(Struct, frozen=True):
    """What a token says of signalling; privileges as Agora's number → the unix second at which it ends."""

    user: str
    privileges: dict[int, int]


class Token(Struct, frozen=True):
    """What a token says; times are unix seconds."""

    app_id: str
    issued_at: int
    expires_at: int
    salt: int
    services: tuple[RtcService | RtmService, ...]


def build(app: App, grant: Grant, salt: int) -> str:
    """The RTC token of a grant. `salt` is random, from 1 to 2^32-1.

    Raises:
        GrantError: the salt is out of range.
    """
    lasts_s = grant.privilege_expires_at - grant.issued_at
    service = (
        struct.pack("<H", _RTC)
        + pack_privileges(dict.fromkeys(PRIVILEGES[grant.role], lasts_s))
        + pack_string(grant.channel.encode())
        + pack_string(str(grant.uid).encode())
    )
    return _seal(app, grant.issued_at, grant.token_expires_at, salt, service)


def build_rtm(app: App, grant: RtmGrant, salt: int) -> str:
    """The RTM token of a grant. `salt` is random, from 1 to 2^32-1.

    Raises:
        GrantError: the salt is out of range.
    """
    lasts_s = grant.expires_at - grant.issued_at
    service = struct.pack("<H", _RTM) + pack_privileges({_RTM_LOGIN: lasts_s}) + pack_string(grant.user.encode())
    return _seal(app, grant.issued_at, grant.expires_at, salt, service)


def parse(token: str) -> Token:
    """What a token says, believed or not.

    Raises:
        TokenMalformed: the text is not a 007 token with RTC and RTM services alone.
    """
    return _read_info(_open(token)[1])


def verify(token: str, app: App, now: int) -> Token:
    """What a token says, where this app issued it and its time is now (unix seconds).

    Raises:
        TokenMalformed: as `parse`.
        TokenForged: another app's, not signed with this app's certificate, or compressed otherwise than here.
        TokenExpired: `now` is at its end or later.
        TokenNotYet: `now` is before its issue.
    """
    signature, info = _open(token)
    said = _read_info(info)
    ours = _sign(app, said.issued_at, said.salt, info)
    if not hmac.compare_digest(signature, ours) or said.app_id != app.app_id or _text(signature, info) != token:
        raise TokenForged
    if now >= said.expires_at:
        raise TokenExpired
    if now < said.issued_at:
        raise TokenNotYet
    return said


def _seal(app: App, issued_at: int, expires_at: int, salt: int, service: bytes) -> str:
    require_salt(salt)
    header = struct.pack("<IIIH", issued_at, expires_at - issued_at, salt, 1)
    info = pack_string(app.app_id.encode()) + header + service
    return _text(_sign(app, issued_at, salt, info), info)


def _text(signature: bytes, info: bytes) -> str:
    return VERSION + armour(zlib.compress(pack_string(signature) + info))


def _sign(app: App, issued_at: int, salt: int, info: bytes) -> bytes:
    inner = hmac.digest(struct.pack("<I", issued_at), app.certificate.encode(), "sha256")
    key = hmac.digest(struct.pack("<I", salt), inner, "sha256")
    return hmac.digest(key, info, "sha256")


def _open(token: str) -> tuple[bytes, bytes]:
    if not token.startswith(VERSION):
        raise TokenMalformed
    reader = Reader(_inflate(unarmour(token[len(VERSION) :])))
    return reader.string(), reader.rest()


def _inflate(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        payload = stream.decompress(data, MAX_PAYLOAD_BYTES + 1)
    except zlib.error:
        raise TokenMalformed from None
    if len(payload) > MAX_PAYLOAD_BYTES or not stream.eof or stream.unused_data:
        raise TokenMalformed
    return payload


def _read_info(info: bytes) -> Token:
    reader = Reader(info)
    app_id = reader.text()
    issued_at, lasts_s, salt = reader.u32(), reader.u32(), reader.u32()
    services = _read_services(reader, issued_at)
    reader.end()
    return Token(app_id, issued_at, issued_at + lasts_s, salt, services)


def _read_services(reader: Reader, issued_at: int) -> tuple[RtcService | RtmService, ...]:
    services = []
    last = 0
    for _ in range(reader.u16()):
        kind = reader.u16()
        # Other services exist, but their bodies have other shapes, and none of them is ever issued here.
        if kind not in (_RTC, _RTM) or kind <= last:
            raise TokenMalformed
        services.append(_read_service(reader, kind, issued_at))
        last = kind
    return tuple(services)


def _read_service(reader: Reader, kind: int, issued_at: int) -> RtcService | RtmService:
    privileges = {which: issued_at + lasts_s for which, lasts_s in reader.privileges().items()}
    if kind == _RTM:
        return RtmService(reader.text(), privileges)
    return RtcService(reader.text(), _read_uid(reader), privileges)


def _read_uid(reader: Reader) -> int:
    text = reader.text()
    uid = int(text) if text.isdecimal() else 0
    # Agora writes uid 0 as no text at all; any other spelling is not one of its numbers.
    if uid > U32_MAX or text != (str(uid) if uid else ""):
        raise TokenMalformed
    return uid
