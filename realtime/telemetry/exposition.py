"""The metrics as Prometheus reads them, of this process or of all workers together."""

import asyncio
import os

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, multiprocess

from realtime.telemetry.tally import settle


async def exposition() -> bytes:
    """Give the text exposition. Workers share a folder, named in the environment, and answer for all."""
    # On the loop, like all counting: a tally that is settled by another thread loses what is counted meanwhile.
    settle()
    return await asyncio.to_thread(_text)


def _text() -> bytes:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # prometheus-client leaves it untyped
    return generate_latest(registry)
