"""Check a server against the transcripts of the wire, row by row; or a client; or our transport, by Autobahn's suite.

    python -m tests.conformance ws://127.0.0.1:8000/v1/ws --secret SECRET
    python -m tests.conformance serve --only chat --as bob --port 8000
    python -m tests.conformance autobahn

The exit code is 1 if anything deviates.
"""

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from time import time_ns
from typing import Final

from realtime.protocol.codec import Format
from tests.conformance import autobahn
from tests.conformance.checking import Checked, check, conforms, freezing, minting, table
from tests.conformance.player import Stage
from tests.conformance.scripted import Scripted, serves
from tests.conformance.transcript import CLIENTS, FOLDER, Need, all_transcripts

_FORMATS = {"json": [Format.JSON], "msgpack": [Format.MSGPACK], "both": list(Format)}
# These a server has where it is said how.
GIVEN: Final = frozenset([Need.DRAIN, Need.FREEZING])


def main(arguments: Sequence[str] | None = None) -> int:
    """Give the exit code."""
    options = _parser().parse_args(arguments)
    if options.url == "autobahn":
        return autobahn.main()
    return asyncio.run(_serve(options)) if options.url == "serve" else _check(options)


def _check(options: argparse.Namespace) -> int:
    wanted = [one for one in all_transcripts(options.transcripts) if not options.only or one.name in options.only]
    has = {
        *map(Need, options.has),
        *([Need.DRAIN] if options.drain else []),
        *([Need.FREEZING] if options.http else []),
    }
    mint = minting(options.secret, options.issuer, options.audience)
    stages = [
        Stage(
            url=options.url,
            mint=mint,
            fmt=fmt,
            within=options.within,
            has=frozenset(has),
            drain=_running(options.drain) if options.drain else None,
            freeze=freezing(options.http, mint) if options.http else None,
        )
        for fmt in _FORMATS[options.format]
    ]
    checked = asyncio.run(check(wanted, stages))
    print(table(checked))
    return 0 if conforms(checked) else 1


async def _serve(options: argparse.Namespace) -> int:
    """Play the server of one transcript to a client, which is to do what that transcript's client does."""
    found = [*all_transcripts(options.transcripts), *all_transcripts(CLIENTS)]
    known = {one.name: one for one in found if serves(one)}
    if len(options.only) != 1 or options.only[0] not in known:
        print(f"serve one transcript: --only {', '.join(known)}", file=sys.stderr)
        return 1
    transcript = known[options.only[0]]
    scripted = Scripted(transcript, time_ns() // 1_000_000, only=options.actor)
    async with scripted.serving(options.port) as port:
        print(f"serving {transcript.name} on ws://127.0.0.1:{port}/v1/ws")
        checked = [Checked(transcript, Format.JSON, [verdict async for verdict in scripted.play()])]
    print(table(checked))
    return 0 if conforms(checked) else 1


def _running(command: str) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        process = await asyncio.create_subprocess_exec(*shlex.split(command))
        await process.wait()

    return run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("url", help="the server, as ws://HOST:PORT/v1/ws; `serve`, to check a client; or `autobahn`")
    add("--secret", default=os.environ.get("STAGEWIRE_JWT_SECRET", ""), help="the server's secret of HS256 tokens")
    add("--issuer", help="the `iss` that tokens must carry, if any")
    add("--audience", help="the `aud` that tokens must carry, if any")
    add("--format", choices=_FORMATS, default="both", help="of the messages (default: both)")
    add("--only", action="append", default=[], metavar="NAME", help="a transcript to play, in place of all")
    add("--has", action="append", default=[], choices=[need.value for need in Need if need not in GIVEN],
        help="play the rows that need this, too: Agora's credentials in the server, half a minute of patience",
    )  # fmt: skip
    add("--drain", metavar="COMMAND", help="how the server is told to stop, such as 'kill -TERM 123'; it comes last")
    add("--http", metavar="URL", help="the side API, such as http://127.0.0.1:8001, over which users are frozen")
    add("--within", type=float, default=5.0, metavar="SECONDS", help="how long to wait for each message (default: 5)")
    add("--as", dest="actor", metavar="ACTOR", help="serve: whose connection the client's is (default: everybody's)")
    add("--port", type=int, default=0, help="serve: where to listen on 127.0.0.1 (default: a free port)")
    add("--transcripts", type=Path, default=FOLDER, metavar="FOLDER", help="other transcripts than ours")
    return parser


if __name__ == "__main__":
    sys.exit(main())
