"""What an event makes of a session's snapshot. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import structs

from stagewire_client.messages import Event, MediaClock, Snapshot

_VIEWER: Final = "viewer"
_LIVE: Final = "live"


def advance(snapshot: Snapshot, event: Event) -> Snapshot:
    """Give the snapshot as it stands after an event; an old event, or one of another kind, changes nothing."""
    body = event.body
    if not event.kind.startswith("session.") or body.get("version", 0) <= snapshot.version:
        return snapshot
    moved = structs.replace(
        _changed(snapshot, body),
        version=body["version"],
        state=body["state"],
        reason=body.get("reason"),
        ends_at=body.get("ends_at"),
        started_at=event.at if event.kind == "session.started" else snapshot.started_at,
        ended_at=event.at if event.kind == "session.ended" else snapshot.ended_at,
    )
    if moved.state == snapshot.state:
        return moved
    media = MediaClock(event.media_ms, event.at, running=moved.state == _LIVE)
    return structs.replace(moved, since=event.at, media=media)


def _changed(snapshot: Snapshot, body: Mapping[str, Any]) -> Snapshot:
    """Take over what an event says of the title, the settings and the members."""
    changes = dict(body.get("changes") or {})
    title = changes.pop("title", snapshot.title)
    settings = {name: value for name, value in {**snapshot.settings, **changes}.items() if value not in (None, {})}
    members = dict(snapshot.members)
    if "user" in body and "role" in body:
        members.pop(body["user"], None)
        if body["role"] != _VIEWER:
            members[body["user"]] = body["role"]
    return structs.replace(snapshot, title=title, settings=settings, members=members)


def media_ms(snapshot: Snapshot, now: int) -> int:
    """Give what the session's clock shows at `now`, the server's time."""
    media = snapshot.media
    return media.ms + max(0, now - media.at) if media.running else media.ms
