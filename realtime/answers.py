"""How a command is answered, and counted. Without an `id` only a refusal is told."""

from realtime.protocol import replies
from realtime.protocol.codes import Refusal
from realtime.protocol.commands import Command, type_of
from realtime.telemetry import metrics
from realtime.transport import Connection


def answer(connection: Connection, command: Command, reply: replies.Reply) -> None:
    """Tell that a command was carried out, if that was asked for."""
    metrics.COMMANDS.labels(type_of(command), "ok").inc()
    if command.id is not None:
        connection.send(reply)


def refuse(connection: Connection, command: Command, refusal: Refusal) -> None:
    """Tell why a command was not carried out."""
    refuse_unread(connection, type_of(command), refusal, command.id)


def refuse_unread(connection: Connection, name: str, refusal: Refusal, re: int | None) -> None:
    """Tell why something was not carried out that may be no command of ours."""
    metrics.COMMANDS.labels(name, "refused").inc()
    metrics.REFUSALS.labels(refusal.code).inc()
    connection.send(replies.error(refusal, re))
