"""Results as the tests of the bench need them."""

from bench.scenarios.fanout import Results
from bench.tally import Percentiles

FIGURES = Results(
    connections=1000,
    messages=500,
    deliveries=500_000,
    deliveries_per_s=50_000.0,
    latency_ms=Percentiles(5, 20, 30, 40),
    latencies=10_000,
    ack_ms=None,
    lateness_of_senders_ms=Percentiles(1, 2, 3, 4),
    server_cpu_per_delivery_us=6.0,
    server_cpu_percent=30.0,
    server_core_busy_percent=31.0,
    other_cores_busy_percent=50.0,
    server_rss_mib=100.0,
    server_pss_mib=90.0,
    missing=0,
    duplicated=0,
    out_of_order=0,
    not_acked=0,
    refused=0,
    connections_lost=0,
)
