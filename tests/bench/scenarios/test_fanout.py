import pytest

from bench.conductor import Measured
from bench.machine import Reading, Ticks, Usage
from bench.orders import Done
from bench.pace import SECOND
from bench.sample import Findings
from bench.scenarios import fanout
from bench.scenarios.fanout import Options
from tests.bench.seen import result, sent


@pytest.mark.parametrize(
    ("options", "talkers", "checked"),
    [
        (Options(viewers=1000, rate=50), 5, 20),
        (Options(viewers=1000, rate=1000), 100, 10),
        (Options(viewers=1000, rate=50_000), 998, 2),
        (Options(viewers=1000, rate=1000, senders=7, samples=30), 7, 30),
        (Options(viewers=20, rate=15), 2, 18),
        (Options(viewers=20, rate=15, senders=500), 18, 2),
        (Options(viewers=1, rate=15), 1, 0),
    ],
)
def test_senders_and_samples_follow_the_load(options: Options, talkers: int, checked: int) -> None:
    assert (options.talkers, options.checked) == (talkers, checked)


def test_everyone_is_a_viewer_and_those_who_measure_sit_apart() -> None:
    parts = fanout.divide(Options(viewers=1000, rate=200, processes=2))
    assert parts == [{"viewers": 480}, {"viewers": 480}, {"senders": 20, "samples": 20, "size": 100}]


def test_a_process_without_clients_is_not_started() -> None:
    assert fanout.divide(Options(viewers=4, rate=10, processes=8)) == [{"senders": 1, "samples": 3, "size": 100}]


def test_what_the_processes_saw_adds_up() -> None:
    used = (Usage(0, 1.0, 2048, 1024), Usage(2 * SECOND, 2.0, 4096, 2048))
    readings = (
        Reading(used[0], Ticks(0, 0), Ticks(0, 0)),
        Reading(used[1], Ticks(60, 100), Ticks(90, 100)),
    )
    seen = [
        result(deliveries=1_000_000, missing=3, lost=1),
        result(deliveries=1000, surplus=2, lost=1, samples=(Findings(0, 1, 4), Findings(1, 0, 0))),
    ]
    done = [Done({"chat": sent()}), Done({"chat": sent(5, acked=8, refused=1, unanswered=2)})]
    summary = fanout.summarise(1000, Measured(10, done, seen, readings))
    assert summary.deliveries == 1_001_000
    assert summary.deliveries_per_s == 500_500
    assert summary.server_cpu_percent == 50
    assert summary.server_cpu_per_delivery_us == pytest.approx(0.999, abs=0.001)
    assert summary.server_core_busy_percent == 60
    assert summary.other_cores_busy_percent == 90
    assert summary.server_rss_mib == 4
    assert summary.latencies == 4
    assert summary.latency_ms is not None
    assert round(summary.latency_ms.p99) == 3
    assert summary.ack_ms is not None
    assert round(summary.ack_ms.p50) == 5
    assert (summary.missing, summary.duplicated, summary.out_of_order) == (3, 2, 4)
    assert (summary.refused, summary.not_acked, summary.connections_lost) == (1, 2, 2)
    assert fanout.broken(summary) == [
        "3 deliveries missing",
        "2 deliveries twice",
        "4 deliveries out of order",
        "2 messages without an answer",
        "2 connections lost",
    ]


def test_a_server_that_cannot_be_measured_leaves_its_figures_out() -> None:
    nothing = Reading(None, None, None)
    summary = fanout.summarise(1, Measured(0, [], [result()], (nothing, nothing)))
    assert summary.server_cpu_percent is None
    assert summary.server_cpu_per_delivery_us is None
    assert summary.server_core_busy_percent is None
    assert summary.server_rss_mib is None
