"""The metrics as Prometheus reads them, of this process or of all workers together."""

import os

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, multiprocess

from realtime.telemetry.tally import settle


def exposition() -> bytes:
    """Give the text exposition. Workers share a folder, named in the environment, and answer for all."""
    settle()
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # prometheus-client leaves it untyped
    return generate_latest(registry)
