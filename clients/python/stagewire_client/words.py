"""What a terminal says of what happens. Pure."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final

from stagewire_client.audience import Audience
from stagewire_client.messages import Event, Gap, Signal, Snapshot
from stagewire_client.policy import State, Status
from stagewire_client.timeline import Message

_HAPPENED: Final[Mapping[str, str]] = {
    "session.started": "The session is live.",
    "session.paused": "The session is paused.",
    "session.interrupted": "The session is interrupted: its host is away.",
    "session.resumed": "The session goes on.",
    "session.ended": "The session has ended.",
    "session.taken_over": "The session is run from another device.",
    "session.updated": "The settings were changed.",
}
_ROLES: Final[Mapping[str, str]] = {"cohost": "a co-host", "moderator": "a moderator", "viewer": "a viewer"}
# Below the name, where a message has several lines.
_INDENT: Final = "\n      "


def note(text: str) -> str:
    """Mark what nobody has said."""
    return f"-- {text}"


def said(at: int, by: str, text: str, zone: tzinfo | None) -> str:
    """Give a message, with its time of day."""
    return f"{datetime.fromtimestamp(at / 1000, zone):%H:%M} {by}: {text.replace(chr(10), _INDENT)}"


def shown(message: Message, zone: tzinfo | None) -> str | None:
    """Give a message of earlier, as it is now; nothing where it was deleted."""
    return None if message.deleted else said(message.at, message.by, message.text, zone)


def happened(one: Event | Gap, zone: tzinfo | None) -> str | None:
    """Give the line for something new; nothing where there is none to give."""
    if isinstance(one, Gap):
        return note(f"{one.last - one.first + 1} events are not shown." if one.first else "Something is not shown.")
    body = one.body
    if one.kind == "chat.posted":
        return None if body.get("deleted") else said(one.at, one.by, body.get("text", ""), zone)
    if one.kind == "chat.edited":
        return None if body.get("deleted") else note(f"{one.by} meant: {body.get('text', '')}")
    if one.kind == "chat.deleted":
        return note(f"{one.by} has deleted a message.")
    if one.kind == "session.role":
        return note(f"{body['user']} is {_ROLES.get(body['role'], body['role'])} now.")
    words = _HAPPENED.get(one.kind)
    return None if words is None else note(words)


def headline(snapshot: Snapshot, audience: Audience) -> list[str]:
    """Give what stands above the chat."""
    return [note(f"{snapshot.title}, by {snapshot.host}: {snapshot.state}"), *_there(audience)]


def _there(audience: Audience) -> list[str]:
    users = audience.numbers.get("users", 0)
    return [note(f"{users} {'is' if users == 1 else 'are'} here.")]


def who(audience: Audience) -> str:
    """Say who is there."""
    if audience.present is None:
        return _there(audience)[0]
    return note(", ".join(audience.present) or "Nobody is here by name.")


def came_and_went(signal: Signal, user: str) -> list[str]:
    """Say who came and who left, but for oneself."""
    came = [note(f"{name} came.") for name in signal.joined or () if name != user]
    return [*came, *(note(f"{name} left.") for name in signal.left or () if name != user)]


def status(now: Status, before: Status) -> str | None:
    """Say what has become of the connection, where that is worth a line."""
    if now.state is State.OFFLINE:
        lasts = " It lasts." if now.lasting else ""
        return note(f"{now.sentence}{lasts} Trying again in {now.retry_in:.1f} s.")
    if now.state is State.ONLINE and before.state is State.CONNECTING and before.sentence:
        return note("Connected again.")
    return note(now.sentence) if now.state is State.DEGRADED else None
