"""Who may do what: one table of actions with the roles and the session states that allow each, and one of commands.

Together they are the access matrix: role, command, state and membership. docs/protocol.md has it, printed from here.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from realtime.domain.session import TRANSITIONS, Action, State
from realtime.protocol.codes import Code, Refusal
from tokens.access import AccessRole


class Role(StrEnum):
    """A user's role in one session."""

    HOST = "host"
    COHOST = "cohost"
    MODERATOR = "moderator"
    VIEWER = "viewer"


class May(StrEnum):
    """What one may be allowed to do in a session."""

    JOIN = "join"
    READ = "read"
    CHAT = "chat"
    MODERATE = "moderate"
    RUN = "run"
    SET = "set"
    NAME = "name"
    END = "end"
    VIDEO = "video"


class Rule(Struct, frozen=True):
    """Which roles may, and in which states of the session."""

    roles: frozenset[Role]
    states: frozenset[State]


# Who may write directly to anyone.
_OPENERS: Final = frozenset([AccessRole.SELLER, AccessRole.MODERATOR, AccessRole.ADMIN])
_ANYONE: Final = frozenset(Role)
_RUNNING: Final = frozenset([Role.HOST, Role.COHOST])
_STAFF: Final = _RUNNING | {Role.MODERATOR}
_ANY_TIME: Final = frozenset(State)
_UNTIL_THE_END: Final = _ANY_TIME - {State.ENDED}
_NOBODY_NAMED: Final[Mapping[str, str]] = {}

RULES: Final[dict[May, Rule]] = {
    May.JOIN: Rule(_ANYONE, _ANY_TIME),
    May.READ: Rule(_ANYONE, _ANY_TIME),
    May.CHAT: Rule(_ANYONE, _UNTIL_THE_END),
    # To delete what others have written, and to read what was deleted or changed.
    May.MODERATE: Rule(_STAFF, _ANY_TIME),
    # Which transition is legal in which state is for the transition table to say.
    May.RUN: Rule(_RUNNING, _ANY_TIME),
    May.END: Rule(frozenset([Role.HOST]), _ANY_TIME),
    # To change the settings, and who may come to a private session. Whether it has ended is for the log to say: it
    # knows repeated commands, too.
    May.SET: Rule(_RUNNING, _ANY_TIME),
    # To name co-hosts and moderators.
    May.NAME: Rule(frozenset([Role.HOST]), _ANY_TIME),
    May.VIDEO: Rule(_ANYONE, frozenset([State.LIVE, State.PAUSED, State.INTERRUPTED])),
}


def _from(action: Action) -> frozenset[State]:
    return frozenset(state for state, done in TRANSITIONS if done is action)


class Right(Struct, frozen=True):
    """What a command takes: what its user may do, in which states, and whether its connection must have joined.

    `beyond` says what else counts, where that is not for this table to tell.
    """

    may: May
    states: frozenset[State]
    joined: bool = False
    beyond: str = ""

    def verdict(self, role: Role, state: State, *, joined: bool) -> Code | None:
        """Give with which code the command is refused, if it is by this table."""
        if (self.joined and not joined) or role not in RULES[self.may].roles:
            return Code.FORBIDDEN
        return None if state in self.states else Code.CONFLICT


_OWN: Final = "of one's own message"
# For whom a private session is not there, nothing else counts: see `not_admitted`.
RIGHTS: Final[dict[str, Right]] = {
    "join": Right(May.JOIN, _ANY_TIME),
    "leave": Right(May.JOIN, _ANY_TIME),
    "history": Right(May.READ, _ANY_TIME, joined=True),
    "playback": Right(May.READ, _ANY_TIME, joined=True),
    "typing": Right(May.CHAT, _UNTIL_THE_END, joined=True),
    "react": Right(May.CHAT, _UNTIL_THE_END, joined=True),
    "chat.send": Right(May.CHAT, _UNTIL_THE_END, joined=True, beyond="as the settings say"),
    "chat.edit": Right(May.CHAT, _UNTIL_THE_END, joined=True, beyond=f"{_OWN}, as the settings say"),
    "chat.delete": Right(May.CHAT, _UNTIL_THE_END, joined=True, beyond=_OWN),
    "chat.delete of others": Right(May.MODERATE, _UNTIL_THE_END, joined=True),
    "session.update": Right(May.SET, _UNTIL_THE_END),
    "session.answer": Right(May.SET, _UNTIL_THE_END, beyond="to one who has asked"),
    "session.role": Right(May.NAME, _UNTIL_THE_END),
    "session.start": Right(May.RUN, _from(Action.START)),
    "session.pause": Right(May.RUN, _from(Action.PAUSE)),
    "session.resume": Right(May.RUN, _from(Action.RESUME)),
    "session.end": Right(May.END, _from(Action.END)),
    "session.takeover": Right(May.END, _UNTIL_THE_END, beyond="by the user who has created it"),
    "agora.token": Right(May.VIDEO, RULES[May.VIDEO].states, joined=True),
}


def role_in(host: str, user: str, standing: AccessRole, members: Mapping[str, str] = _NOBODY_NAMED) -> Role:
    """Give the user's role in a session of `host`, who has named `members`.

    An admin runs any session as its host does, and a moderator moderates any.
    """
    if user == host or standing is AccessRole.ADMIN:
        return Role.HOST
    named = members.get(user, Role.VIEWER)
    if named == Role.VIEWER:
        return Role.MODERATOR if standing is AccessRole.MODERATOR else Role.VIEWER
    return Role(named)


def sees_all(standing: AccessRole) -> bool:
    """Tell whether every session is there for a user, also the private ones."""
    return standing in (AccessRole.MODERATOR, AccessRole.ADMIN)


def admits(private: bool, role: Role, allowed: bool) -> bool:
    """Tell whether a session is there for a user: a private one for its staff, and whoever it was allowed to."""
    return allowed or not private or role in _STAFF


def not_admitted() -> Refusal:
    """Give what those learn whom a session is not there for."""
    return Refusal(Code.FORBIDDEN, "the session is private: you may ask to be let in")


def hosts(host: str, user: str, members: Mapping[str, str] = _NOBODY_NAMED) -> bool:
    """Tell whether the presence of a user keeps a session of `host` going, who has named `members`.

    An admin's does not.
    """
    return user == host or members.get(user) == Role.COHOST


def check_owner(host: str, user: str) -> None:
    """Let pass the user whose session it is.

    Raises:
        Refusal: `forbidden`.
    """
    if user != host:
        raise Refusal(Code.FORBIDDEN, "only its host may take a session over")


def check_role(may: May, role: Role) -> None:
    """Let pass the roles that the table allows.

    Raises:
        Refusal: `forbidden`.
    """
    if role not in RULES[may].roles:
        raise Refusal(Code.FORBIDDEN, f"a {role} may not do that here")


def check(may: May, role: Role, state: State) -> None:
    """Let pass what the table allows.

    Raises:
        Refusal: `forbidden` for the role, `conflict` with the state for the state.
    """
    check_role(may, role)
    if state not in RULES[may].states:
        raise Refusal(Code.CONFLICT, f"the session is {state}", state=state)


def check_edit(user: str, author: str) -> None:
    """Let pass who may edit a message of `author`.

    Raises:
        Refusal: `forbidden`.
    """
    if user != author:
        raise Refusal(Code.FORBIDDEN, "only its author may edit a message")


def check_delete(role: Role, user: str, author: str) -> None:
    """Let pass who may delete a message of `author`.

    Raises:
        Refusal: `forbidden`.
    """
    if user != author:
        check_role(May.MODERATE, role)


def check_create(standing: AccessRole) -> None:
    """Let pass who may create sessions.

    Raises:
        Refusal: `forbidden`.
    """
    if standing not in (AccessRole.SELLER, AccessRole.ADMIN):
        raise Refusal(Code.FORBIDDEN, "only sellers may create sessions")


def may_open(standing: AccessRole, user: str, to: str, hosts: Collection[str]) -> bool:
    """Tell whether a user may write directly to another unasked; if not, then still in answer to one who wrote first.

    `hosts` are those of the sessions that the user has joined.

    Raises:
        Refusal: `forbidden`, to oneself.
    """
    if user == to:
        raise Refusal(Code.FORBIDDEN, "nobody writes to themselves")
    return standing in _OPENERS or to in hosts


def check_answer(written_to: bool) -> None:
    """Let pass an answer to one who wrote first.

    Raises:
        Refusal: `forbidden`.
    """
    if not written_to:
        raise Refusal(Code.FORBIDDEN, "only to the host of a session that you have joined, or to who wrote to you")


def check_notice(standing: AccessRole) -> None:
    """Let pass who may send notices.

    Raises:
        Refusal: `forbidden`.
    """
    if standing not in (AccessRole.MODERATOR, AccessRole.ADMIN):
        raise Refusal(Code.FORBIDDEN, "only moderators may send notices")


def check_admin(standing: AccessRole) -> None:
    """Let pass admins.

    Raises:
        Refusal: `forbidden`.
    """
    if standing is not AccessRole.ADMIN:
        raise Refusal(Code.FORBIDDEN, "only admins may do that")


def check_own(standing: AccessRole, user: str, *owners: str) -> None:
    """Let pass whom something is about, and admins.

    Raises:
        Refusal: `forbidden`.
    """
    if standing is not AccessRole.ADMIN and user not in owners:
        raise Refusal(Code.FORBIDDEN, "that is for others")
