"""The asyncio client of Stagewire, the realtime server for live sessions and chat."""

from stagewire_client.audience import Audience
from stagewire_client.connection import Edges, TokenSource
from stagewire_client.delivery import Delivery
from stagewire_client.errors import (
    Code,
    Dropped,
    Failed,
    Full,
    Lost,
    NotSignedIn,
    Refused,
    StagewireError,
    StorageError,
    Unreachable,
)
from stagewire_client.live import Stagewire
from stagewire_client.messages import (
    Ack,
    AgoraToken,
    Entry,
    Event,
    Gap,
    Inbox,
    Page,
    Position,
    Push,
    Quality,
    Signal,
    Snapshot,
)
from stagewire_client.notices import Notice
from stagewire_client.outbox import DeliveryState, Draft
from stagewire_client.policy import Reason, State, Status
from stagewire_client.session import Session
from stagewire_client.settings import Settings
from stagewire_client.storage import FileStorage, MemoryStorage, Storage
from stagewire_client.stream import Stream
from stagewire_client.timeline import Message

__all__ = [
    "Ack",
    "AgoraToken",
    "Audience",
    "Code",
    "Delivery",
    "DeliveryState",
    "Draft",
    "Dropped",
    "Edges",
    "Entry",
    "Event",
    "Failed",
    "FileStorage",
    "Full",
    "Gap",
    "Inbox",
    "Lost",
    "MemoryStorage",
    "Message",
    "NotSignedIn",
    "Notice",
    "Page",
    "Position",
    "Push",
    "Quality",
    "Reason",
    "Refused",
    "Session",
    "Settings",
    "Signal",
    "Snapshot",
    "Stagewire",
    "StagewireError",
    "State",
    "Status",
    "Storage",
    "StorageError",
    "Stream",
    "TokenSource",
    "Unreachable",
]
