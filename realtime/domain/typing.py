"""Who types in one session, as one node knows it, and when that is to be told to whom.

A node tells its own typers to the other nodes, with the time that each has left; every node puts together for its
own connections what it knows. So what was lost on the way is gone when its time is up.
"""

from collections.abc import Mapping

from msgspec import Struct

# Names in one signal; the others are only counted.
NAMES = 3


class Pace(Struct, frozen=True):
    """How typing is told, in milliseconds: `gap` lies between two signals, `lifetime` is how long one `on` counts.

    At most `most` users of each node are known.
    """

    gap: int
    lifetime: int
    most: int


class View(Struct, frozen=True):
    """What clients are told: some of the users who type, by name, and how many there are."""

    users: tuple[str, ...] = ()
    count: int = 0


class _Typer(Struct, frozen=True):
    """A user of this node who types, until when, and on which connection."""

    until: int
    where: str


class Typing:
    """The typers of one session. Times are milliseconds, of one clock."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._own: dict[str, _Typer] = {}
        self._others: dict[str, dict[str, int]] = {}
        self._told = View()
        self._told_at: int | None = None
        self._changed = False
        self._hinted_at: int | None = None

    def begin(self, user: str, where: str, now: int) -> None:
        """Take note that a user types, on the connection `where`."""
        if user in self._own or len(self._own) < self._pace.most:
            self._own[user] = _Typer(now + self._pace.lifetime, where)
            self._changed = True

    def end(self, user: str, where: str | None = None) -> None:
        """Take note that a user types no more: on that connection, if one is named."""
        typer = self._own.get(user)
        if typer is not None and where in (None, typer.where):
            del self._own[user]
            self._changed = True

    def hear(self, node: str, left: Mapping[str, int], now: int) -> None:
        """Take note of who types on another node, and for how many milliseconds that counts."""
        bound = self._pace.lifetime
        self._others[node] = {user: now + min(left[user], bound) for user in list(left)[: self._pace.most]}

    @property
    def told(self) -> View:
        """Give what clients were told last."""
        return self._told

    def signal(self, now: int, *, quiet: bool = False) -> View | None:
        """Give what clients are to be told now, if anything; `quiet` tells them that nobody types.

        That nobody types any more is told at once, everything else when the gap has passed since the last signal.
        Whoever goes on typing is told again, for those who have come since.
        """
        self._forget(now)
        view = View() if quiet else self._view()
        if view.count:
            if not _passed(self._told_at, self._pace.lifetime if view == self._told else self._pace.gap, now):
                return None
        elif not self._told.count:
            return None
        self._told, self._told_at = view, now
        return view

    def hint(self, now: int) -> dict[str, int] | None:
        """Give what the other nodes are to be told now, if anything: who types here, and what time each has left.

        That nobody types here any more is told at once; that time was up, each of them finds out.
        """
        self._forget(now)
        if not self._changed or (self._own and not _passed(self._hinted_at, self._pace.gap, now)):
            return None
        self._changed, self._hinted_at = False, now
        return {user: typer.until - now for user, typer in self._own.items()}

    def idle(self, now: int) -> bool:
        """Tell whether there is nothing to remember, not even that something has just been told."""
        busy = self._own or self._others or self._told.count or self._changed
        gap = self._pace.gap
        return not busy and _passed(self._told_at, gap, now) and _passed(self._hinted_at, gap, now)

    def _view(self) -> View:
        users = sorted({*self._own, *(user for typers in self._others.values() for user in typers)})
        return View(tuple(users[:NAMES]), len(users))

    def _forget(self, now: int) -> None:
        self._own = {user: typer for user, typer in self._own.items() if typer.until > now}
        others = {
            node: {user: until for user, until in typers.items() if until > now}
            for node, typers in self._others.items()
        }
        self._others = {node: typers for node, typers in others.items() if typers}


def _passed(since: int | None, wait: int, now: int) -> bool:
    return since is None or now >= since + wait
