"""What all scenarios share: the options of a run, the server it goes to, and how its load is divided."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from msgspec import Struct

from bench.errors import BenchError
from bench.machine import divide, raise_file_limit, require_files
from bench.orders import Plan
from bench.progress import step
from bench.server import under_test
from bench.target import Measurable, Target, address

# Handshakes per second that a slow machine still manages, and what starting takes besides.
SLOWEST_HANDSHAKES = 200
STARTING_SECONDS = 30.0


class Place(Struct, frozen=True, kw_only=True):
    """Which server: ours to start, or one that runs at `url`, with its side API at `http`."""

    url: str | None = None
    http: str | None = None
    secret: str | None = None
    pid: int | None = None


@contextmanager
def target(place: Place, connections: int) -> Iterator[Target]:
    """Give the server to measure, which can hold so many connections as far as we can tell.

    Raises:
        BenchError: there is none.
    """
    limit = raise_file_limit()
    if place == Place():
        require_files(limit, connections, "the server")
        with ExitStack() as stack:
            with step("starting Stagewire"):
                started = stack.enter_context(under_test(divide(os.sched_getaffinity(0))))
            yield started
    elif place.url is None or place.http is None or place.secret is None:
        raise BenchError("--url, --http and --secret go together, and --pid with them")
    else:
        yield Target(address(place.url, ("ws",)), address(place.http, ("http",)), place.secret, place.pid, None)


def plans(target: Measurable, sessions: Sequence[str], parts: list[dict[str, Any]]) -> list[Plan]:
    """Number the users of all processes, deal them to the sessions, and make sure that each process can hold its own.

    Raises:
        BenchError: one cannot.
    """
    limit, first, made = raise_file_limit(), 0, []
    for part in parts:
        host, port = target.websocket.host, target.websocket.port
        plan = Plan(host=host, port=port, secret=target.secret, sessions=list(sessions), first=first, **part)
        require_files(limit, plan.connections, "a load process")
        first += plan.connections
        made.append(plan)
    return made


def connect_seconds(connections: int) -> float:
    """Give the time within which so many connections must be there."""
    return STARTING_SECONDS + connections / SLOWEST_HANDSHAKES
