from bench.load import PER_ADDRESS, Acks, source
from bench.pace import Window


def test_clients_beyond_what_an_address_has_ports_for_take_the_next() -> None:
    assert [source(n) for n in (0, PER_ADDRESS - 1, PER_ADDRESS, 3 * PER_ADDRESS)] == [
        "127.0.0.1",
        "127.0.0.1",
        "127.0.0.2",
        "127.0.0.4",
    ]


def test_an_answer_counts_once() -> None:
    acks = Acks(Window(100, 200))
    acks.pending[7] = 150
    acks.settle(7, acked=True, now=5_000_150)
    acks.settle(7, acked=True, now=9_000_150)
    assert (acks.acked, acks.refused, acks.pending) == (1, 0, {})
    found = acks.latencies.percentiles()
    assert found is not None
    assert round(found.max) == 5


def test_only_acks_of_the_window_are_timed() -> None:
    acks = Acks(Window(100, 200))
    acks.pending |= {1: 99, 2: 150, 3: 200, 4: 150}
    for number in (1, 3):
        acks.settle(number, acked=True, now=1000)
    acks.settle(2, acked=False, now=1000)
    assert (acks.acked, acks.refused, acks.latencies.count) == (2, 1, 0)
    assert acks.pending == {4: 150}
