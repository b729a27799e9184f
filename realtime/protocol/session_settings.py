"""What a session's host may set, and a wish to change some of it."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from realtime.protocol.types import MAX_INTEGER

MAX_SLOW_MODE = 3600
# BCP 47 (RFC 5646) in outline: which subtags are registered, nobody checks. What follows the `$` keeps a line feed
# out, which it alone would let pass in Python.
_LANGUAGE = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$(?!\n)"
# A URL in ASCII (RFC 3986), without credentials, and without anything that ends an attribute or a CSS url().
_COVER = r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][!#-&*-;=?-Z\[\]_a-z~]*)?$(?!\n)"


class ChatMode(StrEnum):
    """Which viewers may chat."""

    ALL = "all"
    FOLLOWERS = "followers"
    NOBODY = "nobody"


SlowMode = Annotated[int, Meta(ge=0, le=MAX_SLOW_MODE, description="Seconds between messages of one viewer; 0 is off.")]
MaxMessage = Annotated[int, Meta(ge=1, le=MAX_INTEGER, description="Characters of a message at most.")]
Language = Annotated[str, Meta(pattern=_LANGUAGE, max_length=35, description="A language tag, as in BCP 47.")]
Cover = Annotated[str, Meta(pattern=_COVER, max_length=2048, description="A picture, as an `https` URL.")]
Metadata = Annotated[dict[str, Any], Meta(description="Whatever the application wants to keep here.")]


Limit = Annotated[int, Meta(ge=0, le=366 * 86_400_000, description="Milliseconds; 0 is no limit.")]


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a session may be without a host, or in a state, in milliseconds. Where nothing is given, the server's.

    `grace` is how long no host may be connected before it is interrupted, and 0 is at once; `away` how long it is
    interrupted then, `scheduled` and `paused` how long it may be that, `longest` how long it may take, and `empty` how
    long nobody but its hosts may be there, before it ends.
    """

    grace: Limit | UnsetType = UNSET
    away: Limit | UnsetType = UNSET
    scheduled: Limit | UnsetType = UNSET
    paused: Limit | UnsetType = UNSET
    longest: Limit | UnsetType = UNSET
    empty: Limit | UnsetType = UNSET


class SessionSettings(Struct, frozen=True, kw_only=True):
    """How a session is set. What has no value is left out."""

    chat: ChatMode = ChatMode.ALL
    slow_mode: SlowMode = 0
    links: bool = True
    private: bool = False
    max_message: MaxMessage | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    cover: Cover | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    limits: Limits | UnsetType = UNSET


class Change(Struct, frozen=True, kw_only=True):
    """What is to be set otherwise, and the title. What is left out stays; null takes a value away."""

    title: str | UnsetType = UNSET
    chat: ChatMode | UnsetType = UNSET
    slow_mode: SlowMode | UnsetType = UNSET
    links: bool | UnsetType = UNSET
    private: bool | UnsetType = UNSET
    max_message: MaxMessage | UnsetType | None = UNSET
    language: Language | UnsetType | None = UNSET
    cover: Cover | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    limits: Limits | UnsetType | None = UNSET


def change_of(asked: Struct) -> Change:
    """Give what a command or a body wants to change that has the fields of a `Change` among others."""
    return Change(**{name: getattr(asked, name) for name in Change.__struct_fields__})
