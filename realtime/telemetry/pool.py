"""What the pool of connections to Postgres does, as metrics."""

from persistence.postgres import Observer
from realtime.telemetry import metrics


class Meter(Observer):
    """Counts what happens to the pool."""

    def waited(self, seconds: float) -> None:
        """Count a wait."""
        metrics.POOL_WAIT.observe(seconds)

    def refused(self) -> None:
        """Count a use that was spared."""
        metrics.SPARED.inc()

    def away(self, is_away: bool) -> None:
        """Tell whether the breaker is open."""
        metrics.AWAY.set(int(is_away))
