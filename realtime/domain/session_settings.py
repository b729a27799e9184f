"""What a session's settings may be, and what a change makes of them. Pure."""

from math import isfinite
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, structs

from realtime.protocol.codes import Code, Refusal
from realtime.protocol.replies import SessionView
from realtime.protocol.session_settings import Change, Limits, SessionSettings
from realtime.protocol.text import clean, is_storable
from realtime.protocol.types import MAX_INTEGER

MAX_METADATA: Final = 4096
MAX_DEPTH: Final = 8
# Postgres writes numbers out in full: one of a few characters could become one of hundreds.
MIN_FRACTION: Final = 1e-6
_NULLABLE: Final = ("max_message", "language", "cover", "metadata", "limits")


class Bounds(Struct, frozen=True):
    """What the server allows at most, in characters."""

    title: int
    message: int


def wanted(change: Change, bounds: Bounds) -> Change:
    """Give a change as it is stored: its title cleaned, and all of it within bounds.

    Raises:
        Refusal: `bad_request` where a value can't be, or there is none at all; `too_large`.
    """
    if change == Change():
        raise Refusal(Code.BAD_REQUEST, "nothing to change")
    if isinstance(change.max_message, int) and change.max_message > bounds.message:
        raise Refusal(Code.BAD_REQUEST, f"max_message is {bounds.message} at most")
    if isinstance(change.metadata, dict):
        check_metadata(change.metadata)
    if isinstance(change.title, str):
        title = clean(change.title, max_characters=bounds.title, max_bytes=4 * bounds.title)
        return structs.replace(change, title=title)
    return change


def check_metadata(metadata: dict[str, Any]) -> None:
    """Let pass what JSON and Postgres can hold, in few bytes.

    Raises:
        Refusal: `bad_request` or `too_large`.
    """
    _check_value(metadata, MAX_DEPTH)
    if len(msgspec.json.encode(metadata)) > MAX_METADATA:
        raise Refusal(Code.TOO_LARGE, f"at most {MAX_METADATA} bytes of metadata")


def _check_value(value: Any, depth: int) -> None:
    if isinstance(value, dict):
        _check_depth(depth)
        for name, inner in value.items():
            _check_value(name, 0)
            _check_value(inner, depth - 1)
            # MessagePack has other names, too.
            if not isinstance(name, str):
                raise Refusal(Code.BAD_REQUEST, "the names in metadata are texts")
    elif isinstance(value, list):
        _check_depth(depth)
        for inner in value:
            _check_value(inner, depth - 1)
    elif not _is_plain(value):
        raise Refusal(Code.BAD_REQUEST, "metadata holds a text or a number that cannot be stored")


def _check_depth(depth: int) -> None:
    if depth <= 0:
        raise Refusal(Code.BAD_REQUEST, f"metadata is at most {MAX_DEPTH} levels deep")


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return is_storable(value)
    if isinstance(value, float):
        return isfinite(value) and (value == 0 or MIN_FRACTION <= abs(value) <= MAX_INTEGER)
    return value is None or (isinstance(value, int) and abs(value) <= MAX_INTEGER)


def merge(settings: SessionSettings, change: Change) -> SessionSettings:
    """Give the settings after a change."""
    given = {name: getattr(change, name) for name in SessionSettings.__struct_fields__}
    changed = {name: value for name, value in given.items() if value is not UNSET}
    cleared = {name: UNSET for name in _NULLABLE if getattr(change, name) in (None, {}, Limits())}
    return structs.replace(settings, **{**changed, **cleared})


def applied(view: SessionView, change: Change) -> SessionView:
    """Give the snapshot after a change."""
    title = view.title if change.title is UNSET else change.title
    return structs.replace(view, title=title, settings=merge(view.settings, change))
