"""Counters of the hot path: they say what was counted when somebody looks."""

import threading

import pytest
from prometheus_client import CollectorRegistry, Counter

from realtime.telemetry import tally as tally_module
from realtime.telemetry.tally import Tally, settle
from tests.support.nodes import RunningNode


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


async def test_whoever_asks_for_metrics_settles_nothing_beside_the_loop(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    class Spy(Tally):
        def settle(self) -> None:
            """Note by whom it is settled."""
            threads.append(threading.get_ident())
            super().settle()

    monkeypatch.setattr(tally_module, "_TALLIES", [])
    Spy(Counter("spied", "Spied.", registry=CollectorRegistry()))
    assert (await node.request("GET", "/metrics")).status_code == 200
    # What another thread settles loses what the loop counts meanwhile.
    assert set(threads) == {threading.get_ident()}
