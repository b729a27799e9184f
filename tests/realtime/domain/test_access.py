from itertools import product
from typing import get_args

import pytest

from realtime.domain.access import (
    RIGHTS,
    May,
    Role,
    admits,
    check,
    check_admin,
    check_answer,
    check_create,
    check_delete,
    check_edit,
    check_notice,
    check_own,
    check_owner,
    check_role,
    hosts,
    may_open,
    not_admitted,
    role_in,
    sees_all,
)
from realtime.domain.session import State
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.commands import AnyCommand, SessionCommand
from tokens.access import AccessRole

HOST, COHOST, MODERATOR, VIEWER = Role.HOST, Role.COHOST, Role.MODERATOR, Role.VIEWER
SCHEDULED, LIVE, PAUSED, INTERRUPTED, ENDED = State

EVERYONE = [HOST, COHOST, MODERATOR, VIEWER]
ALWAYS = [SCHEDULED, LIVE, PAUSED, INTERRUPTED, ENDED]
# Who may do it at all, and when.
ALLOWED = {
    May.JOIN: (EVERYONE, ALWAYS),
    May.READ: (EVERYONE, ALWAYS),
    May.CHAT: (EVERYONE, [SCHEDULED, LIVE, PAUSED, INTERRUPTED]),
    May.MODERATE: ([HOST, COHOST, MODERATOR], ALWAYS),
    May.RUN: ([HOST, COHOST], ALWAYS),
    May.SET: ([HOST, COHOST], ALWAYS),
    May.END: ([HOST], ALWAYS),
    May.NAME: ([HOST], ALWAYS),
    May.VIDEO: (EVERYONE, [LIVE, PAUSED, INTERRUPTED]),
}


def test_hosts_keep_a_session_going_and_the_owner_takes_it_over() -> None:
    assert hosts("alice", "alice")
    assert hosts("alice", "carol", {"carol": "cohost"})
    assert not hosts("alice", "mona", {"mona": "moderator"})
    check_owner("alice", "alice")
    assert not hosts("alice", "bob")
    with pytest.raises(Refusal) as refused:
        check_owner("alice", "bob")
    assert refused.value.code is Code.FORBIDDEN


def test_every_action_is_in_the_table() -> None:
    assert set(ALLOWED) == set(May)


@pytest.mark.parametrize(("may", "role", "state"), list(product(May, Role, State)))
def test_every_role_may_in_every_state_what_the_table_says(may: May, role: Role, state: State) -> None:
    roles, states = ALLOWED[may]
    if role in roles and state in states:
        check(may, role, state)
        return
    with pytest.raises(Refusal) as refused:
        check(may, role, state)
    expected = (Code.FORBIDDEN, None) if role not in roles else (Code.CONFLICT, state)
    assert (refused.value.code, refused.value.state) == expected


@pytest.mark.parametrize(("may", "role"), list(product(May, Role)))
def test_roles_can_be_checked_apart_from_states(may: May, role: Role) -> None:
    if role in ALLOWED[may][0]:
        check_role(may, role)
        return
    with pytest.raises(Refusal) as refused:
        check_role(may, role)
    assert refused.value.code is Code.FORBIDDEN


@pytest.mark.parametrize(
    ("user", "standing", "role"),
    [
        ("alice", AccessRole.VIEWER, HOST),
        ("alice", AccessRole.SELLER, HOST),
        ("alice", AccessRole.MODERATOR, HOST),
        ("alice", AccessRole.ADMIN, HOST),
        ("bob", AccessRole.VIEWER, VIEWER),
        ("bob", AccessRole.SELLER, VIEWER),
        ("bob", AccessRole.MODERATOR, MODERATOR),
        ("bob", AccessRole.ADMIN, HOST),
        ("Alice", AccessRole.SELLER, VIEWER),
    ],
)
def test_roles_in_a_session_of_alice(user: str, standing: AccessRole, role: Role) -> None:
    assert role_in("alice", user, standing) is role


@pytest.mark.parametrize("standing", AccessRole)
def test_sellers_and_admins_create_sessions(standing: AccessRole) -> None:
    if standing in (AccessRole.SELLER, AccessRole.ADMIN):
        check_create(standing)
        return
    with pytest.raises(Refusal) as refused:
        check_create(standing)
    assert refused.value.code is Code.FORBIDDEN


@pytest.mark.parametrize("role", Role)
def test_a_message_is_changed_by_its_author_and_deleted_by_moderators_as_well(role: Role) -> None:
    check_edit("bob", "bob")
    check_delete(role, "bob", "bob")
    with pytest.raises(Refusal) as refused:
        check_edit("eve", "bob")
    assert refused.value.code is Code.FORBIDDEN
    if role is not VIEWER:
        check_delete(role, "eve", "bob")
        return
    with pytest.raises(Refusal) as refused:
        check_delete(role, "eve", "bob")
    assert refused.value.code is Code.FORBIDDEN


@pytest.mark.parametrize(("standing", "to"), list(product(AccessRole, ["host", "other"])))
def test_who_writes_directly_to_whom_unasked(standing: AccessRole, to: str) -> None:
    unasked = standing is not AccessRole.VIEWER or to == "host"
    assert may_open(standing, "bob", to, {"host", "another host"}) is unasked
    assert may_open(standing, "bob", to, ()) is (standing is not AccessRole.VIEWER)


@pytest.mark.parametrize("standing", AccessRole)
def test_nobody_writes_to_themselves(standing: AccessRole) -> None:
    with pytest.raises(Refusal) as refused:
        may_open(standing, "bob", "bob", {"bob"})
    assert refused.value.code is Code.FORBIDDEN


def test_who_was_written_to_may_answer() -> None:
    check_answer(written_to=True)
    with pytest.raises(Refusal) as refused:
        check_answer(written_to=False)
    assert refused.value.code is Code.FORBIDDEN


@pytest.mark.parametrize("standing", AccessRole)
def test_moderators_and_admins_send_notices(standing: AccessRole) -> None:
    if standing in (AccessRole.MODERATOR, AccessRole.ADMIN):
        check_notice(standing)
        return
    with pytest.raises(Refusal) as refused:
        check_notice(standing)
    assert refused.value.code is Code.FORBIDDEN


NAMED = {"carl": "cohost", "mona": "moderator", "alice": "moderator"}


@pytest.mark.parametrize(
    ("user", "standing", "role"),
    [
        ("alice", AccessRole.VIEWER, HOST),
        ("carl", AccessRole.VIEWER, COHOST),
        ("carl", AccessRole.SELLER, COHOST),
        ("carl", AccessRole.MODERATOR, COHOST),
        ("carl", AccessRole.ADMIN, HOST),
        ("mona", AccessRole.VIEWER, MODERATOR),
        ("mona", AccessRole.MODERATOR, MODERATOR),
        ("bob", AccessRole.VIEWER, VIEWER),
        ("bob", AccessRole.MODERATOR, MODERATOR),
    ],
)
def test_roles_of_those_whom_the_host_has_named(user: str, standing: AccessRole, role: Role) -> None:
    assert role_in("alice", user, standing, NAMED) is role


@pytest.mark.parametrize(("private", "role", "allowed"), list(product([False, True], Role, [False, True])))
def test_whom_a_session_is_there_for(private: bool, role: Role, allowed: bool) -> None:
    assert admits(private, role, allowed) is (not private or allowed or role is not VIEWER)


def test_others_learn_that_they_may_ask() -> None:
    refusal = not_admitted()
    assert (refusal.code, "you may ask" in refusal.message) == (Code.FORBIDDEN, True)


@pytest.mark.parametrize("standing", AccessRole)
def test_moderators_and_admins_see_every_session(standing: AccessRole) -> None:
    assert sees_all(standing) is (standing in (AccessRole.MODERATOR, AccessRole.ADMIN))


@pytest.mark.parametrize("standing", AccessRole)
def test_what_is_about_somebody_is_for_them_and_for_admins(standing: AccessRole) -> None:
    check_own(standing, "alice", "bob", "alice")
    if standing is AccessRole.ADMIN:
        check_own(standing, "eve", "alice")
        return
    with pytest.raises(Refusal) as refused:
        check_own(standing, "eve", "alice", "bob")
    assert refused.value.code is Code.FORBIDDEN


def test_every_command_about_a_session_has_its_rights() -> None:
    known = {name.partition(" ")[0] for name in RIGHTS}
    about = {str(c.__struct_config__.tag) for c in get_args(AnyCommand) if issubclass(c, SessionCommand)} | {
        "session.update"
    }
    # Whoever may join has no need to ask.
    assert about - {"session.ask"} <= known


@pytest.mark.parametrize(("command", "role", "state"), list(product(RIGHTS, Role, State)))
def test_rights_agree_with_the_rules(command: str, role: Role, state: State) -> None:
    """No command is allowed by its rights that its rule would refuse."""
    right = RIGHTS[command]
    if right.verdict(role, state, joined=True) is None:
        check(right.may, role, state)
    assert right.joined == (right.verdict(Role.HOST, State.LIVE, joined=False) is Code.FORBIDDEN)


@pytest.mark.parametrize(
    ("command", "role", "state", "joined", "verdict"),
    [
        ("chat.send", VIEWER, LIVE, True, None),
        ("chat.send", VIEWER, LIVE, False, Code.FORBIDDEN),
        ("chat.send", HOST, ENDED, True, Code.CONFLICT),
        ("chat.send", HOST, ENDED, False, Code.FORBIDDEN),
        ("chat.delete of others", VIEWER, LIVE, True, Code.FORBIDDEN),
        ("chat.delete of others", MODERATOR, LIVE, True, None),
        ("session.start", COHOST, SCHEDULED, False, None),
        ("session.start", COHOST, LIVE, False, Code.CONFLICT),
        ("session.end", COHOST, ENDED, False, Code.FORBIDDEN),
        ("session.resume", HOST, INTERRUPTED, False, None),
        ("agora.token", VIEWER, SCHEDULED, True, Code.CONFLICT),
    ],
)
def test_verdicts(command: str, role: Role, state: State, joined: bool, verdict: Code | None) -> None:
    assert RIGHTS[command].verdict(role, state, joined=joined) is verdict


@pytest.mark.parametrize("standing", AccessRole)
def test_admins_alone_may_do_what_is_for_admins(standing: AccessRole) -> None:
    if standing is AccessRole.ADMIN:
        check_admin(standing)
    else:
        with pytest.raises(Refusal) as refused:
            check_admin(standing)
        assert refused.value.code is Code.FORBIDDEN
