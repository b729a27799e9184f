"""Mixed: a believable show. Chat with bursts, reactions, pages, letters, viewers and a host who come and go."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

from msgspec import Meta, Struct

from bench.acts import BURST, GRACE_MS
from bench.conductor import Measured, Timetable, measure
from bench.crew import crew
from bench.options import MOST_VIEWERS, Processes, Size, Warmup
from bench.orders import Go
from bench.pace import SECOND, Window, shares
from bench.run import Place, connect_seconds, plans, target
from bench.scenarios import fanout
from bench.tables import counted
from bench.tally import Latencies, Percentiles
from bench.target import Target

_SAMPLES: Final = 10
# What comes with the chat, and how often.
_REACTIONS_PER_MESSAGE: Final = 2
_BURST_PERIOD: Final = 10 * SECOND
_PAGES_PER_SECOND: Final = 2
_LETTERS_PER_SECOND: Final = 1
# After how many seconds, in the mean, a viewer's connection is lost.
_STAY_SECONDS: Final = 60


class Options(Struct, frozen=True, kw_only=True):
    """The load: a show with so many `viewers`, who write `rate` messages/s between its bursts."""

    viewers: Annotated[int, Meta(ge=30, le=MOST_VIEWERS, description="connections that join the session")] = 500
    rate: Annotated[int, Meta(ge=1, le=10_000, description="messages per second, without bursts")] = 20
    seconds: Annotated[int, Meta(ge=1, le=3_600, description="seconds that are measured")] = 60
    warmup: Warmup = 5
    scenes: Annotated[int, Meta(ge=0, le=60, description="things per minute that the host does")] = 10
    processes: Processes = 1
    size: Size = 60

    @property
    def talkers(self) -> int:
        """Count the senders: enough for nobody to be faster than a person."""
        return min(max(BURST, self.rate), self.viewers // 2)

    @property
    def quiet(self) -> int:
        """Count those who only watch, and come and go."""
        return self.viewers - self.talkers - _SAMPLES - 1


class Results(Struct, frozen=True, kw_only=True):
    """The figures. `return` is from the loss of a connection until its viewer was back.

    `letter` is from when a direct message was due until the host had it, who may have been away. `state` is the
    session's at the end, and `astray` are samples that were told another one.
    """

    connections: int
    messages: int
    deliveries_per_s: float
    latency_ms: Percentiles | None
    ack_ms: Percentiles | None
    burst_ack_ms: Percentiles | None
    reaction_ack_ms: Percentiles | None
    page_ms: Percentiles | None
    letter_ms: Percentiles | None
    return_ms: Percentiles | None
    returns: int
    scenes: int
    state: str
    server_cpu_percent: float | None
    server_core_busy_percent: float | None
    other_cores_busy_percent: float | None
    server_rss_mib: float | None
    refused: int
    missing: int
    duplicated: int
    out_of_order: int
    began_anew: int
    torn_pages: int
    lost_letters: int
    astray: int
    not_acked: int
    connections_lost: int


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    with target(place, options.viewers) as server:
        return summarise(options, *show(options, server))


def show(
    options: Options, server: Target, meanwhile: Callable[[Window], None] = lambda _: None
) -> tuple[Measured, str]:
    """Give a show, and say what was seen of it, and in which state it is at the end.

    Raises:
        BenchError: it cannot be given.
    """
    session = server.live_session(limits={"grace": GRACE_MS})
    with crew(plans(server, [session], divide(options)), within=connect_seconds(options.viewers)) as workers:
        return measure(server, [session], workers, partial(load, options), meanwhile), server.state(session)


def divide(options: Options) -> list[dict[str, int]]:
    """Divide the clients: viewers over the processes; senders, samples and the host in one of their own.

    They are no load testers to the server: so there is an audience, and everybody's limits hold.
    """
    real = {"synthetic": False}
    crowd = [{"viewers": share, **real} for share in shares(options.quiet, options.processes) if share]
    return [*crowd, {"senders": options.talkers, "samples": _SAMPLES, "hosts": 1, "size": options.size, **real}]


def load(options: Options) -> Go:
    """Give what the load processes do."""
    times = Timetable.now(options.warmup, options.seconds)
    # Each process has viewers of its own.
    leaving = options.quiet // options.processes
    acts = {
        "chat": times.often(options.rate),
        "burst": times.often(1, _BURST_PERIOD),
        "react": times.often(_REACTIONS_PER_MESSAGE * options.rate),
        "page": times.often(_PAGES_PER_SECOND),
        "letter": times.often(_LETTERS_PER_SECOND),
        "churn": times.often(leaving, _STAY_SECONDS * SECOND),
        "scene": times.often(options.scenes, 60 * SECOND),
    }
    return Go(dict(acts), times.window)


def summarise(options: Options, measured: Measured, state: str) -> Results:
    """Add up what the processes saw; `state` is the session's, as it is stored."""
    seen = fanout.summarise(options.viewers, measured)
    results = measured.results
    return Results(
        connections=options.viewers,
        messages=measured.messages,
        deliveries_per_s=seen.deliveries_per_s,
        latency_ms=seen.latency_ms,
        ack_ms=measured.acks("chat").percentiles(),
        burst_ack_ms=measured.acks("burst").percentiles(),
        reaction_ack_ms=measured.acks("react").percentiles(),
        page_ms=measured.acks("page").percentiles(),
        letter_ms=Latencies.merged(result.letters for result in results).percentiles(),
        return_ms=measured.acks("churn").percentiles(),
        returns=_count(measured, "churn"),
        scenes=_count(measured, "scene"),
        state=state,
        server_cpu_percent=seen.server_cpu_percent,
        server_core_busy_percent=seen.server_core_busy_percent,
        other_cores_busy_percent=seen.other_cores_busy_percent,
        server_rss_mib=seen.server_rss_mib,
        refused=seen.refused,
        missing=seen.missing,
        duplicated=seen.duplicated,
        out_of_order=seen.out_of_order,
        began_anew=sum(result.resets for result in results),
        torn_pages=sum(result.torn_pages for result in results),
        lost_letters=sum(result.lost_letters for result in results),
        astray=sum(told != state for result in results for told in result.states),
        not_acked=seen.not_acked,
        connections_lost=seen.connections_lost,
    )


def _count(measured: Measured, act: str) -> int:
    return sum(done.sent[act].acked for done in measured.done if act in done.sent)


def broken(results: Results) -> list[str]:
    """Name the promises that were not kept."""
    counts = {
        "had to begin anew": results.began_anew,
        "pages with holes": results.torn_pages,
        "direct messages lost": results.lost_letters,
        "samples in another state than the session": results.astray,
    }
    return fanout.broken(results) + counted(counts)
