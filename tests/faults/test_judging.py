"""What was written down becomes a report, and the report a page."""

from array import array

import msgspec
import pytest

from tests.faults.checker import Entry, Fate, Run, Send
from tests.faults.figures import Passed
from tests.faults.happening import Happened
from tests.faults.judging import Seen, judge
from tests.faults.ledger import Book, Ledger, Leg
from tests.faults.line import Body, Event
from tests.faults.plan import Kind
from tests.faults.report import DUPLICATED, LOST, REORDERED, Options, Report, markdown, words

SEEN = Seen(seconds=60.0, hints_dropped=3, hints_delayed=4, nodes_ended=5, lag_max=0.006, cpu={"harness": 7.0})
STORMS = [Passed(Kind.REDIS_KILL, 0.0, 60.0, [Happened(Kind.REDIS_KILL, None, 1.0, 2.0)])]


def book() -> tuple[Book, list[Entry]]:
    """Give what is written down of two messages, the second of which took three seconds to a reader."""
    written, ledger = Book(), Ledger("s")
    written.ledgers.append(ledger)
    log = [ledger.entry(Event(seq, "ann", Body(f"text {seq}"), f"key {seq}")) for seq in (1, 2)]
    for entry in log:
        send = Send("ann", f"key {entry.seq}", f"text {entry.seq}", entry.seq, entry.seq + 0.5, Fate.ACKED, entry.seq)
        ledger.sends.append(send)
        ledger.note_ack(send)
        written.acks.append(send.answered)
    ledger.sends.append(Send("ann", "bad", "bad", 3.0, 3.5, Fate.REFUSED))
    ledger.readers["eve"] = [Leg(0, 0.0, 0, reset=False, entries=log, times=array("d", [1.5, 5.5]))]
    ledger.pages.append(Run(0, log))
    return written, log


def report(healing: float = 4.0, log: list[Entry] | None = None) -> Report:
    written, whole = book()
    return judge(Options(healing=healing), written, [whole if log is None else log], STORMS, SEEN)


def test_an_honest_run_is_counted() -> None:
    found = report()
    assert (found.broken, found.evidence) == ({}, [])
    assert (found.sends, found.acks, found.refused, found.unknown) == (3, 2, 1, 0)
    assert (found.events, found.received, found.pages, found.faults) == (2, 2, 1, 1)
    assert (found.delay_max, found.lag_max) == (3.0, 0.006)
    assert [(row.name, row.alone, row.healing) for row in found.rows] == [(Kind.REDIS_KILL, 1, 3.0)]


def test_what_took_too_long_is_told_with_what_happened_then() -> None:
    found = report(healing=2.0)
    assert found.broken == {"late": 1}
    assert "2 came to a reader on node 0 3.00 s after its ack: Redis killed" in found.evidence[0]
    assert report(healing=0.0).broken == {}


def test_what_the_checker_finds_is_in_the_report() -> None:
    found = report(log=book()[1][:1])
    assert found.broken["lost"] == 1
    assert found.count(LOST) == 1
    assert found.count(DUPLICATED) == found.count(REORDERED) == 0


def test_equal_entries_are_kept_once_and_others_are_not() -> None:
    ledger = Ledger("s")
    first = ledger.pushed(1, "ann", "k", "t")
    assert ledger.pushed(1, "ann", "k", "t") is first
    assert ledger.pushed(1, "ann", "k", "another").text == "another"


@pytest.mark.parametrize("render", [words, markdown])
def test_a_report_can_be_written_and_read(render: object) -> None:
    found = report()
    again = msgspec.json.decode(msgspec.json.encode(found), type=Report)
    assert again == found
    text = words(again) if render is words else markdown(again)
    assert "Redis killed" in text
    assert "3.00" in text


def test_the_tables_are_whole() -> None:
    rows = [line for line in markdown(report()).splitlines() if line]
    summary, figures = rows[: rows.index(next(r for r in rows if r.startswith("| fault")))], rows[-3:]
    for table in (summary, figures):
        assert len({line.count("|") for line in table}) == 1
