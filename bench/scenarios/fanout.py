"""Fan-out: one session, many viewers, a steady rate of messages. How late, how complete, at what cost?"""

from functools import partial
from typing import Annotated, Any

from msgspec import Meta, Struct

from bench.conductor import Measured, chatting, measure
from bench.crew import crew
from bench.machine import Ticks, busy_share, cpu_share
from bench.options import MOST_VIEWERS, Processes, Rate, Seconds, Size, Warmup
from bench.orders import Go
from bench.pace import SECOND, shares
from bench.run import Place, connect_seconds, plans, target
from bench.tables import counted
from bench.tally import Latencies, Percentiles

# What a sample costs is paid per message: above this many read in full per second, there are fewer samples.
SAMPLED_PER_SECOND = 10_000
MOST_SAMPLES = 20
_LEAST_SAMPLES = 2
# What one person might write at most, where the number of senders is ours to choose.
_RATE_OF_ONE = 10


class Options(Struct, frozen=True, kw_only=True):
    """The load: `rate` messages/s in all by `senders` of the `viewers`, measured for `seconds` after `warmup`."""

    viewers: Annotated[
        int, Meta(ge=1, le=MOST_VIEWERS, description="connections that join the session, senders included")
    ] = 1000
    rate: Rate = 50
    seconds: Seconds = 10
    warmup: Warmup = 2
    processes: Processes = 1
    senders: Annotated[int, Meta(ge=0, le=1_000, description="viewers that send; 0 is one per 10 messages/s")] = 0
    samples: Annotated[
        int, Meta(ge=0, le=1_000, description="viewers that check and time everything; 0 is up to 20")
    ] = 0
    size: Size = 100

    @property
    def talkers(self) -> int:
        """Count the senders: as asked for, or as would plausibly write so much; of all but two, who check."""
        return max(1, min(self.senders or -(-self.rate // _RATE_OF_ONE), self.viewers - _LEAST_SAMPLES))

    @property
    def checked(self) -> int:
        """Count the samples; 0 asks for as many as the load processes can afford."""
        fitting = max(_LEAST_SAMPLES, min(MOST_SAMPLES, SAMPLED_PER_SECOND // self.rate))
        return min(self.samples or fitting, self.viewers - self.talkers)


class Results(Struct, frozen=True, kw_only=True):
    """The figures. Latencies are from when a message was due to be sent, in milliseconds.

    Where the server's core was busier than the server, others were on it; where the other cores had no
    time left, it was the load that was measured. Either way the run says little.
    """

    connections: int
    messages: int
    deliveries: int
    deliveries_per_s: float
    latency_ms: Percentiles | None
    latencies: int
    ack_ms: Percentiles | None
    lateness_of_senders_ms: Percentiles | None
    server_cpu_per_delivery_us: float | None
    server_cpu_percent: float | None
    server_core_busy_percent: float | None
    other_cores_busy_percent: float | None
    server_rss_mib: float | None
    server_pss_mib: float | None
    missing: int
    duplicated: int
    out_of_order: int
    not_acked: int
    refused: int
    connections_lost: int


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    with target(place, options.viewers) as server:
        sessions = [server.live_session()]
        with crew(plans(server, sessions, divide(options)), within=connect_seconds(options.viewers)) as workers:
            return summarise(options.viewers, measure(server, sessions, workers, partial(load, options)))


def load(options: Options) -> Go:
    """Give what the load processes do."""
    return chatting(options.rate, options.warmup, options.seconds)


def divide(options: Options) -> list[dict[str, int]]:
    """Divide the clients: viewers over the processes, senders and samples in one of their own.

    Who sends and who times must not wait for a thousand others of the same process to be read.
    """
    quiet = options.viewers - options.talkers - options.checked
    crowd = [{"viewers": share} for share in shares(quiet, options.processes) if share]
    return [*crowd, {"senders": options.talkers, "samples": options.checked, "size": options.size}]


def summarise(viewers: int, measured: Measured) -> Results:
    """Add up what the processes saw, and what the server took meanwhile."""
    return Results(**figures(viewers, measured))


def figures(viewers: int, measured: Measured) -> dict[str, Any]:
    """Give the fields of `Results`, for whatever has more of them."""
    results = measured.results
    per_second = sum(r.deliveries / ((r.window.end - r.window.start) / SECOND) for r in results)
    before, after = measured.readings
    used = after.server
    share = cpu_share(before.server, used) if before.server and used else None
    latencies = Latencies.merged(result.latencies for result in results)
    findings = [sample for result in results for sample in result.samples]
    sent = [part for done in measured.done for part in done.sent.values()]
    return {
        "connections": viewers,
        "messages": measured.messages,
        "deliveries": sum(result.deliveries for result in results),
        "deliveries_per_s": per_second,
        "latency_ms": latencies.percentiles(),
        "latencies": latencies.count,
        "ack_ms": Latencies.merged(part.latencies for part in sent).percentiles(),
        "lateness_of_senders_ms": Latencies.merged(part.lateness for part in sent).percentiles(),
        "server_cpu_per_delivery_us": share / per_second * 1e6 if share is not None and per_second else None,
        "server_cpu_percent": share * 100 if share is not None else None,
        "server_core_busy_percent": _percent(before.server_core, after.server_core),
        "other_cores_busy_percent": _percent(before.other_cores, after.other_cores),
        "server_rss_mib": used.rss / 1024 if used else None,
        "server_pss_mib": used.pss / 1024 if used else None,
        "missing": sum(result.missing for result in results),
        "duplicated": max(sum(result.surplus for result in results), sum(sample.duplicated for sample in findings)),
        "out_of_order": sum(sample.out_of_order for sample in findings),
        "not_acked": sum(part.unanswered for part in sent),
        "refused": sum(part.refused for part in sent),
        "connections_lost": sum(result.lost for result in results),
    }


def _percent(before: Ticks | None, after: Ticks | None) -> float | None:
    return 100 * busy_share(before, after) if before and after else None


def broken(results: Any) -> list[str]:
    """Name the promises that were not kept, by the counts that the results of a fan-out have."""
    counts = {
        "deliveries missing": results.missing,
        "deliveries twice": results.duplicated,
        "deliveries out of order": results.out_of_order,
        "messages without an answer": results.not_acked,
        "connections lost": results.connections_lost,
    }
    return counted(counts)
