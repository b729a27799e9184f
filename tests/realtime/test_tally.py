"""Counters of the hot path: they say what was counted when somebody looks."""

from prometheus_client import CollectorRegistry, Counter

from realtime.telemetry.tally import Tally, settle


def test_a_counter_says_what_was_counted_once_that_is_settled() -> None:
    registry = CollectorRegistry()
    tally = Tally(Counter("acts", "Acts.", ["kind", "outcome"], registry=registry))

    def said(kind: str, outcome: str) -> float | None:
        return registry.get_sample_value("acts_total", {"kind": kind, "outcome": outcome})

    tally.count("join", "ok")
    tally.count("join", "ok")
    tally.count("join", "refused", by=5)
    tally.count("leave", "ok", by=0)
    assert said("join", "ok") is None
    settle()
    settle()
    assert (said("join", "ok"), said("join", "refused"), said("leave", "ok")) == (2, 5, 0)
    tally.count("join", "ok")
    settle()
    assert said("join", "ok") == 3


def test_a_counter_without_labels() -> None:
    registry = CollectorRegistry()
    tally = Tally(Counter("bytes", "Bytes.", registry=registry))
    tally.count(by=7)
    tally.count()
    settle()
    assert registry.get_sample_value("bytes_total") == 8
