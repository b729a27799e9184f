"""What load processes may have seen, for the tests of what is made of it."""

from bench.asks import Sent
from bench.conductor import Measured
from bench.machine import Reading
from bench.orders import Back, Done, Result
from bench.pace import SECOND, Window
from bench.sample import Findings
from bench.tally import Latencies

NOTHING = Reading(None, None, None)


def latencies(*late_ms: int) -> bytes:
    made = Latencies()
    for late in late_ms:
        made.record(late * 1_000_000)
    return made.encode()


def result(
    *,
    deliveries: int = 0,
    missing: int = 0,
    surplus: int = 0,
    resets: int = 0,
    torn_pages: int = 0,
    lost_letters: int = 0,
    samples: tuple[Findings, ...] = (),
    states: tuple[str, ...] = (),
    late_ms: tuple[int, ...] = (3, 3),
    lost: int = 0,
) -> Result:
    return Result(
        lost=lost,
        deliveries=deliveries,
        window=Window(0, 2 * SECOND),
        missing=missing,
        surplus=surplus,
        resets=resets,
        torn_pages=torn_pages,
        lost_letters=lost_letters,
        samples=list(samples),
        states=list(states),
        latencies=latencies(*late_ms),
        letters=latencies(7),
    )


def sent(*late_ms: int, acked: int = 0, in_window: int = 0, refused: int = 0, unanswered: int = 0) -> Sent:
    return Sent(
        acked=acked,
        acked_in_window=in_window,
        refused=refused,
        unanswered=unanswered,
        latencies=latencies(*late_ms),
        lateness=latencies(),
    )


def measured(
    *results: Result, messages: int = 0, acts: dict[str, Sent] | None = None, back: Back | None = None
) -> Measured:
    return Measured(messages, [Done(acts or {}, back)], list(results), (NOTHING, NOTHING))
