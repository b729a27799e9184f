"""One measurement from beginning to end: the load processes are told what to do, and the server is watched."""

import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from bench.crew import Crew
from bench.machine import Reading, read
from bench.orders import GRACE_SECONDS, Done, Finish, Go, Result
from bench.pace import SECOND, Schedule, Window
from bench.progress import sleep_until, step
from bench.tally import Latencies
from bench.target import Measurable

# From the decision to begin until every process has heard of it.
LEAD_NS = SECOND // 2


class Timetable(Struct, frozen=True):
    """When a measurement begins, and which part of it counts."""

    start: int
    window: Window

    @classmethod
    def now(cls, warmup: int, seconds: int) -> "Timetable":
        """Begin in a moment, and measure for so many seconds after a warm-up."""
        start = time.monotonic_ns() + LEAD_NS
        begin = start + warmup * SECOND
        return cls(start, Window(begin, begin + seconds * SECOND))

    def often(self, rate: int, period: int = SECOND) -> Schedule:
        """Do something so many times a period, from the beginning until the end."""
        return Schedule(self.start, rate, -(-(self.window.end - self.start) * rate // period), period)


def chatting(rate: int, warmup: int, seconds: int) -> Go:
    """Begin in a moment, with so many messages a second."""
    times = Timetable.now(warmup, seconds)
    return Go({"chat": times.often(rate)} if rate else {}, times.window)


class Measured(Struct, frozen=True):
    """What the processes saw, and the server before and after; `messages` are what the logs have grown by."""

    messages: int
    done: list[Done]
    results: list[Result]
    readings: tuple[Reading, Reading]

    def acks(self, act: str) -> Latencies:
        """Give how late answers to an act came, over all processes."""
        return Latencies.merged(done.sent[act].latencies for done in self.done if act in done.sent)


def measure(
    server: Measurable,
    sessions: Sequence[str],
    workers: Crew,
    plan: Callable[[], Go],
    meanwhile: Callable[[Window], None] = lambda _: None,
) -> Measured:
    """Let the load processes go by a plan that is made at the last moment, and wait for everybody's findings.

    Within the window something may be done meanwhile.

    Raises:
        BenchError: somebody does not answer.
    """
    heads_before = {session: server.head(session) for session in sessions}
    go = plan()
    workers.tell(go)
    before = _read_at(go.window.start, server, "warming up")
    meanwhile(go.window)
    after = _read_at(go.window.end, server, "measuring")
    with step("waiting for what is late"):
        done: list[Done] = workers.answers(LEAD_NS / SECOND + 4 * GRACE_SECONDS)
        heads = {session: server.head(session) for session in sessions}
        workers.tell(Finish(heads, sum(each.sent["letter"].acked for each in done if "letter" in each.sent)))
        results: list[Result] = workers.answers(3 * GRACE_SECONDS)
    return Measured(sum(heads.values()) - sum(heads_before.values()), done, results, (before, after))


def _read_at(moment: int, server: Measurable, why: str) -> Reading:
    sleep_until(moment, why)
    return read(server.pid, server.cores)
