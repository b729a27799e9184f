"""What Hypothesis draws for tokens: legal grants, and texts and bytes that are not quite what they were."""

import string
from uuid import UUID

from hypothesis import assume
from hypothesis import strategies as st

from tokens.grants import MAX_LIFETIME_S, U32_MAX, App, Grant, Role, RtmGrant

CHANNEL_CHARS = string.ascii_letters + string.digits + " !#$%&()+-:;<=.>?@[]^_{}|~,"
BASE64_CHARS = string.ascii_letters + string.digits + "+/=-_."
SALTS = st.integers(1, U32_MAX)
UIDS = st.integers(1, U32_MAX)
CHANNELS = st.text(CHANNEL_CHARS, min_size=1, max_size=63)
APPS = st.builds(App, *[st.text(string.hexdigits, min_size=32, max_size=32)] * 2)
USERS = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)


def _session_id(bits: int) -> str:
    version_and_variant = (0xF << 76) | (0x3 << 62)
    return str(UUID(int=bits & ~version_and_variant | (0x7 << 76) | (0x2 << 62)))


SESSION_IDS = st.integers(0, 2**128 - 1).map(_session_id)


@st.composite
def grants(draw: st.DrawFn, channels: st.SearchStrategy[str] = CHANNELS) -> Grant:
    issued_at = draw(st.integers(1, U32_MAX - 1))
    last = min(issued_at + MAX_LIFETIME_S, U32_MAX)
    privilege_expires_at = draw(st.integers(issued_at + 1, last))
    return Grant(
        channel=draw(channels),
        uid=draw(UIDS),
        role=draw(st.sampled_from(Role)),
        issued_at=issued_at,
        privilege_expires_at=privilege_expires_at,
        token_expires_at=draw(st.integers(privilege_expires_at, last)),
    )


@st.composite
def rtm_grants(draw: st.DrawFn) -> RtmGrant:
    issued_at = draw(st.integers(1, U32_MAX - 1))
    expires_at = draw(st.integers(issued_at + 1, min(issued_at + MAX_LIFETIME_S, U32_MAX)))
    return RtmGrant(draw(CHANNELS.filter(lambda user: not user.startswith(" "))), issued_at, expires_at)


@st.composite
def altered_text(draw: st.DrawFn, text: str) -> str:
    """A text with a few characters replaced, dropped or put in, at one place."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(start + 3, len(text))) | st.just(len(text)))
    put = draw(st.text(BASE64_CHARS, max_size=3) | st.text(max_size=3))
    changed = text[:start] + put + text[end:]
    assume(changed != text)
    return changed


@st.composite
def altered_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with a few replaced, dropped or put in, at one place."""
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(start + 3, len(data))) | st.just(len(data)))
    changed = data[:start] + draw(st.binary(max_size=3)) + data[end:]
    assume(changed != data)
    return changed
