"""The end of a run: every message gets its answer, every reader reaches the head, and the logs are read."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from time import monotonic
from typing import Final

from tests.faults.checker import Entry, Run
from tests.faults.clients import Place
from tests.faults.keeper import Do
from tests.faults.ledger import Book, Ledger
from tests.faults.readers import Reader
from tests.faults.stage import HOST, Stage
from tests.faults.visitors import Visitor, client
from tests.faults.writers import Writer

SETTLE_WITHIN: Final = 30.0
CATCH_UP_WITHIN: Final = 20.0
READ_WITHIN: Final = 300.0
LOOK: Final = 0.05
_PAGE: Final = 200
_ROWS: Final = 20_000


async def _end(place: Place) -> None:
    """End a session, as its host."""
    async with client(place, HOST, Random(0)) as live:
        await (await live.join(place.ledger.session)).end()


async def _history(place: Place) -> list[Entry]:
    """Read a session's whole history."""
    log: list[Entry] = []
    async with client(place, "pager", Random(0)) as live:
        show, more = await live.join(place.ledger.session), True
        while more:
            page = await show.history(after=len(log), limit=_PAGE)
            log.extend(place.ledger.pushed(e.seq, e.by, e.key, e.body.get("text")) for e in page.events)
            more = page.more
    place.ledger.pages.append(Run(0, log))
    return log


async def settle(
    stage: Stage, book: Book, writers: Sequence[Writer | Visitor], readers: Sequence[Reader | Visitor]
) -> None:
    """End one session under its writers' hands; let all others finish, and every reader reach the head."""
    await _end(writers[0].place)
    for writer in writers:
        writer.hush()
    if not await _within(SETTLE_WITHIN, lambda: not any(writer.pending for writer in writers)):
        left = [str(pending) for writer in writers for pending in writer.pending.values()]
        book.complain(f"unsettled: {len(left)} messages have no answer, such as {left[0]}")
    for writer in writers:
        writer.give_up()
    heads = await _heads(stage)
    if not await _within(CATCH_UP_WITHIN, lambda: not _behind(readers, heads)):
        for reader in _behind(readers, heads):
            book.complain(f"stuck: {reader.name} is at {reader.position}, and not {heads[reader.session]}")


def _behind(readers: Sequence[Reader | Visitor], heads: dict[str, int]) -> list[Reader | Visitor]:
    return [reader for reader in readers if reader.position is None or reader.position.seq != heads[reader.session]]


async def _heads(stage: Stage) -> dict[str, int]:
    async with stage.connection() as connection:
        return {str(row[0]): row[1] for row in await connection.fetch("SELECT session, seq FROM log_heads")}


async def read_logs(stage: Stage, places: Sequence[Place]) -> list[list[Entry]]:
    """Read every log from Postgres, after one more crash, and over the wire, which must say the same."""
    await stage.order(Do.KILL, "postgres")
    await stage.order(Do.START, "postgres")
    logs = [await _read_log(stage, place.ledger) for place in places]
    async with asyncio.timeout(READ_WITHIN):
        read = await asyncio.gather(*map(_history, places))
    for place, history, log in zip(places, read, logs, strict=True):
        if len(history) != len(log):
            place.book.complain(f"hole: history ends at {len(history)}, the log at {len(log)}")
    return logs


async def _read_log(stage: Stage, ledger: Ledger) -> list[Entry]:
    query = "SELECT seq, sender, key::text, body->>'text' FROM events WHERE session = $1::uuid ORDER BY seq"
    async with stage.connection() as connection, connection.transaction():
        cursor = connection.cursor(query, ledger.session, prefetch=_ROWS)
        return [ledger.pushed(*row) async for row in cursor]


async def _within(seconds: float, done: Callable[[], bool]) -> bool:
    deadline = monotonic() + seconds
    while not done():
        if monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK)
    return True
