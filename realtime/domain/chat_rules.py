"""Who may write what into a session's chat, by its settings. Pure.

The rules are for viewers: whoever runs or moderates a session may always write. Only the largest message is for all.
"""

import re
import unicodedata
from typing import Final

from msgspec import UNSET

from realtime.domain.access import Role
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.session_settings import ChatMode, SessionSettings

# Endings by which a bare domain is one without doubt: everyone's own, and those that links in chats go to. Others, such
# as .it, .me or .live, are words, and people forget the space after a full stop: "what.is", "great.live" are no links.
# With `www.`, `//` or a path behind them, they are all the same.
_ENDINGS: Final = (
    "com net org info biz io ai app dev shop xyz tv gg ly gl co uk de fr es nl eu ca au ru рф cn jp br pl ch se cz"
    " tk ml cf mobi edu gov int"
)
# A dot that looks like one is one (UTS 46); what stands between letters and can't be seen does not part them.
_DOT: Final = "[.\u3002]"
_LABEL: Final = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
# All but the last label of a domain, which nothing else may begin in the middle of.
_DOMAIN: Final = rf"(?<![\w@])(?>(?:{_LABEL}{_DOT}(?=\w)){{1,8}})"
# An address of mail is none, and its domain must not look like one.
_MAIL: Final = re.compile(rf"[\w.+-]++@{_LABEL}(?:{_DOT}{_LABEL})++")
_UNSEEN: Final = re.compile("[\u00ad\u034f\u200b-\u200d\u2060-\u2064\ufe00-\ufe0f]")
_LINK: Final = re.compile(
    rf"""
      [a-z][a-z0-9+.-]{{0,20}}://\S                                   # a scheme
    | \bwww{_DOT}{_LABEL}
    | {_DOMAIN} [^\W\d_]{{2,18}} (?: :\d{{1,5}} )? [/?#] [^\s/]    # a domain with a path
    | {_DOMAIN} (?:{_ENDINGS.replace(" ", "|")}|xn--[a-z0-9-]{{2,59}}) (?![\w-]|{_DOT}\w)
    """,
    re.IGNORECASE | re.VERBOSE,
)


def has_link(text: str) -> bool:
    """Tell whether a text has what people can follow: a URL, `www.`, or a domain."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text))
    return _LINK.search(_MAIL.sub("@", text) if "@" in text else text) is not None


def needs_following(settings: SessionSettings, role: Role) -> bool:
    """Tell whether one may only write as a follower of the host."""
    return role is Role.VIEWER and settings.chat is ChatMode.FOLLOWERS


def check_mode(settings: SessionSettings, role: Role) -> None:
    """Let pass who may write at all, or may as a follower.

    Raises:
        Refusal: `forbidden`.
    """
    if role is Role.VIEWER and settings.chat is ChatMode.NOBODY:
        raise Refusal(Code.FORBIDDEN, "viewers may not chat at the moment")


def check_following(follows: bool) -> None:
    """Let pass followers.

    Raises:
        Refusal: `forbidden`.
    """
    if not follows:
        raise Refusal(Code.FORBIDDEN, "only followers of the host may chat at the moment")


def check_text(settings: SessionSettings, role: Role, text: str) -> None:
    """Let pass a text that the session allows.

    Raises:
        Refusal: `too_large`, or `forbidden` for a link.
    """
    if settings.max_message is not UNSET and len(text) > settings.max_message:
        raise Refusal(Code.TOO_LARGE, f"at most {settings.max_message} characters here")
    if role is Role.VIEWER and not settings.links and has_link(text):
        raise Refusal(Code.FORBIDDEN, "no links here")


def interval_ms(settings: SessionSettings, role: Role) -> int:
    """Give how long one must wait from message to message, in milliseconds."""
    return settings.slow_mode * 1000 if role is Role.VIEWER else 0


def wait_ms(last: int, interval: int, now: int) -> int:
    """Give how long one must still wait after a message of the moment `last`; all in milliseconds."""
    return min(max(last + interval - now, 0), interval)


def check_pace(wait_ms: int) -> None:
    """Let pass who has no time left to wait.

    Raises:
        Refusal: `rate_limited`, with that time.
    """
    if wait_ms > 0:
        raise Refusal(Code.RATE_LIMITED, "not so fast: slow mode is on", retry_after_ms=wait_ms)
