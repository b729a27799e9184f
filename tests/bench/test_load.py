from bench.load import PER_ADDRESS, source


def test_clients_beyond_what_an_address_has_ports_for_take_the_next() -> None:
    assert [source(n) for n in (0, PER_ADDRESS - 1, PER_ADDRESS, 3 * PER_ADDRESS)] == [
        "127.0.0.1",
        "127.0.0.1",
        "127.0.0.2",
        "127.0.0.4",
    ]
