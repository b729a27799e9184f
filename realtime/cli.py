"""The `stagewire` command."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import time
from typing import Final

import msgspec

from persistence.embedded import EmbeddedError
from persistence.errors import StorageError
from realtime import dev, workers
from realtime.environment import TOKEN, SettingsError, load, require_stores
from realtime.migrating import begin_anew, bring_up
from realtime.run import run
from realtime.settings import Settings
from realtime.sockets import ListenError, listen, take_over
from realtime.specs.documents import DOCUMENTS
from realtime.telemetry import logs
from tokens.access import AccessDenied, AccessRole, AccessSettingsError, SharedSecret, mint

FAILED: Final = 1
_URL: Final = "ws://127.0.0.1:8000/v1/ws"


class ChatError(Exception):
    """A chat could not begin, or go on. The message says why."""


_EXPECTED: Final = (SettingsError, ListenError, StorageError, EmbeddedError, AccessSettingsError, ChatError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give the process's exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except _EXPECTED as exc:
        print(f"stagewire: {exc}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return 0


def _dev(options: argparse.Namespace) -> None:
    dev.dev(options.folder)


def _serve(options: argparse.Namespace) -> None:
    settings = load(os.environ)
    require_stores(settings)
    logs.configure(settings.log_format, settings.log_level)
    if options.workers > 1:
        workers.supervise(settings, options.workers)
    elif options.inherit:
        websocket, http, news = options.inherit
        run(settings, take_over(websocket, http), partial(_tell_ready, news))
    else:
        run(settings, listen(settings), lambda: None)


def _tell_ready(news: int) -> None:
    """Tell the parent of the workers that this one serves."""
    with suppress(BrokenPipeError):  # it has given up waiting
        os.write(news, b"\n")
    os.close(news)


def _migrate(_: argparse.Namespace) -> None:
    applied = bring_up(_with_database())
    print("\n".join(f"applied {name}" for name in applied) or "up to date")


def _new_epochs(_: argparse.Namespace) -> None:
    print(f"{begin_anew(_with_database())} logs begin anew")


def _with_database() -> Settings:
    settings = load(os.environ)
    if not settings.database_url:
        raise SettingsError("DATABASE_URL is not set")
    return settings


def _token(options: argparse.Namespace) -> None:
    print(_minted(options))


def _minted(options: argparse.Namespace) -> str:
    settings = load(os.environ)
    secret = settings.jwt_secret or dev.secret(options.folder)
    try:
        return mint(
            options.user,
            AccessRole(options.role),
            SharedSecret(secret),
            int(time()),
            options.hours * 3600,
            issuer=settings.jwt_issuer or None,
            audience=settings.jwt_audience or None,
            synthetic=options.synthetic,
        )
    except AccessDenied:
        raise SettingsError("a user is 1 to 64 of the characters A-Z a-z 0-9 _ -") from None


def _chat(options: argparse.Namespace) -> None:
    # The server's other commands can do without the client.
    from stagewire_client import terminal  # noqa: PLC0415 - see above

    async def minted(_stale: bool) -> str:
        return _minted(options)

    token = options.token or os.environ.get(TOKEN)
    if not token:
        # What is wrong with it is said now.
        _minted(options)
    why = terminal.run(
        terminal.Options(
            url=options.url,
            session=options.session,
            token=token or minted,
            folder=options.outbox or terminal.default_folder(),
        )
    )
    if why:
        raise ChatError(why)


def _schema(options: argparse.Namespace) -> None:
    print(msgspec.json.format(msgspec.json.encode(DOCUMENTS[options.document](load(os.environ)))).decode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stagewire", description="The realtime server for live sessions and chat.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("dev", help="serve on an embedded Postgres and Valkey, for development")
    _add_folder(command)
    command.set_defaults(run=_dev)

    command = commands.add_parser("serve", help="serve on DATABASE_URL and REDIS_URL")
    command.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes that share the ports")
    command.add_argument("--inherit", type=_descriptors, help=argparse.SUPPRESS)
    command.set_defaults(run=_serve)

    command = commands.add_parser("token", help="mint an access token with the dev server's secret")
    command.add_argument("user", help="who it is for: 1 to 64 of A-Z a-z 0-9 _ -")
    command.add_argument("--role", choices=[role.value for role in AccessRole], default=AccessRole.VIEWER.value)
    command.add_argument("--hours", type=_positive, default=12, help="how long it is good for (default: 12)")
    command.add_argument("--synthetic", action="store_true", help="mark a load tester: left out of audience counts")
    _add_folder(command)
    command.set_defaults(run=_token)

    command = commands.add_parser("schema", help="print what the server speaks, for programs")
    command.add_argument("document", choices=DOCUMENTS, help="AsyncAPI of the WebSocket, or OpenAPI of the side API")
    command.set_defaults(run=_schema)

    command = commands.add_parser("chat", help="talk in a session, from a terminal or a pipe")
    command.add_argument("session", metavar="SESSION", help="the session's id")
    command.add_argument("--url", default=_URL, help=f"of the server's WebSocket (default: {_URL})")
    command.add_argument(
        "--token",
        help=f"an access token, which others on this machine see here, and not in {TOKEN}; without one, it is minted "
        "with the dev server's secret",
    )
    command.add_argument("--user", default="guest", help="who that is for (default: guest)")
    command.add_argument("--role", choices=[role.value for role in AccessRole], default=AccessRole.VIEWER.value)
    command.add_argument("--outbox", type=Path, help="where to keep what could not be sent yet")
    command.set_defaults(run=_chat, hours=1, synthetic=False)
    _add_folder(command)

    command = commands.add_parser("migrate", help="bring the schema of DATABASE_URL up to date")
    command.set_defaults(run=_migrate)

    command = commands.add_parser("new-epochs", help="after a restore of DATABASE_URL: begin every open log anew")
    command.set_defaults(run=_new_epochs)
    return parser


def _add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("--folder", type=Path, default=dev.FOLDER, help="the dev server's data (default: .stagewire)")


def _descriptors(text: str) -> list[int]:
    """Read the file descriptors that a worker inherits: the two sockets, and where to tell that it serves."""
    return [int(part) for part in text.split(",", 2)]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
