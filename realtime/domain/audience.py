"""Who of this node's connections watches a session, and what of it is still to be told to the rest."""

from msgspec import Struct


class Change(Struct, frozen=True):
    """What a node has to write of one session: users that came and went, and its connections."""

    entered: list[str]
    left: list[str]
    connections: int


class Roster:
    """The users of one session on one node, each with a count of connections.

    A user is written once, however many connections the user has, and only the difference to what
    was last written is. Synthetic users are never entered.
    """

    def __init__(self) -> None:
        self.connections = 0
        self._users: dict[str, int] = {}
        self._written: set[str] = set()
        self._touched: set[str] = set()

    def __contains__(self, user: str) -> bool:
        return user in self._users

    def enter(self, user: str) -> None:
        """Count one more connection of `user`."""
        self._users[user] = self._users.get(user, 0) + 1
        self.connections += 1
        self._touched.add(user)

    def leave(self, user: str) -> None:
        """Count one connection of `user` less."""
        left = self._users[user] - 1
        if left:
            self._users[user] = left
        else:
            del self._users[user]
        self.connections -= 1
        self._touched.add(user)

    @property
    def users(self) -> int:
        """Count the distinct users."""
        return len(self._users)

    @property
    def written(self) -> int:
        """Count the users that are taken as written."""
        return len(self._written)

    def take(self) -> Change:
        """Give what is to be written, and take it as written."""
        entered = [user for user in self._touched if user in self._users and user not in self._written]
        left = [user for user in self._touched if user not in self._users and user in self._written]
        self._written.update(entered)
        self._written.difference_update(left)
        self._touched.clear()
        return Change(entered, left, self.connections)

    def forget(self) -> None:
        """Take nothing as written: the next change tells everything again."""
        self._written.clear()
        self._touched.update(self._users)
