import pytest

from bench.pace import Schedule
from bench.scenarios import mixed
from bench.scenarios.mixed import Options
from tests.bench.seen import measured, result, sent


def test_there_is_a_host_and_nobody_is_a_load_tester() -> None:
    assert mixed.divide(Options(viewers=500, rate=30, processes=2)) == [
        {"viewers": 230, "synthetic": False},
        {"viewers": 229, "synthetic": False},
        {"senders": 30, "samples": 10, "hosts": 1, "size": 60, "synthetic": False},
    ]


@pytest.mark.parametrize(("viewers", "rate", "talkers"), [(500, 5, 20), (500, 100, 100), (30, 5, 15)])
def test_nobody_writes_faster_than_a_person(viewers: int, rate: int, talkers: int) -> None:
    assert Options(viewers=viewers, rate=rate).talkers == talkers


def test_a_minute_of_a_show() -> None:
    acts = mixed.load(Options(viewers=600, rate=20, seconds=50, warmup=10, processes=2)).acts
    counts = {name: each.count for name, each in acts.items() if isinstance(each, Schedule)}
    assert counts == {"chat": 1200, "burst": 6, "react": 2400, "page": 120, "letter": 60, "churn": 284, "scene": 10}


@pytest.mark.parametrize("viewers", [30, 31, 60])
def test_there_is_somebody_for_everything(viewers: int) -> None:
    (quiet, others) = mixed.divide(Options(viewers=viewers, rate=1000))
    assert quiet["viewers"] > 0
    assert quiet["viewers"] + others["senders"] + others["samples"] + others["hosts"] == viewers


def test_a_host_may_do_nothing() -> None:
    scene = mixed.load(Options(scenes=0)).acts["scene"]
    assert isinstance(scene, Schedule)
    assert (scene.count, scene.due(0)) == (0, scene.start)


def test_what_was_seen_of_a_show() -> None:
    acts = {"chat": sent(5, acked=1), "churn": sent(9, acked=4), "scene": sent(1, acked=2)}
    seen = measured(result(resets=1, torn_pages=2, lost_letters=3, states=("live", "paused")), messages=50, acts=acts)
    results = mixed.summarise(Options(), seen, "live")
    assert results.ack_ms is not None
    assert results.ack_ms.p50 == pytest.approx(5, rel=0.01)
    assert results.letter_ms is not None
    assert results.letter_ms.p50 == pytest.approx(7, rel=0.01)
    assert (results.returns, results.scenes, results.burst_ack_ms) == (4, 2, None)
    assert mixed.broken(results) == [
        "1 had to begin anew",
        "2 pages with holes",
        "3 direct messages lost",
        "1 samples in another state than the session",
    ]
