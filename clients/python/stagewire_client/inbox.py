"""Which entries of the inbox are news. Pure."""

from msgspec import Struct

from stagewire_client.messages import Entry, Inbox, Position


class Given(Struct, frozen=True):
    """What was given so far, and what of a push is new."""

    position: Position
    entries: list[Entry]


def news(before: Position | None, push: Inbox) -> Given:
    """Give the entries that were not given before. An inbox of another epoch begins anew."""
    known = before.seq if before is not None and before.epoch == push.epoch else 0
    entries = [entry for entry in push.entries if entry.id > known]
    return Given(Position(push.epoch, max(known, push.upto)), entries)
