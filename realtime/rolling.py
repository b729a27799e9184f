"""Replaces the workers of `serve --workers` one by one: the next one goes only when the one before has come."""

from collections import deque
from collections.abc import Iterable

import structlog
from prometheus_client.values import MultiProcessValue

from realtime.telemetry.metrics import ROLLS
from realtime.worker import Worker

log = structlog.get_logger("workers")


class Roll:
    """One round. `step` is called again and again, and never waits. Times are seconds.

    A process that is to replace another has `ready_within` to serve, and the other `leave_within` to end. Where one
    does not get ready the round ends, and those that it has not come to stay.
    """

    def __init__(self, workers: Iterable[Worker], ready_within: float, leave_within: float) -> None:
        self._ready_within = ready_within
        self._leave_within = leave_within
        self._waiting = deque(workers)
        self._worker: Worker | None = None
        self._deadline = 0.0
        log.info("roll begun", workers=len(self._waiting))

    def step(self, now: float) -> bool:
        """Do what can be done now; tell whether the round is over."""
        worker = self._worker
        if worker is None:
            return self._go_on(now)
        if worker.coming is None:
            return self._see_off(worker, now)
        if worker.coming.look():
            self._replace(worker, now)
        elif worker.coming.code is not None or now >= self._deadline:
            return self._give_up(worker)
        return False

    def _go_on(self, now: float) -> bool:
        if not self._waiting:
            log.info("roll ended")
            _count("done")
            return True
        self._worker = self._waiting.popleft()
        self._worker.invite(now)
        self._deadline = now + self._ready_within
        return False

    def _replace(self, worker: Worker, now: float) -> None:
        worker.replace()
        self._deadline = now + self._leave_within

    def _see_off(self, worker: Worker, now: float) -> bool:
        if worker.going is not None and worker.going.code is None and now < self._deadline:
            return False
        worker.see_off()
        self._worker = None
        return self._go_on(now)

    def _give_up(self, worker: Worker) -> bool:
        assert worker.coming is not None
        log.error("roll stopped", pid=worker.coming.pid, code=worker.coming.code, left=len(self._waiting) + 1)
        worker.turn_away()
        _count("stopped")
        return True


def _count(outcome: str) -> None:
    """Count a round where the workers' metrics are: this process serves none."""
    [metric] = ROLLS.describe()
    value = _value(metric.type, metric.name, f"{metric.name}_total", ("outcome",), (outcome,), metric.documentation)
    value.inc(1)


_value = MultiProcessValue()  # type: ignore[no-untyped-call] # prometheus-client leaves it untyped
