"""Tokens: how many Agora tokens does a core build, and how soon does one come over HTTP, while many ask?"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from secrets import token_hex
from typing import Annotated, Final

from msgspec import Meta, Struct

from bench.errors import BenchError
from bench.machine import read
from bench.options import MOST_RATE, Seconds
from bench.pace import SECOND, Schedule
from bench.run import Place, target
from bench.tally import Latencies, Percentiles
from bench.target import Target
from realtime.domain import access
from realtime.issuing import Issuer
from realtime.settings import Settings
from realtime.tasks import Tasks
from tokens import agora, grants, legacy
from tokens.grants import App, Role

# What a core is to build, in a second, at the least.
PROMISED: Final = 15_000
CONNECTIONS: Final = 32
_PORTION: Final = 1000
_LEAD_NS: Final = SECOND // 2
_PATIENCE: Final = 30.0
_SESSION: Final = "0192f0c8-1111-7abc-8def-0123456789ab"


class Options(Struct, frozen=True, kw_only=True):
    """The load: `users` in turn ask for a token of one session, `rate` of them in a second, for `seconds`."""

    users: Annotated[int, Meta(ge=1, le=100_000, description="users who ask in turn")] = 1000
    rate: Annotated[int, Meta(ge=1, le=MOST_RATE, description="requests per second, in all")] = 200
    seconds: Seconds = 10


class Results(Struct, frozen=True, kw_only=True):
    """The figures. Latencies are from when a request was due until its token came, in milliseconds.

    `first` are a user's first requests, which draw a number and build a token; `again` all others.
    """

    built_007_per_s: float
    built_006_per_s: float
    shared_per_s: float
    requests: int
    refused: int
    first_ms: Percentiles | None
    again_ms: Percentiles | None
    server_cpu_percent: float | None
    server_cpu_per_request_us: float | None


class _Tally:
    """What the requests came to."""

    def __init__(self) -> None:
        self.first = Latencies()
        self.again = Latencies()
        self.done = 0
        self.refused = 0

    def take(self, first: bool, given: bool, late_ns: int) -> None:
        """Take an answer. A refusal is soon made, and says nothing of how late tokens come."""
        self.done += 1
        self.refused += not given
        if given:
            (self.first if first else self.again).record(late_ns)


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    app = App(token_hex(16), token_hex(16))
    rates = (_building(app, agora.build), _building(app, legacy.build), _sharing(app))
    with target(place, CONNECTIONS) as server:
        session = server.live_session()
        asked = [server.request(f"/v1/sessions/{session}/agora-token", f"user{n}") for n in range(options.users)]
        return _measure(options, server, asked, rates)


def _building(app: App, build: Callable[[App, grants.Grant, int], str]) -> float:
    return _rate(lambda n: build(app, _grant(n), n))


def _grant(number: int) -> grants.Grant:
    return grants.grant_for(_SESSION, number, Role.VIEWER, 1_732_147_200, 3600)


def _sharing(app: App) -> float:
    settings = Settings(agora_app_id=app.app_id, agora_certificate=app.certificate)

    async def nobody(_of: Sequence[tuple[str, str]]) -> list[int]:
        raise BenchError("no number is asked for")

    issuer = Issuer(nobody, Tasks(), settings)
    return _rate(lambda n: issuer.told(_SESSION, issuer.issue(_SESSION, n % 100 + 1, access.Role.VIEWER)))


def _rate(work: Callable[[int], object]) -> float:
    """Give how often a second of one core's time is enough for a piece of work."""
    done, began = 0, time.process_time()
    while time.process_time() - began < 1:
        for number in range(done + 1, done + _PORTION + 1):
            work(number)
        done += _PORTION
    return done / (time.process_time() - began)


def _measure(options: Options, server: Target, asked: Sequence[bytes], rates: tuple[float, float, float]) -> Results:
    tally, plan = _Tally(), Schedule(time.monotonic_ns() + _LEAD_NS, options.rate, options.rate * options.seconds)
    before = read(server.pid, server.cores).server
    asyncio.run(_ask(options, server, asked, plan, tally))
    after = read(server.pid, server.cores).server
    spent = after.cpu - before.cpu if before and after else None
    return Results(
        built_007_per_s=rates[0],
        built_006_per_s=rates[1],
        shared_per_s=rates[2],
        requests=tally.done,
        refused=tally.refused,
        first_ms=tally.first.percentiles(),
        again_ms=tally.again.percentiles(),
        # Until the first request was due there was nothing to do.
        server_cpu_percent=100 * spent * SECOND / (after.at - plan.start) if after and spent is not None else None,
        server_cpu_per_request_us=spent / tally.done * 1e6 if spent is not None and tally.done else None,
    )


async def _ask(options: Options, server: Target, asked: Sequence[bytes], plan: Schedule, tally: _Tally) -> None:
    numbers = iter(range(plan.count))
    try:
        async with asyncio.timeout(options.seconds + _PATIENCE):
            await asyncio.gather(*(_keep_asking(server, asked, plan, numbers, tally) for _ in range(CONNECTIONS)))
    except (TimeoutError, OSError, asyncio.IncompleteReadError) as exc:
        raise BenchError(f"the side API does not answer: {exc!r}") from None


async def _keep_asking(
    server: Target, asked: Sequence[bytes], plan: Schedule, numbers: Iterator[int], tally: _Tally
) -> None:
    """Send what is due next over one connection, and await its answer, until all is sent."""
    reader, writer = await asyncio.open_connection(server.http.host, server.http.port)
    try:
        for number in numbers:
            due = plan.due(number)
            await asyncio.sleep(max(0, due - time.monotonic_ns()) / SECOND)
            writer.write(asked[number % len(asked)])
            status = await _answer(reader)
            tally.take(number < len(asked), status == b"200", time.monotonic_ns() - due)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return head.split(b" ", 2)[1]


def broken(results: Results) -> list[str]:
    """Name the promises that were not kept."""
    found = []
    if results.built_007_per_s < PROMISED:
        found.append(f"{results.built_007_per_s:,.0f} tokens built in a second, {PROMISED:,} promised")
    if results.refused:
        found.append(f"{results.refused:,} requests refused")
    return found
