"""P1: any grant that we issue verifies, and says what was asked; anything altered does not."""

import zlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.tokens.strategies import (
    APPS,
    CHANNELS,
    SALTS,
    SESSION_IDS,
    UIDS,
    USERS,
    altered_bytes,
    altered_text,
    grants,
    rtm_grants,
)
from tokens import access, agora, legacy
from tokens.access import AccessDenied, AccessRole, AccessSettings, Identity, SharedSecret
from tokens.errors import TokenError, TokenExpired, TokenForged, TokenNotYet
from tokens.grants import PRIVILEGES, App, Grant, RtmGrant
from tokens.packing import armour, unarmour

SECRETS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=32, max_size=40).map(SharedSecret)
NOWS = st.integers(1, 2**33)
MAX_LIFETIME_S = 10**6


def payload(token: str) -> bytes:
    return zlib.decompress(unarmour(token[3:]))


def asked(grant: Grant) -> dict[int, int]:
    return dict.fromkeys(map(int, PRIVILEGES[grant.role]), grant.privilege_expires_at)


@given(APPS, grants(), SALTS, st.data())
def test_an_rtc_grant_verifies_throughout_its_time_and_says_what_was_asked(
    app: App, grant: Grant, salt: int, data: st.DataObject
) -> None:
    now = data.draw(st.integers(grant.issued_at, grant.token_expires_at - 1))
    assert agora.verify(agora.build(app, grant, salt), app, now) == agora.Token(
        app.app_id,
        grant.issued_at,
        grant.token_expires_at,
        salt,
        (agora.RtcService(grant.channel, grant.uid, asked(grant)),),
    )


@given(APPS, rtm_grants(), SALTS, st.data())
def test_an_rtm_grant_verifies_throughout_its_time_and_says_what_was_asked(
    app: App, grant: RtmGrant, salt: int, data: st.DataObject
) -> None:
    now = data.draw(st.integers(grant.issued_at, grant.expires_at - 1))
    assert agora.verify(agora.build_rtm(app, grant, salt), app, now) == agora.Token(
        app.app_id,
        grant.issued_at,
        grant.expires_at,
        salt,
        (agora.RtmService(grant.user, {1: grant.expires_at}),),
    )


@given(APPS, grants(), SALTS, NOWS)
def test_a_token_is_refused_outside_its_time(app: App, grant: Grant, salt: int, now: int) -> None:
    assume(not grant.issued_at <= now < grant.token_expires_at)
    with pytest.raises(TokenNotYet if now < grant.issued_at else TokenExpired):
        agora.verify(agora.build(app, grant, salt), app, now)


@given(APPS, APPS, grants(), SALTS)
def test_a_token_is_refused_by_every_other_app(app: App, other: App, grant: Grant, salt: int) -> None:
    token = agora.build(app, grant, salt)
    for stranger in (App(app.app_id, other.certificate), App(other.app_id, app.certificate)):
        assume(stranger != app)
        with pytest.raises(TokenForged):
            agora.verify(token, stranger, grant.issued_at)


@given(APPS, grants(), SALTS, st.data())
def test_no_altered_text_verifies(app: App, grant: Grant, salt: int, data: st.DataObject) -> None:
    token = agora.build(app, grant, salt)
    # Also not where zlib skips bits, so that what is said stays the same.
    packed = data.draw(altered_bytes(unarmour(token[3:])))
    for changed in (data.draw(altered_text(token)), "007" + armour(packed)):
        with pytest.raises(TokenError):
            agora.verify(changed, app, grant.issued_at)


@settings(max_examples=30)
@given(APPS, grants(), SALTS)
def test_no_byte_can_be_another_one(app: App, grant: Grant, salt: int) -> None:
    packed = unarmour(agora.build(app, grant, salt)[3:])
    for at in range(len(packed)):
        for bit in range(8):
            changed = packed[:at] + bytes([packed[at] ^ 1 << bit]) + packed[at + 1 :]
            with pytest.raises(TokenError):
                agora.verify("007" + armour(changed), app, grant.issued_at)


@given(APPS, grants(), SALTS, st.data())
def test_no_altered_payload_verifies(app: App, grant: Grant, salt: int, data: st.DataObject) -> None:
    changed = data.draw(altered_bytes(payload(agora.build(app, grant, salt))))
    with pytest.raises(TokenError):
        agora.verify("007" + armour(zlib.compress(changed)), app, grant.issued_at)


@given(st.text() | st.text().map("006".__add__) | st.binary().map(armour).map("007".__add__), APPS)
def test_anything_at_all_is_refused(text: str, app: App) -> None:
    with pytest.raises(TokenError):
        agora.verify(text, app, 1)
    with pytest.raises(TokenError):
        legacy.verify(text, app, "room", 1, 1)


@given(APPS, grants(), SALTS)
def test_a_legacy_grant_verifies_to_its_end_and_says_what_was_asked(app: App, grant: Grant, salt: int) -> None:
    token = legacy.build(app, grant, salt)
    said = legacy.verify(token, app, grant.channel, grant.uid, grant.token_expires_at - 1)
    assert (said.app_id, said.salt, said.expires_at) == (app.app_id, salt, grant.token_expires_at)
    assert said.privileges == asked(grant)
    with pytest.raises(TokenExpired):
        legacy.verify(token, app, grant.channel, grant.uid, grant.token_expires_at)


@given(APPS, grants(SESSION_IDS), SALTS, SESSION_IDS | CHANNELS, UIDS)
def test_a_legacy_token_is_refused_for_another_channel_or_uid(
    app: App, grant: Grant, salt: int, channel: str, uid: int
) -> None:
    assume((channel, uid) != (grant.channel, grant.uid))
    with pytest.raises(TokenForged):
        legacy.verify(legacy.build(app, grant, salt), app, channel, uid, grant.issued_at)


@given(APPS, grants(), SALTS, st.data())
def test_no_altered_legacy_token_verifies(app: App, grant: Grant, salt: int, data: st.DataObject) -> None:
    changed = data.draw(altered_text(legacy.build(app, grant, salt)))
    with pytest.raises(TokenError):
        legacy.verify(changed, app, grant.channel, grant.uid, grant.issued_at)


@given(
    secret=SECRETS,
    user=USERS,
    role=st.sampled_from(AccessRole),
    now=NOWS,
    lifetime_s=st.integers(1, MAX_LIFETIME_S),
    synthetic=st.booleans(),
    data=st.data(),
)
def test_a_minted_token_verifies_throughout_its_time_and_says_what_was_asked(
    *,
    secret: SharedSecret,
    user: str,
    role: AccessRole,
    now: int,
    lifetime_s: int,
    synthetic: bool,
    data: st.DataObject,
) -> None:
    token = access.mint(user, role, secret, now, lifetime_s, synthetic=synthetic)
    later = now + data.draw(st.integers(0, lifetime_s - 1))
    expected = Identity(user, role, (now + lifetime_s) * 1000, synthetic)
    assert access.verify(token, AccessSettings(secret, leeway_s=0), later) == expected


@given(SECRETS, USERS, st.sampled_from(AccessRole), NOWS, st.data())
def test_no_altered_access_token_verifies(
    secret: SharedSecret, user: str, role: AccessRole, now: int, data: st.DataObject
) -> None:
    changed = data.draw(altered_text(access.mint(user, role, secret, now, 60)))
    with pytest.raises(AccessDenied) as denied:
        access.verify(changed, AccessSettings(secret), now)
    assert denied.value.reason in {access.Reason.FORGED, access.Reason.MALFORMED}


@given(SECRETS, SECRETS, USERS, NOWS)
def test_an_access_token_is_refused_under_every_other_secret(
    secret: SharedSecret, other: SharedSecret, user: str, now: int
) -> None:
    assume(secret != other)
    with pytest.raises(AccessDenied, match="forged"):
        access.verify(access.mint(user, AccessRole.VIEWER, secret, now, 60), AccessSettings(other), now)
