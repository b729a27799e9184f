"""The user's inbox, as far as the server has given it."""

from collections import deque

from stagewire_client import inbox
from stagewire_client.messages import Entry, Inbox, Position
from stagewire_client.stream import Stream, Streams


class Mailbox:
    """Holds up to `limit` entries that were not acknowledged, for whoever looks later."""

    def __init__(self, limit: int) -> None:
        self.streams: Streams[Entry] = Streams(limit)
        self._unread: deque[Entry] = deque(maxlen=limit)
        self._given: Position | None = None

    def open(self) -> Stream[Entry]:
        """Give a stream of what was not acknowledged, and of what comes."""
        stream = self.streams.open()
        for entry in self._unread:
            stream.put(entry)
        return stream

    def take_in(self, push: Inbox) -> None:
        """Take what the server gives, some of it for another time."""
        given = inbox.news(self._given, push)
        if self._given is not None and self._given.epoch != push.epoch:
            self._unread.clear()
        self._given = given.position
        for entry in given.entries:
            self._unread.append(entry)
            self.streams.put(entry)

    def acknowledge(self, entry: Entry) -> None:
        """Hold an entry, and all before it, no longer."""
        while self._unread and self._unread[0].id <= entry.id:
            self._unread.popleft()
