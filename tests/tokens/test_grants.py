import string
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tokens.strategies import CHANNEL_CHARS, SESSION_IDS
from tokens.errors import GrantError
from tokens.grants import (
    MAX_LIFETIME_S,
    PRIVILEGES,
    U32_MAX,
    App,
    Grant,
    Privilege,
    Role,
    RtmGrant,
    channel_for,
    grant_for,
    is_fresh,
    renew_at,
    require_salt,
    send_at,
)

SESSION = "0192f0c8-1111-7abc-8def-0123456789ab"
NOW = 1_732_147_200
GRANT = Grant(SESSION, 7, Role.VIEWER, NOW, NOW + 3600, NOW + 3600)
RTM_GRANT = RtmGrant("alice", NOW, NOW + 3600)


@pytest.mark.parametrize("role", [Role.HOST, Role.COHOST])
def test_on_stage_one_may_publish_everything(role: Role) -> None:
    assert set(PRIVILEGES[role]) == {Privilege.JOIN, Privilege.AUDIO, Privilege.VIDEO, Privilege.DATA}


@pytest.mark.parametrize("role", [Role.MODERATOR, Role.VIEWER])
def test_off_stage_one_may_only_join(role: Role) -> None:
    assert PRIVILEGES[role] == (Privilege.JOIN,)


def test_every_role_has_its_privileges() -> None:
    assert set(PRIVILEGES) == set(Role)


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": "x" * 63},
        {"channel": CHANNEL_CHARS[:45]},
        {"channel": CHANNEL_CHARS[45:]},
        {"uid": 1},
        {"uid": U32_MAX},
        {"issued_at": 1, "privilege_expires_at": 2, "token_expires_at": 2},
        {"privilege_expires_at": NOW + 1},
        {"token_expires_at": NOW + MAX_LIFETIME_S},
        {
            "issued_at": U32_MAX - 1,
            "privilege_expires_at": U32_MAX,
            "token_expires_at": U32_MAX,
        },
    ],
)
def test_a_grant_at_the_edge_is_legal(changes: dict[str, Any]) -> None:
    assert msgspec.structs.replace(GRANT, **changes) != GRANT


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"channel": ""}, "a channel"),
        ({"channel": "x" * 64}, "a channel"),
        ({"channel": "room\n"}, "a channel"),
        ({"uid": 0}, "a uid"),
        ({"uid": -1}, "a uid"),
        ({"uid": U32_MAX + 1}, "a uid"),
        ({"issued_at": 0}, "after the issue"),
        ({"privilege_expires_at": NOW}, "after the issue"),
        ({"token_expires_at": NOW + 3599}, "no sooner"),
        ({"token_expires_at": NOW + MAX_LIFETIME_S + 1}, "a day"),
        (
            {"issued_at": U32_MAX, "privilege_expires_at": U32_MAX + 1, "token_expires_at": U32_MAX + 1},
            "32 bits",
        ),
    ],
)
def test_an_illegal_grant_cannot_exist(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(GrantError, match=rule):
        msgspec.structs.replace(GRANT, **changes)


def test_a_channel_has_only_the_documented_characters() -> None:
    def legal(character: str) -> bool:
        try:
            msgspec.structs.replace(GRANT, channel=f"a{character}b")
        except GrantError:
            return False
        return True

    assert {character for character in map(chr, range(0x250)) if legal(character)} == set(CHANNEL_CHARS)
    assert len(CHANNEL_CHARS) == 89


@pytest.mark.parametrize("user", ["", " alice", "é", "x" * 64])
def test_an_illegal_rtm_user_is_refused(user: str) -> None:
    with pytest.raises(GrantError, match="a user"):
        msgspec.structs.replace(RTM_GRANT, user=user)


def test_an_rtm_grant_obeys_the_same_times() -> None:
    with pytest.raises(GrantError, match="a day"):
        msgspec.structs.replace(RTM_GRANT, expires_at=NOW + MAX_LIFETIME_S + 1)


@pytest.mark.parametrize("key", ["", "a" * 31, "a" * 33, "g" * 32, "a" * 32 + "\n", "٣" * 32])
def test_an_app_is_two_hexadecimal_keys(key: str) -> None:
    with pytest.raises(GrantError, match="the app id"):
        App(key, "a" * 32)
    with pytest.raises(GrantError, match="the certificate"):
        App("a" * 32, key)


def test_an_app_does_not_show_its_certificate() -> None:
    app = App("a" * 32, "b" * 32)
    assert "a" * 32 in repr(app)
    assert "b" * 32 not in f"{app!r} {app}"


@pytest.mark.parametrize("salt", [0, -1, U32_MAX + 1])
def test_a_salt_out_of_range_is_refused(salt: int) -> None:
    with pytest.raises(GrantError, match="a salt"):
        require_salt(salt)


@given(SESSION_IDS, SESSION_IDS)
def test_one_session_has_one_channel_and_no_other_has_it(one: str, other: str) -> None:
    assert channel_for(one) == channel_for(one)
    assert (channel_for(one) == channel_for(other)) == (one == other)
    assert msgspec.structs.replace(GRANT, channel=channel_for(one)).channel == channel_for(one)


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        SESSION.upper(),
        "{" + SESSION + "}",
        SESSION.replace("-", ""),
        SESSION + "\n",
        " " + SESSION,
        SESSION.replace("7abc", "4abc"),
        SESSION.replace("8def", "cdef"),
        SESSION.replace("0", "\u0660"),
    ],
)
def test_another_spelling_of_a_session_has_no_channel(spelling: str) -> None:
    with pytest.raises(GrantError, match="a session id"):
        channel_for(spelling)


def test_a_grant_is_for_the_sessions_channel_and_the_time_asked() -> None:
    assert grant_for(SESSION, 7, Role.VIEWER, NOW, 3600) == GRANT


@given(
    SESSION_IDS,
    st.integers(1, U32_MAX - MAX_LIFETIME_S),
    st.integers(91, MAX_LIFETIME_S),
    st.sampled_from(Role),
)
def test_a_renewal_is_due_after_the_issue_and_a_minute_before_the_sdk_warns(
    session_id: str, now: int, lifetime_s: int, role: Role
) -> None:
    grant = grant_for(session_id, 1, role, now, lifetime_s)
    assert grant.token_expires_at >= grant.privilege_expires_at
    assert now < renew_at(grant) <= grant.privilege_expires_at - 30 - 60


@pytest.mark.parametrize(("lifetime_s", "rule"), [(90, "more than 90 s"), (-1, "more than"), (86_401, "a day")])
def test_a_lifetime_too_short_to_renew_or_longer_than_a_day_is_refused(lifetime_s: int, rule: str) -> None:
    with pytest.raises(GrantError, match=rule):
        grant_for(SESSION, 7, Role.HOST, NOW, lifetime_s)


def test_a_rule_is_told_without_the_value_that_broke_it() -> None:
    with pytest.raises(GrantError) as refused:
        channel_for(string.punctuation)
    assert string.punctuation not in str(refused.value)


def issued(lifetime_s: int, uid: int = 1) -> Grant:
    return grant_for(SESSION, uid, Role.VIEWER, NOW, lifetime_s)


@pytest.mark.parametrize(
    ("lifetime_s", "uid", "after"),
    [
        (3600, 1, 3508),
        (3600, 2**31, 3058),
        (3600, U32_MAX, 2609),
        (86_400, U32_MAX, 64_709),
        (360, U32_MAX, 181),
        (300, 1, 208),
        (300, U32_MAX, 151),
        (184, U32_MAX, 92),
        (95, U32_MAX, 3),
        (91, 1, 1),
    ],
)
def test_the_next_one_is_sent_by_the_uid(lifetime_s: int, uid: int, after: int) -> None:
    assert send_at(issued(lifetime_s, uid)) - NOW == after


@given(st.integers(300, MAX_LIFETIME_S), st.integers(1, U32_MAX))
def test_the_next_one_is_sent_in_time_and_not_while_the_first_could_be_shared(lifetime_s: int, uid: int) -> None:
    grant = issued(lifetime_s, uid)
    assert NOW < send_at(grant) < renew_at(grant)
    # Agora's SDK would warn 30 s before the end.
    assert grant.privilege_expires_at - send_at(grant) >= 30 + 60
    assert not is_fresh(grant, send_at(grant))


def test_a_crowd_that_came_at_once_is_renewed_a_few_at_a_time() -> None:
    crowd, step = 100_000, 42_949
    seconds = Counter(send_at(issued(3600, 1 + number * step)) for number in range(crowd))
    assert len(seconds) == 900
    assert max(seconds.values()) <= crowd / 900 + 1


@given(st.integers(91, MAX_LIFETIME_S), st.integers(-10, MAX_LIFETIME_S + 10))
def test_a_grant_is_shared_in_the_first_half_of_its_life_alone(lifetime_s: int, after: int) -> None:
    assert is_fresh(issued(lifetime_s), NOW + after) is (0 <= 2 * after < lifetime_s)
