"""Makes a report of what was written down. Pure."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from tests.faults import checker, figures
from tests.faults.checker import Entry, Fate, Send
from tests.faults.figures import Delay, Hindrances, Passed
from tests.faults.ledger import Book, Leg
from tests.faults.report import Options, Report

# Broken promises that are told in words; all are counted.
EVIDENCE = 60


class Seen(Struct, frozen=True, kw_only=True):
    """What the stage itself has to say at the end."""

    seconds: float
    hints_dropped: int
    hints_delayed: int
    nodes_ended: int
    lag_max: float
    cpu: dict[str, float]


def judge(options: Options, book: Book, logs: list[list[Entry]], passed: list[Passed], seen: Seen) -> Report:
    """Check all histories, and count."""
    sends = [send for ledger in book.ledgers for send in ledger.sends]
    rows, free, latest = figures.rows(passed, book.acks, sends, _delays(book, passed))
    evidence = [*book.complaints, *_late(options, latest, passed), *_lies(book, logs)]
    return Report(
        options=options,
        faults=sum(len(storm.faults) for storm in passed),
        events=sum(map(len, logs)),
        delay_p50=figures.percentile(free, 0.5),
        delay_p99=figures.percentile(free, 0.99),
        delay_max=latest.seconds if latest else 0.0,
        rows=rows,
        broken=dict(checker.broken(evidence)),
        evidence=evidence[:EVIDENCE],
        **_fates(sends),
        **_counts(book),
        **{field: getattr(seen, field) for field in Seen.__struct_fields__},
    )


def _fates(sends: list[Send]) -> dict[str, Any]:
    counts = {fate: sum(send.fate is fate for send in sends) for fate in Fate}
    return {
        "sends": len(sends),
        "acks": counts[Fate.ACKED],
        "refused": counts[Fate.REFUSED],
        "unknown": counts[Fate.UNKNOWN],
    }


def _counts(book: Book) -> dict[str, Any]:
    return {
        "received": sum(len(leg.entries) for leg in _legs(book)),
        "pages": sum(len(ledger.pages) for ledger in book.ledgers),
        "resets": sum(ledger.resets for ledger in book.ledgers),
        "needless_resets": sum(ledger.needless for ledger in book.ledgers),
        "connections": book.lines,
        "resent": book.resent,
        "answers": dict(book.refusals),
        "closes": {str(code): count for code, count in sorted(book.closes.items())},
    }


def _legs(book: Book) -> Iterator[Leg]:
    for ledger in book.ledgers:
        for legs in ledger.readers.values():
            yield from legs


def _delays(book: Book, passed: list[Passed]) -> Iterator[Delay]:
    hindrances = Hindrances(fault for storm in passed for fault in storm.faults)
    for ledger in book.ledgers:
        for legs in ledger.readers.values():
            yield from figures.delays(legs, ledger.acked_at, hindrances)


def _lies(book: Book, logs: list[list[Entry]]) -> Iterator[str]:
    for ledger, log in zip(book.ledgers, logs, strict=True):
        yield from checker.check(ledger.history(log))


def _late(options: Options, latest: Delay | None, passed: list[Passed]) -> Iterator[str]:
    """Tell of the longest healing, and of what happened around it, if it took longer than promised."""
    if latest is None or not 0 < options.healing < latest.seconds:
        return
    begun = [storm for storm in passed if storm.began < latest.acked + latest.seconds]
    told = "; ".join(
        f"{fault.kind}, node {fault.node}, {fault.began - latest.acked:+.2f} to {fault.ended - latest.acked:+.2f} s"
        for storm in begun[-1:]
        for fault in storm.faults
    )
    yield f"late: {latest.seq} came to a reader on node {latest.node} {latest.seconds:.2f} s after its ack: {told}"
