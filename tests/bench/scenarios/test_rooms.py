from bench.scenarios import rooms
from bench.scenarios.rooms import Options


def test_every_session_has_one_sender_and_the_samples_sit_beside_them() -> None:
    options = Options(sessions=100, each=10, processes=2)
    assert options.viewers == 1000
    assert rooms.divide(options) == [
        {"viewers": 440},
        {"viewers": 440},
        {"senders": 100, "samples": 20, "size": 100},
    ]


def test_senders_alone_are_enough() -> None:
    assert rooms.divide(Options(sessions=3, each=1)) == [{"senders": 3, "samples": 0, "size": 100}]
