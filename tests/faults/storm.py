"""One run: everybody comes, storms pass, everything heals, and then it is judged."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import monotonic, process_time
from typing import Final

from realtime.protocol.codec import Format
from tests.faults import checker, figures
from tests.faults.checker import Entry, Fate, Run
from tests.faults.clients import Client, Place
from tests.faults.figures import Hindrances, Passed
from tests.faults.happening import rage
from tests.faults.keeper import Do
from tests.faults.ledger import Book, Ledger
from tests.faults.line import Gone, Message
from tests.faults.plan import Kind, storms
from tests.faults.readers import Reader
from tests.faults.report import Options, Report
from tests.faults.stage import HOST, Stage
from tests.faults.writers import Writer

Tell = Callable[[str], None]

WARM_UP: Final = 1.5
TELL_EVERY: Final = 5.0
SETTLE_WITHIN: Final = 30.0
CATCH_UP_WITHIN: Final = 20.0
PAGE_WITHIN: Final = 300.0
LONGER: Final = 3
EVIDENCE: Final = 60
_PAGE: Final = 200
_ROWS: Final = 20_000
_LOOK: Final = 0.05


class Host(Client):
    """Ends its session."""

    async def _work(self) -> None:
        reply = await self._ask(type="session.end", session=self.session)
        # If the first answer was lost, the second says so.
        self.stopping = reply.type == "ack" or reply.state == "ended"

    def _take(self, message: Message) -> None:
        """Hear nothing."""


class Pager(Client):
    """Reads its session's whole history."""

    log: list[Entry]

    async def _work(self) -> None:
        self.log = []
        more = True
        while more:
            page = await self._ask(type="history", session=self.session, after=len(self.log), limit=_PAGE)
            if page.type != "history":
                raise Gone
            self.log.extend(map(self.place.ledger.entry, page.events))
            more = page.more
        self.place.ledger.pages.append(Run(0, self.log))
        self.stopping = True

    def _take(self, message: Message) -> None:
        """Hear nothing."""


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
        self._writers: list[Writer] = []
        self._readers: list[Reader] = []
        self._passed: list[Passed] = []
        self._raging = "quiet"
        self._lag = 0.0
        self._logs: list[list[Entry]] = []

    async def perform(self, sessions: list[str]) -> Report:
        self._book.ledgers = [Ledger(session) for session in sessions]
        self._cast()
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(self._watch_lag()), group.create_task(self._tell_progress())]
            clients = [group.create_task(client.run()) for client in (*self._writers, *self._readers)]
            await asyncio.sleep(WARM_UP)
            began = monotonic()
            await self._let_storms_pass(began)
            seconds = monotonic() - began
            self._raging = "all is over, and settles"
            await self._settle()
            for task in (*watching, *clients):
                task.cancel()
        await self._read_logs()
        return await self._judge(seconds)

    def _cast(self) -> None:
        options = self._options
        rate = options.rate / options.writers
        for n in range(options.writers):
            self._writers.append(Writer(n, self._place(n), self._random("writer", n), _format(n), rate))
        for n in range(options.readers):
            self._readers.append(Reader(f"reader-{n}", self._place(n), self._random("reader", n), _format(n + 1)))

    def _place(self, n: int) -> Place:
        ledgers = self._book.ledgers
        return Place(self._book, ledgers[n % len(ledgers)], [node.clients.port for node in self._stage.nodes])

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

    async def _settle(self) -> None:
        """Let every message be answered, and every reader reach the head."""
        await Host(HOST, self._place(0), self._random("host", 0), Format.JSON).run()
        for writer in self._writers:
            writer.hush()
        if not await _within(SETTLE_WITHIN, lambda: not any(writer.pending for writer in self._writers)):
            left = [pending for writer in self._writers for pending in writer.pending.values()]
            self._book.complain(f"unsettled: {len(left)} messages have no answer, such as {left[0]}")
        for writer in self._writers:
            writer.give_up()
        heads = await self._heads()
        if not await _within(CATCH_UP_WITHIN, lambda: not self._behind(heads)):
            for reader in self._behind(heads):
                self._book.complain(
                    f"stuck: {reader.name} is at {reader.position}, the head is {heads[reader.session]}"
                )

    def _behind(self, heads: dict[str, int]) -> list[Reader]:
        return [r for r in self._readers if r.position is None or r.position.seq != heads[r.session]]

    async def _heads(self) -> dict[str, int]:
        connection = await self._stage.connect()
        try:
            return {str(row[0]): row[1] for row in await connection.fetch("SELECT session, seq FROM log_heads")}
        finally:
            await connection.close()

    async def _read_logs(self) -> None:
        """Read from Postgres after one more crash, and over the wire."""
        await self._stage.order(Do.KILL, "postgres")
        await self._stage.order(Do.START, "postgres")
        self._tell("reading the logs")
        self._logs = [await self._read_log(ledger) for ledger in self._book.ledgers]
        pagers = [
            Pager(f"pager-{n}", self._place(n), self._random("pager", n), Format.JSON)
            for n in range(len(self._book.ledgers))
        ]
        async with asyncio.timeout(PAGE_WITHIN), asyncio.TaskGroup() as group:
            for pager in pagers:
                group.create_task(pager.run())
        for pager, log in zip(pagers, self._logs, strict=True):
            if len(pager.log) != len(log):
                self._book.complain(f"hole: history ends at {len(pager.log)}, the log at {len(log)}")

    async def _read_log(self, ledger: Ledger) -> list[Entry]:
        log: list[Entry] = []
        connection = await self._stage.connect()
        try:
            async with connection.transaction():
                query = "SELECT seq, sender, key::text, body->>'text' FROM events WHERE session = $1::uuid ORDER BY seq"
                cursor = connection.cursor(query, ledger.session, prefetch=_ROWS)
                log.extend([ledger.pushed(*row) async for row in cursor])
        finally:
            await connection.close()
        return log

    async def _judge(self, seconds: float) -> Report:
        book, options = self._book, self._options
        sends = [send for ledger in book.ledgers for send in ledger.sends]
        faults = [fault for storm in self._passed for fault in storm.faults]
        hindrances = Hindrances(faults)
        found = (
            delay
            for ledger in book.ledgers
            for legs in ledger.readers.values()
            for delay in figures.delays(legs, ledger.acked_at, hindrances)
        )
        rows, free = figures.rows(self._passed, book.acks, sends, found)
        evidence = self._evidence(free[-1] if free else 0.0)
        fates = [sum(send.fate is fate for send in sends) for fate in (Fate.ACKED, Fate.REFUSED, Fate.UNKNOWN)]
        return Report(
            options=options,
            seconds=seconds,
            faults=len(faults),
            sends=len(sends),
            acks=fates[0],
            refused=fates[1],
            unknown=fates[2],
            events=sum(map(len, self._logs)),
            received=sum(len(leg.times) for ledger in book.ledgers for legs in ledger.readers.values() for leg in legs),
            pages=sum(len(ledger.pages) for ledger in book.ledgers),
            connections=book.lines,
            resent=book.resent,
            answers=dict(book.refusals),
            closes={str(code): count for code, count in sorted(book.closes.items())},
            hints_dropped=sum(node.hints.dropped for node in self._stage.nodes),
            hints_delayed=sum(node.hints.delayed for node in self._stage.nodes),
            resets=sum(ledger.resets for ledger in book.ledgers),
            needless_resets=sum(ledger.needless for ledger in book.ledgers),
            nodes_ended=sum([(await self._stage.order(Do.CPU, node.name)).ended for node in self._stage.nodes]),
            delay_p50=figures.percentile(free, 0.5),
            delay_p99=figures.percentile(free, 0.99),
            delay_max=free[-1] if free else 0.0,
            lag_max=self._lag,
            cpu=await self._cpu(),
            rows=rows,
            broken=dict(checker.broken(evidence)),
            evidence=evidence[:EVIDENCE],
        )

    def _evidence(self, longest: float) -> list[str]:
        lies = [
            line
            for ledger, log in zip(self._book.ledgers, self._logs, strict=True)
            for line in checker.check(ledger.history(log))
        ]
        late = bool(self._options.healing) and longest > self._options.healing
        return [
            *self._book.complaints,
            *([f"late: an unhindered reader waited {longest:.2f} s"] if late else []),
            *lies,
        ]

    async def _cpu(self) -> dict[str, float]:
        names = ["postgres", "redis", *(node.name for node in self._stage.nodes)]
        return {"harness": process_time(), **{name: (await self._stage.order(Do.CPU, name)).cpu for name in names}}

    async def _watch_lag(self) -> None:
        while True:
            due = monotonic() + _LOOK
            await asyncio.sleep(_LOOK)
            self._lag = max(self._lag, monotonic() - due)

    async def _tell_progress(self) -> None:
        told = 0
        while True:
            await asyncio.sleep(TELL_EVERY)
            acks = len(self._book.acks)
            faults = sum(len(storm.faults) for storm in self._passed)
            self._tell(
                f"{monotonic() - self._book.began:5.0f} s  {faults:3} faults  {acks:8,} acks"
                f"  {(acks - told) / TELL_EVERY:5.0f}/s  {self._raging}"
            )
            told = acks


async def _within(seconds: float, done: Callable[[], bool]) -> bool:
    deadline = monotonic() + seconds
    while not done():
        if monotonic() > deadline:
            return False
        await asyncio.sleep(_LOOK)
    return True


def _format(n: int) -> Format:
    return Format.MSGPACK if n % 3 == 0 else Format.JSON
