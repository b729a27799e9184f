"""Tells each client how good its connection is: measured by heartbeats, told when that has changed."""

from realtime.domain.quality import Measured, Thresholds, measure, spoil, worth_telling
from realtime.peer import Peer
from realtime.protocol.events import QualityPush
from realtime.settings import Settings
from realtime.telemetry import metrics
from realtime.transport import Connection


def heard(connection: Connection, peer: Peer, pinged: int, settings: Settings) -> None:
    """Take note of the answer to a heartbeat of `pinged`, in milliseconds of the loop's clock."""
    rtt = max(0, connection.heard_ms - pinged)
    metrics.RTT.observe(rtt / 1000)
    thresholds = Thresholds(settings.quality_good_ms, settings.quality_fair_ms)
    _tell(connection, peer, measure(rtt, thresholds, behind=connection.behind))


def missed(connection: Connection, peer: Peer) -> None:
    """Take note that an answer is missing, or that the reader is behind."""
    _tell(connection, peer, spoil(peer.quality))


def _tell(connection: Connection, peer: Peer, new: Measured) -> None:
    if worth_telling(peer.quality, new):
        peer.quality = new
        connection.send(QualityPush(rtt_ms=new.rtt, quality=new.quality))
