from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.access import Role
from realtime.domain.chat_rules import (
    check_following,
    check_mode,
    check_pace,
    check_text,
    has_link,
    interval_ms,
    needs_following,
    wait_ms,
)
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.session_settings import ChatMode, SessionSettings

LINKS = [
    "http://example",
    "see https://example.com/a?b#c",
    "HTTPS://EXAMPLE.COM",
    "ftp://files",
    "myapp://open",
    "www.example",
    "WWW.example",
    "example.com",
    "Example.Com",
    "(example.com)",
    "go to example.com.",
    "example.com!",
    "example.com:8080",
    "a.b.c.example.shop",
    "open.ai",
    "пример.рф",
    "me@example.com or example.com",
    "t.me/abc",
    "what.is/this",
    "münchen.de",
    "例え.jp",
    "example。com",
    "example\uff0ecom",
    "\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.\uff43\uff4f\uff4d",
    "exam\u200bple\u200b.com",
    "xn--80ak6aa92e.com",
    "shop.xn--p1ai",
    "to...example.com",
    "one\nexample.com",
]
NO_LINKS = [
    "",
    "hello",
    "http:",
    "https:// example",
    "what.is that",
    "hello.world",
    "1.5/2",
    "v1.2.3",
    "3.14",
    "wait...",
    "either/or",
    "e.g. this",
    "me@example.com",
    "write to me@mail.example.co.uk, please",
    "Great.Live now",
    "ok.me too",
    "tell.us",
    "www. example",
    "ok.communism",
    "a.b",
    "example.com-ic",
    "@bob.com",
]


@pytest.mark.parametrize("text", LINKS)
def test_what_is_a_link(text: str) -> None:
    assert has_link(text)
    assert has_link(f"see {text} there")


@pytest.mark.parametrize("text", NO_LINKS)
def test_what_is_none(text: str) -> None:
    assert not has_link(text)


@given(text=st.text(alphabet="ab.-/:@w。é", max_size=300))
def test_any_text_is_one_or_none(text: str) -> None:
    # A scheme before anything makes a link of it.
    assert has_link(f"https://a{text}")
    assert has_link(text) in (True, False)


STAFF = [Role.HOST, Role.COHOST, Role.MODERATOR]


@pytest.mark.parametrize(("role", "mode"), list(product(Role, ChatMode)))
def test_who_may_chat(role: Role, mode: ChatMode) -> None:
    settings = SessionSettings(chat=mode)
    assert needs_following(settings, role) is (role is Role.VIEWER and mode is ChatMode.FOLLOWERS)
    if role in STAFF or mode is not ChatMode.NOBODY:
        check_mode(settings, role)
        return
    with pytest.raises(Refusal) as refused:
        check_mode(settings, role)
    assert refused.value.code is Code.FORBIDDEN


def test_followers_may_chat() -> None:
    check_following(follows=True)
    with pytest.raises(Refusal, match="only followers") as refused:
        check_following(follows=False)
    assert refused.value.code is Code.FORBIDDEN


@pytest.mark.parametrize("role", Role)
def test_links_are_for_those_who_moderate_where_they_are_not_for_all(role: Role) -> None:
    check_text(SessionSettings(), role, "example.com")
    check_text(SessionSettings(links=False), role, "example")
    if role in STAFF:
        check_text(SessionSettings(links=False), role, "example.com")
        return
    with pytest.raises(Refusal, match="no links") as refused:
        check_text(SessionSettings(links=False), role, "example.com")
    assert refused.value.code is Code.FORBIDDEN


@pytest.mark.parametrize("role", Role)
def test_the_largest_message_is_that_for_all(role: Role) -> None:
    check_text(SessionSettings(max_message=3), role, "éé😀")
    with pytest.raises(Refusal) as refused:
        check_text(SessionSettings(max_message=3), role, "four")
    assert refused.value.code is Code.TOO_LARGE


@pytest.mark.parametrize("role", Role)
def test_slow_mode_is_for_viewers(role: Role) -> None:
    assert interval_ms(SessionSettings(slow_mode=7), role) == (7000 if role is Role.VIEWER else 0)
    assert interval_ms(SessionSettings(), role) == 0


def test_who_is_too_fast_learns_how_long_to_wait() -> None:
    for passed in (-1, 0):
        check_pace(passed)
    with pytest.raises(Refusal) as refused:
        check_pace(1)
    assert (refused.value.code, refused.value.retry_after_ms) == (Code.RATE_LIMITED, 1)


@pytest.mark.parametrize(("now", "wait"), [(900, 5000), (1000, 5000), (1001, 4999), (5999, 1), (6000, 0), (9000, 0)])
def test_a_turn_lasts_an_interval(now: int, wait: int) -> None:
    assert wait_ms(1000, 5000, now) == wait
