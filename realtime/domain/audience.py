"""Who is in a session on this node, who watches and who has posted, and what of it is still to be told to the rest."""

from msgspec import Struct


class Change(Struct, frozen=True, kw_only=True):
    """What a node has to write of one session: its connections, and users who came, went, and so on."""

    connections: int
    entered: list[str]
    left: list[str]
    began: list[str]
    stopped: list[str]
    posted: list[str]


class Difference:
    """A set of users, and how it differs from what was last written of it."""

    def __init__(self) -> None:
        self._now: set[str] = set()
        self._written: set[str] = set()
        self._touched: set[str] = set()

    def __contains__(self, user: str) -> bool:
        return user in self._now

    def __len__(self) -> int:
        return len(self._now)

    def add(self, user: str) -> bool:
        """Put a user in; tell whether that is news."""
        if user in self._now:
            return False
        self._now.add(user)
        self._touched.add(user)
        return True

    def discard(self, user: str) -> None:
        """Take a user out."""
        if user in self._now:
            self._now.remove(user)
            self._touched.add(user)

    def gone(self) -> list[str]:
        """Give who was taken out and is not back, since the last `take`."""
        return [user for user in self._touched if user not in self._now]

    def take(self) -> tuple[list[str], list[str]]:
        """Give who is to be written in and out, and take it as written."""
        come = [user for user in self._touched if user in self._now and user not in self._written]
        gone = [user for user in self._touched if user not in self._now and user in self._written]
        self._written.update(come)
        self._written.difference_update(gone)
        self._touched.clear()
        return come, gone

    def forget(self) -> None:
        """Take nothing as written: the next difference is everything."""
        self._written.clear()
        self._touched.update(self._now)

    def names(self) -> list[str]:
        """Give who is in, in the order of the names."""
        return sorted(self._now)


class Roster:
    """The users of one session on one node: each there with some connections, of which some may play the video.

    A user is written once, however many connections the user has, and only the difference to what
    was last written is. Synthetic users are never entered. Times are in seconds, of any one clock.
    """

    def __init__(self) -> None:
        self.connections = 0
        self._users = Difference()
        self._watching = Difference()
        self._chatters = Difference()
        self._connections: dict[str, int] = {}
        # Connections that play, and until when that is believed. In the order of their reports, so the first is
        # always the one whose time is up first.
        self._playing: dict[str, tuple[str, float]] = {}
        self._players: dict[str, int] = {}
        # Who is in the video channel, as Agora says.
        self._channel: set[str] = set()

    def __contains__(self, user: str) -> bool:
        return user in self._users

    @property
    def users(self) -> int:
        """Count the distinct users."""
        return len(self._users)

    @property
    def watching(self) -> int:
        """Count the users who watch."""
        return len(self._watching)

    @property
    def chatters(self) -> int:
        """Count the users who are here and have posted."""
        # Those who have gone are chatters until that is taken.
        return len(self._chatters) - sum(user in self._chatters for user in self._users.gone())

    def names(self) -> list[str]:
        """Give the users, by name."""
        return self._users.names()

    def watches(self, user: str) -> bool:
        """Tell whether a user watches."""
        return user in self._watching

    def enter(self, user: str) -> None:
        """Count one more connection of `user`."""
        self._connections[user] = self._connections.get(user, 0) + 1
        self.connections += 1
        self._users.add(user)

    def leave(self, user: str, connection: str) -> None:
        """Count a connection of `user` less."""
        self.stop(connection)
        left = self._connections[user] - 1
        self.connections -= 1
        if left:
            self._connections[user] = left
        else:
            del self._connections[user]
            self._users.discard(user)
            self.leave_channel(user)

    def play(self, user: str, connection: str, until: float) -> bool:
        """Believe a connection of `user` to play until then; tell whether the user begins to watch."""
        if self._playing.pop(connection, None) is None:
            self._players[user] = self._players.get(user, 0) + 1
        self._playing[connection] = (user, until)
        return self._watching.add(user)

    def stop(self, connection: str) -> str | None:
        """Believe a connection to play no more; give its user, where that one watches no more."""
        played = self._playing.pop(connection, None)
        if played is None:
            return None
        user, _ = played
        self._players[user] -= 1
        if self._players[user]:
            return None
        del self._players[user]
        return self._stop_watching(user)

    def join_channel(self, user: str) -> bool:
        """Believe a user who is here to be in the video channel; tell whether the user begins to watch."""
        if user not in self._users:
            return False
        self._channel.add(user)
        return self._watching.add(user)

    def leave_channel(self, user: str) -> bool:
        """Believe a user to be in the video channel no more, and no report from before; tell whether that ends it."""
        watched = user in self._watching
        self._channel.discard(user)
        if user in self._players:
            for connection in [connection for connection, (player, _) in self._playing.items() if player == user]:
                self.stop(connection)
        self._watching.discard(user)
        return watched

    def _stop_watching(self, user: str) -> str | None:
        if user in self._players or user in self._channel:
            return None
        self._watching.discard(user)
        return user

    def expire(self, now: float) -> list[str]:
        """Believe no report for longer than it was good; give the users who watch no more."""
        over = []
        for connection, (_, until) in self._playing.items():
            if until > now:
                break
            over.append(connection)
        return [user for connection in over if (user := self.stop(connection)) is not None]

    def post(self, user: str) -> bool:
        """Take note that a user has posted; tell whether that makes a new chatter of one who is here."""
        return user in self._users and self._chatters.add(user)

    def take(self) -> Change:
        """Give what is to be written, and take it as written."""
        for user in self._users.gone():
            # Not before: whoever is back by then has not left, as far as anybody else knows.
            self._chatters.discard(user)
        entered, left = self._users.take()
        began, stopped = self._watching.take()
        # That those who leave are no chatters any more goes without saying.
        posted, _ = self._chatters.take()
        return Change(
            connections=self.connections, entered=entered, left=left, began=began, stopped=stopped, posted=posted
        )

    def forget(self) -> None:
        """Take nothing as written: the next change tells everything again."""
        for difference in (self._users, self._watching, self._chatters):
            difference.forget()
