"""Crowd: everybody asks for an Agora token at the same moment, as when a show begins. When does each have one?"""

import asyncio
import re
from time import monotonic_ns, time
from typing import Annotated, Final

import uvloop
from msgspec import Meta, Struct

from bench import wire
from bench.cast import CONNECTING, TOKEN_SECONDS, until
from bench.errors import BenchError
from bench.load import Route, Viewer, connect, source
from bench.machine import read
from bench.options import MOST_VIEWERS
from bench.pace import SECOND
from bench.run import Place, connect_seconds, plans, target
from bench.tables import counted
from bench.tally import Latencies, Percentiles
from bench.target import Target
from bench.wire import Admission, Unexpected
from tokens.access import AccessRole, SharedSecret, mint

# Until the last one has an answer; and between signs of life, while the others connect.
_PATIENCE: Final = 30.0
_BEAT: Final = 10 * SECOND
_ANSWER: Final = re.compile(rb'"type":"(agora\.token|error)","re":1[,}]')
# Longer than the longest match.
_CARRIED: Final = 40


class Options(Struct, frozen=True, kw_only=True):
    """The load: so many viewers of one session, each with a connection."""

    viewers: Annotated[int, Meta(ge=1, le=MOST_VIEWERS, description="connections that join the session")] = 1000


class Results(Struct, frozen=True, kw_only=True):
    """The figures. Latencies are from the one moment at which all asked, in milliseconds."""

    viewers: int
    refused: int
    unanswered: int
    token_ms: Percentiles | None
    server_cpu_per_token_us: float | None


class Asker(Viewer):
    """A viewer that asks once, and takes note of the answer."""

    answered: int | None = None
    given = False
    _carried = b""

    def ask(self, session: str) -> None:
        """Ask."""
        self._transport.write(wire.frame({"id": 1, "type": "agora.token", "session": session}))

    def _count(self, data: bytes | bytearray, size: int) -> None:
        super()._count(data, size)
        if self.answered is None:
            seen = self._carried + bytes(memoryview(data)[:size])
            self._carried = seen[-_CARRIED:]
            if found := _ANSWER.search(seen):
                self.answered, self.given = monotonic_ns(), found[1] != b"error"


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    with target(place, options.viewers) as server:
        session = server.live_session()
        plans(server, [session], [{"viewers": options.viewers}])
        try:
            return uvloop.run(_crowd(options, server, session))
        except (Unexpected, OSError) as exc:
            raise BenchError(f"not everyone came in: {str(exc) or 'it takes too long'}") from None


async def _crowd(options: Options, server: Target, session: str) -> Results:
    askers: list[Asker] = []
    try:
        async with asyncio.timeout(connect_seconds(options.viewers)):
            await _gather(options.viewers, server, session, askers)
        before = read(server.pid, server.cores)
        began = monotonic_ns()
        for asker in askers:
            asker.ask(session)
        await until(lambda: all(asker.answered is not None for asker in askers), _PATIENCE)
        after = read(server.pid, server.cores)
        spent = after.server.cpu - before.server.cpu if before.server and after.server else None
        return summarise(askers, began, spent)
    finally:
        for asker in askers:
            asker.leave()
        await until(lambda: all(asker.lost for asker in askers), _PATIENCE)


async def _gather(viewers: int, server: Target, session: str, askers: list[Asker]) -> None:
    beaten = monotonic_ns()
    for first in range(0, viewers, CONNECTING):
        some = range(first, min(first + CONNECTING, viewers))
        askers += await asyncio.gather(*(_come(server, session, index) for index in some))
        if monotonic_ns() - beaten > _BEAT:
            beaten = monotonic_ns()
            for asker in askers:
                asker.beat(playing=False)


async def _come(server: Target, session: str, index: int) -> Asker:
    secret = SharedSecret(server.secret)
    token = mint(f"crowd-{index}", AccessRole.VIEWER, secret, int(time()), TOKEN_SECONDS, synthetic=True)
    route = Route(source(index), server.websocket.host, server.websocket.port)
    return await connect(Asker(route, Admission(token, session)))


def summarise(askers: list[Asker], began: int, spent: float | None) -> Results:
    """Put together what became of all, who asked at `began`; the server has `spent` so many seconds on them."""
    latencies = Latencies()
    for asker in askers:
        if asker.given and asker.answered is not None:
            latencies.record(asker.answered - began)
    return Results(
        viewers=len(askers),
        refused=sum(asker.answered is not None and not asker.given for asker in askers),
        unanswered=sum(asker.answered is None for asker in askers),
        token_ms=latencies.percentiles(),
        server_cpu_per_token_us=spent / latencies.count * 1e6 if spent is not None and latencies.count else None,
    )


def broken(results: Results) -> list[str]:
    """Name the promises that were not kept."""
    return counted({"refused": results.refused, "without an answer": results.unanswered})
