from msgspec import structs

from bench.scenarios import clients

GOOD = clients.Results(
    clients=2,
    messages=10,
    events=20,
    ack_ms=None,
    latency_ms=None,
    client_cpu_percent=1.0,
    client_cpu_per_event_us=1.0,
    client_kib_each=1.0,
    missing=0,
    not_acked=0,
)


def test_what_was_promised() -> None:
    assert clients.broken(GOOD) == []
    assert clients.broken(structs.replace(GOOD, missing=1000, not_acked=2)) == [
        "1,000 events missing",
        "2 messages not acknowledged",
    ]
