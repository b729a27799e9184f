"""One run: everybody comes, storms pass, everything heals, and then it is judged."""

import asyncio
from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import monotonic, process_time
from typing import Final

from realtime.protocol.codec import Format
from tests.faults.checker import Entry
from tests.faults.clients import Place
from tests.faults.epilogue import read_logs, settle
from tests.faults.figures import Passed
from tests.faults.happening import rage
from tests.faults.judging import Seen, judge
from tests.faults.keeper import Do
from tests.faults.ledger import Book, Ledger
from tests.faults.plan import Kind, storms
from tests.faults.readers import Reader
from tests.faults.report import Options, Report
from tests.faults.stage import Stage
from tests.faults.visitors import Visitor
from tests.faults.writers import Writer

Tell = Callable[[str], None]

WARM_UP: Final = 1.5
TELL_EVERY: Final = 5.0
# What is still short of acks may take so many times as long as it was to.
LONGER: Final = 3
_LOOK: Final = 0.05


async def run(options: Options, folder: Path, tell: Tell) -> Report:
    """Run once, on servers of its own in `folder`.

    Raises:
        StageError: the stage itself failed; nothing is known then.
    """
    stage = Stage(folder, options.nodes, Random(f"hints {options.seed}"), options.broken)
    try:
        await stage.open()
        return await _Performance(stage, options, tell).perform(await stage.sessions(options.sessions))
    finally:
        await stage.close()


class _Performance:
    def __init__(self, stage: Stage, options: Options, tell: Tell) -> None:
        self._stage = stage
        self._options = options
        self._tell = tell
        self._book = Book()
        self._places: list[Place] = []
        self._writers: list[Writer] = []
        self._readers: list[Reader] = []
        self._visitors: list[Visitor] = []
        self._passed: list[Passed] = []
        self._raging = "quiet"
        self._lag = 0.0

    async def perform(self, sessions: list[str]) -> Report:
        self._cast(sessions)
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(self._watch_lag()), group.create_task(self._tell_progress())]
            cast: list[Writer | Reader | Visitor] = [*self._writers, *self._readers, *self._visitors]
            clients = [group.create_task(client.run()) for client in cast]
            await asyncio.sleep(WARM_UP)
            began = monotonic()
            await self._let_storms_pass(began)
            seconds = monotonic() - began
            self._raging = "all is over, and settles"
            await settle(self._stage, self._book, [*self._writers, *self._visitors], [*self._readers, *self._visitors])
            for task in (*watching, *clients):
                task.cancel()
        self._tell("reading the logs")
        logs = await read_logs(self._stage, self._places)
        return await self._judge(seconds, logs)

    def _cast(self, sessions: list[str]) -> None:
        options, ports = self._options, [node.clients.port for node in self._stage.nodes]
        self._book.ledgers = [Ledger(session) for session in sessions]
        self._places = [Place(self._book, ledger, ports) for ledger in self._book.ledgers]
        rate = options.rate / options.writers
        for n in range(options.writers):
            self._writers.append(Writer(n, self._place(n), self._random("writer", n), _format(n), rate))
        for n in range(options.readers):
            self._readers.append(Reader(f"reader-{n}", self._place(n), self._random("reader", n), _format(n + 1)))
        for n in range(options.visitors):
            self._visitors.append(Visitor(n, self._place(n), self._random("visitor", n)))

    def _place(self, n: int) -> Place:
        return self._places[n % len(self._places)]

    def _random(self, who: str, n: int) -> Random:
        return Random(f"{self._options.seed} {who} {n}")

    async def _let_storms_pass(self, began: float) -> None:
        options = self._options
        kinds = tuple(map(Kind, options.kinds)) or tuple(Kind)
        for storm in storms(options.seed, options.nodes, kinds, options.most):
            if self._is_over(monotonic() - began):
                break
            self._raging = " + ".join(fault.kind for fault in storm.faults)
            at = monotonic()
            faults = await rage(self._stage, storm)
            self._raging = "quiet"
            await asyncio.sleep(storm.quiet)
            self._passed.append(Passed(storm.name, at, monotonic(), faults))

    def _is_over(self, seconds: float) -> bool:
        length = 60 * self._options.minutes
        return seconds > length and (len(self._book.acks) >= self._options.acks or seconds > LONGER * length)

    async def _judge(self, seconds: float, logs: list[list[Entry]]) -> Report:
        nodes = self._stage.nodes
        answers = {name: await self._stage.order(Do.CPU, name) for name in self._stage.names}
        seen = Seen(
            seconds=seconds,
            hints_dropped=sum(node.hints.dropped for node in nodes),
            hints_delayed=sum(node.hints.delayed for node in nodes),
            nodes_ended=sum(answer.ended for answer in answers.values()),
            lag_max=self._lag,
            cpu={"harness": process_time(), **{name: answer.cpu for name, answer in answers.items()}},
        )
        return judge(self._options, self._book, logs, self._passed, seen)

    async def _watch_lag(self) -> None:
        while True:
            due = monotonic() + _LOOK
            await asyncio.sleep(_LOOK)
            self._lag = max(self._lag, monotonic() - due)

    async def _tell_progress(self) -> None:
        told, acks = 0, self._book.acks
        while True:
            await asyncio.sleep(TELL_EVERY)
            self._tell(self._progress(acks, (len(acks) - told) / TELL_EVERY))
            told = len(acks)

    def _progress(self, acks: "array[float]", rate: float) -> str:
        faults = sum(len(storm.faults) for storm in self._passed)
        seconds = monotonic() - self._book.began
        return f"{seconds:5.0f} s  {faults:3} faults  {len(acks):9,} acks  {rate:5.0f}/s  {self._raging}"


def _format(n: int) -> Format:
    return Format.MSGPACK if n % 3 == 0 else Format.JSON
