"""How long users watch, gathered on one node between two writes.

A node writes of each user when it was there and how long it watched. What two nodes, or two writes, say of the same
time is taken apart where it is stored.
"""

from collections import OrderedDict
from math import inf

from msgspec import Struct


class Note(Struct):
    """What is to be written of one user in one session. Times are in seconds, of the node's clock.

    The user was there from `since` to `until`, and watched for `watched` seconds between `began` and `ended`.
    """

    since: float
    until: float
    began: float
    ended: float
    watched: float = 0.0


Key = tuple[str, str]


class WatchTime:
    """Gathers notes by session and user, `limit` of them at most: the oldest give way."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # The oldest first. A plain dict is slow at forgetting them one by one.
        self._notes: OrderedDict[Key, Note] = OrderedDict()
        # Who watches: from when on, and until when that is believed.
        self._watching: dict[Key, tuple[float, float]] = {}
        self.lost = 0

    def __len__(self) -> int:
        return len(self._notes)

    def see(self, session: str, user: str, now: float) -> None:
        """Take note that a user is there."""
        self._note((session, user), now, now, 0.0)

    def start(self, session: str, user: str, now: float, until: float = inf) -> None:
        """Take note that a user watches, and is believed to until then, or until that is said again."""
        began, before = self._watching.get((session, user), (now, now))
        self._watching[session, user] = began, max(before, until)

    def stop(self, session: str, user: str, now: float) -> None:
        """Take note that a user watches no more."""
        watching = self._watching.pop((session, user), None)
        if watching is not None:
            began, until = watching
            self._watched((session, user), began, min(now, until))

    def take(self, now: float) -> dict[Key, Note]:
        """Give all notes up to now, and begin anew."""
        for key, (began, until) in self._watching.items():
            # What is noticed late, as by a process that stood still, was believed no longer for that.
            ended = min(now, until)
            self._watched(key, began, ended)
            self._watching[key] = ended, until
        notes, self._notes = self._notes, OrderedDict()
        return notes

    def keep(self, notes: dict[Key, Note]) -> None:
        """Take back what could not be written. It is older than all that was gathered since."""
        newer, self._notes = self._notes, OrderedDict(notes)
        for key, note in newer.items():
            self._merge(key, note)
        self._bound()

    def _watched(self, key: Key, began: float, ended: float) -> None:
        self._note(key, began, ended, ended - began)

    def _note(self, key: Key, since: float, until: float, watched: float) -> None:
        self._merge(key, Note(since, until, since, until, watched))
        self._bound()

    def _merge(self, key: Key, newer: Note) -> None:
        note = self._notes.get(key)
        if note is None:
            self._notes[key] = newer
            return
        note.until = max(note.until, newer.until)
        if newer.watched:
            note.began = note.began if note.watched else newer.began
            note.ended = newer.ended
            note.watched += newer.watched

    def _bound(self) -> None:
        while len(self._notes) > self._limit:
            self._notes.popitem(last=False)
            self.lost += 1
