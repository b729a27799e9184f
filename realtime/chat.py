"""Messages, edits and deletions: checked here, told to be appended, and answered when that is done.

What was written while its author was away belongs to the time when it was written: its age is worked out
here, and the database, whose clock alone counts, takes it off its own time.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

import msgspec

from persistence.log import Entry, Outcome
from persistence.turns import TAKEN
from realtime.answers import answer, refuse
from realtime.audit import Act
from realtime.domain import access, chat_rules
from realtime.domain.access import May, Role
from realtime.domain.clock import Absence, age_of
from realtime.feed import role_of
from realtime.mail import entry
from realtime.node import Node
from realtime.peer import Membership, Peer, membership_of
from realtime.protocol import commands, replies
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.events import ChangeBody, ChatBody, InboxKind, Kind, NoticeBody
from realtime.settings import DAY_MS
from realtime.standing import admitted
from realtime.texts import clean_message
from realtime.transport import Connection
from realtime.writer import Answer, Pending

# Nothing to reply: the answer comes from the writer.
Later: TypeAlias = Coroutine[Any, Any, None] | None


class _Wish(msgspec.Struct, frozen=True):
    """What a command wants to be appended, when it was heard, and when its author says that it was written."""

    connection: Connection
    peer: Peer
    command: commands.Chat
    kind: Kind
    body: ChatBody | ChangeBody
    heard: int
    written_at: int | None = None
    # Whose the message is that it changes.
    author: str = ""
    # Whether it has taken a turn of slow mode.
    turn: bool = False


Then: TypeAlias = Callable[[_Wish], Later]


def send(node: Node, connection: Connection, peer: Peer, command: commands.ChatSend) -> Later:
    """Append a message."""
    membership = _membership(peer, command)
    node.typists.end(command.session, peer.identity.user)
    body = ChatBody(text=clean_message(command.text, node.settings), reply_to=command.reply_to)
    wish = _wish(connection, peer, command, Kind.CHAT_POSTED, body, command.sent_at)
    return _by_the_rules(node, membership, wish, partial(_append, node))


def edit(node: Node, connection: Connection, peer: Peer, command: commands.ChatEdit) -> Later:
    """Append another text for a message."""
    membership = _membership(peer, command)
    body = ChangeBody(seq=command.seq, text=clean_message(command.text, node.settings))
    wish = _wish(connection, peer, command, Kind.CHAT_EDITED, body, command.edited_at)
    return _by_the_rules(node, membership, wish, partial(_change, node, membership))


def delete(node: Node, connection: Connection, peer: Peer, command: commands.ChatDelete) -> Later:
    """Append the deletion of a message."""
    membership = _membership(peer, command)
    body = ChangeBody(seq=command.seq)
    return _change(node, membership, _wish(connection, peer, command, Kind.CHAT_DELETED, body))


def _wish(
    connection: Connection,
    peer: Peer,
    command: commands.Chat,
    kind: Kind,
    body: ChatBody | ChangeBody,
    written_at: int | None = None,
) -> _Wish:
    return _Wish(connection, peer, command, kind, body, connection.heard_ms, written_at)


def _membership(peer: Peer, command: commands.Chat) -> Membership:
    membership = membership_of(peer, command.session)
    # Whether the session is still open is for the log to say: it knows repeated commands, too.
    access.check_role(May.CHAT, membership.role)
    return membership


def _by_the_rules(node: Node, membership: Membership, wish: _Wish, then: Then) -> Later:
    """Go on with what the session's settings allow: at once where they ask for nothing that takes time."""
    settings, role = membership.feed.view.settings, membership.role
    try:
        chat_rules.check_mode(settings, role)
        chat_rules.check_text(settings, role, wish.body.text)
    except Refusal as refusal:
        return _if_known(node, wish, then, refusal)
    follows = not chat_rules.needs_following(settings, role) or _follows(node, membership, wish)
    slow = wish.kind is Kind.CHAT_POSTED and chat_rules.interval_ms(settings, role) > 0
    if follows and not slow:
        return then(wish)
    return _by_the_rules_later(node, membership, wish, then)


def _follows(node: Node, membership: Membership, wish: _Wish) -> bool:
    return bool(node.following.known(membership.feed.view.host, wish.peer.identity.user))


async def _by_the_rules_later(node: Node, membership: Membership, wish: _Wish, then: Then) -> None:
    user = wish.peer.identity.user
    view = membership.feed.view
    try:
        if chat_rules.needs_following(view.settings, membership.role):
            chat_rules.check_following(await node.following.follows(view.host, user))
        if wish.kind is Kind.CHAT_POSTED:
            wish = await _take_turn(node, wish, chat_rules.interval_ms(view.settings, membership.role))
    except Refusal as refusal:
        await _if_known(node, wish, then, refusal)
        return
    # It may have changed meanwhile who may be here.
    membership_of(wish.peer, wish.command.session)
    if later := then(wish):
        await later


async def _take_turn(node: Node, wish: _Wish, interval: int) -> _Wish:
    if not interval:
        return wish
    command = wish.command
    wait = await node.slow_mode.take(command.session, wish.peer.identity.user, str(command.key), interval)
    chat_rules.check_pace(wait)
    return msgspec.structs.replace(wish, turn=wait == TAKEN)


async def _if_known(node: Node, wish: _Wish, then: Then, refusal: Refusal) -> None:
    """Refuse what was not stored before; what was gets the first answer again, whatever has been set since."""
    command = wish.command
    if not await node.log.knows(command.session, wish.peer.identity.user, command.key):
        raise refusal
    if later := then(wish):
        await later


def _change(node: Node, membership: Membership, wish: _Wish) -> Later:
    assert isinstance(wish.body, ChangeBody)
    target = membership.feed.find(wish.body.seq)
    if target is None:
        # Not in memory any more; or not yet, where its author has the ack and this node lacks what comes before it.
        return _change_later(node, membership, wish, wish.body.seq)
    # Of which kind an event is and whose never changes, so memory's word is as good as Postgres's.
    _check(membership.role, wish, target.kind, target.by)
    return _append(node, msgspec.structs.replace(wish, author=target.by))


async def _change_later(node: Node, membership: Membership, wish: _Wish, seq: int) -> None:
    target = await node.log.event(membership.feed.id, seq)
    author, who = target.sender if target else "", wish.peer.identity
    # Whoever may not be there any more, or has another role, does nothing by what was so before.
    if not admitted(membership.feed, who):
        raise access.not_admitted()
    _check(role_of(membership.feed.view, who), wish, target.kind if target else None, author)
    if later := _append(node, msgspec.structs.replace(wish, author=author)):
        await later


def _check(role: Role, wish: _Wish, kind: str | None, by: str) -> None:
    if kind != Kind.CHAT_POSTED:
        raise Refusal(Code.NOT_FOUND, "no such message")
    user = wish.peer.identity.user
    if wish.kind is Kind.CHAT_EDITED:
        access.check_edit(user, by)
    else:
        access.check_delete(role, user, by)


def _append(node: Node, wish: _Wish) -> Later:
    if not wish.peer.was_away(wish.written_at):
        _submit(node, wish, 0)
    elif wish.kind is Kind.CHAT_EDITED:
        _submit(node, wish, _age_of_edit(node, wish))
    else:
        return _append_later(node, wish)
    return None


def _age_of_edit(node: Node, wish: _Wish) -> int:
    # Its author's word is enough: an edit that is said to be older only gives way to others of the same author. And
    # of those, another device may have made one while this one was away.
    since = wish.peer.since
    anywhere = Absence(since - node.settings.positions_days * DAY_MS, since)
    return age_of(wish.written_at, wish.peer.offset, anywhere, wish.heard)


async def _append_later(node: Node, wish: _Wish) -> None:
    absence = await node.places.absence(wish.command.session, wish.peer)
    _submit(node, wish, age_of(wish.written_at, wish.peer.offset, absence, wish.heard))


def _submit(node: Node, wish: _Wish, age: int) -> None:
    command = wish.command
    body = msgspec.json.encode(wish.body).decode()
    event = Entry(command.session, wish.peer.identity.user, command.key, wish.kind, body, age)
    try:
        node.writer.submit(Pending(event, partial(_settle, node, wish), wish.heard / 1000))
    except Refusal:
        _give_back(node, wish)
        raise
    wish.connection.begin()


def _give_back(node: Node, wish: _Wish) -> None:
    if wish.turn:
        node.slow_mode.give_back(wish.command.session, wish.peer.identity.user, str(wish.command.key))


def _settle(node: Node, wish: _Wish, result: Answer) -> None:
    """Answer a command once it is known what became of it."""
    connection, command = wish.connection, wish.command
    if isinstance(result, Refusal):
        if result.code is not Code.UNAVAILABLE:
            # Else nobody knows whether it was stored; sent again, it finds its turn taken by itself.
            _give_back(node, wish)
        refuse(connection, command, result)
    else:
        if result.outcome is Outcome.REPEAT:
            _give_back(node, wish)
        answer(connection, command, replies.Ack(re=command.id, key=str(command.key), seq=result.seq, at=result.at))
        if wish.kind is Kind.CHAT_DELETED and wish.author != wish.peer.identity.user:
            _notify(node, wish)
            _note(node, wish, result.seq)
    connection.finish()


def _notify(node: Node, wish: _Wish) -> None:
    """Let an author know whose message was deleted by another; a repetition, by its key, tells nothing new."""
    assert isinstance(wish.body, ChangeBody)
    body = NoticeBody("your message was deleted", wish.command.session, wish.body.seq)
    node.mail.tell(entry(wish.author, wish.peer.identity.user, wish.command.key, InboxKind.NOTICE, body))


def _note(node: Node, wish: _Wish, seq: int) -> None:
    assert isinstance(wish.body, ChangeBody)
    session, about = wish.command.session, {"message": wish.body.seq, "seq": seq}
    by, address = wish.peer.identity.user, wish.connection.address
    node.audit.note(Act.DELETE, by, address, f"{session} {seq}", subject=wish.author, session=session, **about)
