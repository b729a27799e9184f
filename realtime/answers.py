"""How a command is answered, and counted. Without an `id` only a refusal is told."""

from typing import Final, TypeAlias

import structlog

from persistence.errors import StorageError
from persistence.log import Record
from persistence.seldom import Seldom
from realtime.protocol import replies
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.commands import Command, SessionRole, SessionTakeover, SessionUpdate, Transition, type_of
from realtime.telemetry import metrics
from realtime.transport import Connection
from realtime.writer import unavailable

# Commands that are events of the log, once for each key.
Keyed: TypeAlias = Transition | SessionTakeover | SessionUpdate | SessionRole

_INTERNAL: Final = Refusal(Code.INTERNAL, "that went wrong")
log = structlog.get_logger("answers")
seldom_log = Seldom(log)


def refusal_for(exc: Exception, name: str) -> Refusal:
    """Give what the sender of the command or request `name` learns of an exception; the log learns the rest."""
    if isinstance(exc, Refusal):
        return exc
    if isinstance(exc, StorageError):
        seldom_log.warning("storage failed", name=name, reason=str(exc))
        return unavailable(exc)
    log.error("command failed", name=name, exc_info=exc)
    return _INTERNAL


def answer(connection: Connection, command: Command, reply: replies.Reply) -> None:
    """Tell that a command was carried out, if that was asked for."""
    metrics.COMMANDS.count(type_of(command), "ok")
    if command.id is not None:
        connection.send(reply)


def ack(command: Keyed, event: Record | None) -> replies.Ack:
    """Answer what is an event of the log now, or has changed nothing."""
    key = str(command.key) if command.key else None
    if event is None:
        return replies.Ack(re=command.id, key=key)
    return replies.Ack(re=command.id, key=key, seq=event.seq, at=event.at)


def refuse(connection: Connection, command: Command, refusal: Refusal) -> None:
    """Tell why a command was not carried out."""
    refuse_unread(connection, type_of(command), refusal, command.id)


def refuse_unread(connection: Connection, name: str, refusal: Refusal, re: int | None) -> None:
    """Tell why something was not carried out that may be no command of ours."""
    metrics.COMMANDS.count(name, "refused")
    metrics.REFUSALS.count(refusal.code)
    connection.send(replies.error(refusal, re))
