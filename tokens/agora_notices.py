"""Notices of Agora's Notification Center Service (NCS): whether Agora signed one, and what it says.

Written from Agora's documentation, "Receive notifications about channel events" and "Channel event types"
(docs.agora.io, in realtime-media/video/build/optimize-and-operate/receive-notifications and
api-reference/api-ref/rtc/channel-event-types):

    Agora-Signature-V2   HMAC-SHA256 of the body's bytes, keyed with the secret, in lower-case hex
    Agora-Signature      the same with SHA1. Both come with every notice; one is enough
    body                 {noticeId: text, productId: 1 for RTC, eventType, notifyMs, payload}
    payload              {channelName, ts: unix seconds}; of 103 to 112 also uid, and clientSeq, which grows with
                         each event of a user; of those who left also reason

Agora sends a notice again, three times, unless it is answered with 200 and JSON within 10 seconds; it may send one
more than once all the same, and in any order. When it is set up it sends one of each kind, about the channel
`test_webhook`, which must be answered like any other.
"""

import hmac
from enum import IntEnum
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from tokens.errors import NoticeForged, NoticeMalformed

SIGNATURE: Final = "Agora-Signature-V2"

Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_RTC: Final = 1
T = TypeVar("T")


class Event(IntEnum):
    """What happened to a user of a channel, by Agora's number. 107 and 108 are of the communication profile."""

    BROADCASTER_JOINED = 103
    BROADCASTER_LEFT = 104
    AUDIENCE_JOINED = 105
    AUDIENCE_LEFT = 106
    USER_JOINED = 107
    USER_LEFT = 108
    BECAME_BROADCASTER = 111
    BECAME_AUDIENCE = 112


EVENTS: Final = frozenset(Event)


class Notice(Struct, frozen=True):
    """A notice: of which product, what happened, and more about that."""

    id: Annotated[str, Meta(pattern=r"^[!-~]{1,128}\Z")] = msgspec.field(name="noticeId")
    product: Number = msgspec.field(name="productId")
    event: Number = msgspec.field(name="eventType")
    payload: Annotated[Raw, Meta(description="By event: `channelName`, `uid`, `clientSeq`, `ts` and `reason`.")]

    @property
    def moves(self) -> bool:
        """Tell whether it says that somebody has come into a channel, has left it, or has another role in it."""
        return self.product == _RTC and self.event in EVENTS


class Move(Struct, frozen=True):
    """Who moved, when by Agora's clock in unix seconds, and as the how-manieth thing that this user did."""

    uid: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    client_seq: Annotated[int, Meta(ge=0, le=2**63 - 1)] = msgspec.field(name="clientSeq")
    ts: Annotated[int, Meta(ge=0, le=2**40)]
    reason: int = 0


class _Channel(Struct, frozen=True):
    name: str = msgspec.field(name="channelName")


def sign(secret: str, body: bytes) -> str:
    """Sign a body as Agora does."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def check(secret: str, body: bytes, signature: str) -> None:
    """Let pass a body that was signed with the secret.

    Raises:
        NoticeForged
    """
    # As bytes: texts can be compared in constant time only if they are ASCII.
    if not hmac.compare_digest(sign(secret, body).encode(), signature.encode("utf-8", "replace")):
        raise NoticeForged


def parse(body: bytes) -> Notice:
    """Read a notice; of its payload, no more than that it is JSON.

    Raises:
        NoticeMalformed
    """
    return _read(body, Notice)


def channel_of(notice: Notice) -> str:
    """Give the channel that a notice is about.

    Raises:
        NoticeMalformed
    """
    return _read(notice.payload, _Channel, "payload: ").name


def move_of(notice: Notice) -> Move:
    """Give who moved, where the notice says that somebody did.

    Raises:
        NoticeMalformed
    """
    return _read(notice.payload, Move, "payload: ")


def _read(text: bytes | Raw, shape: type[T], what: str = "") -> T:
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise NoticeMalformed(f"{what}{exc}"[:200]) from None
