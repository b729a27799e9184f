"""How often users and addresses may do things: token buckets, and the table of what they hold.

A bucket holds `burst` tokens at most, gets `rate` of them a second, and each thing done takes one. It is decided on
the spot, by the node's own bucket. What was taken is told to a shared bucket now and then, and its level is taken over
where it is lower by more than being told late explains. So one node never gives more than `rate * t + burst`, and alone
never less. And `n` nodes that tell every `d` seconds, and are told late by `2 * d` at most, never give more than
`rate * t + n * burst + 2 * n * rate * d` together, for the shared bucket goes below zero: what was given too much is
worked off before anybody gives more.

Times are seconds, of one clock that may stand still; when it is put back, nothing is filled until it is where it was.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import islice
from math import ceil
from typing import Final, TypeAlias

from msgspec import Struct

from tokens.access import AccessRole

# What sums of many small refills may lack, so that who has waited as told is let through.
_NEARLY: Final = 1 - 1e-9
# A second. At a lower rate, which only a table that was changed by hand has, a wait is no number that can be told.
MIN_RATE: Final = 0.001


class Action(StrEnum):
    """What is counted by itself: users' commands and requests; `handshake` and `http` for each address."""

    CHAT = "chat"
    DELETE = "delete"
    REACT = "react"
    TYPING = "typing"
    PLAYBACK = "playback"
    JOIN = "join"
    READ = "read"
    SESSION = "session"
    DIRECT = "direct"
    TOKEN = "token"  # noqa: S105 - the name of an action
    HELLO = "hello"
    OTHER = "other"
    HANDSHAKE = "handshake"
    HTTP = "http"


class RateRole(StrEnum):
    """Whom a limit is for: users, by what their access token says, or an address."""

    VIEWER = "viewer"
    STAFF = "staff"
    ADMIN = "admin"
    SYNTHETIC = "synthetic"
    ADDRESS = "address"


class Limit(Struct, frozen=True):
    """How often: `rate` a second for long, `burst` at once."""

    rate: float
    burst: int


Key: TypeAlias = tuple[Action, RateRole]
Table: TypeAlias = Mapping[Key, Limit]

# Of each action: a viewer's limit, and that of sellers and moderators. Far from what people do, so that nobody who
# talks fast, comes back often or pages through a long evening meets them; what a session allows is for slow mode.
_PEOPLE: Final = {
    Action.CHAT: (Limit(10, 50), Limit(20, 200)),
    Action.DELETE: (Limit(5, 20), Limit(20, 200)),
    Action.REACT: (Limit(10, 30), Limit(10, 30)),
    Action.TYPING: (Limit(2, 10), Limit(2, 10)),
    Action.PLAYBACK: (Limit(5, 50), Limit(5, 50)),
    Action.JOIN: (Limit(5, 60), Limit(10, 100)),
    Action.READ: (Limit(20, 200), Limit(20, 200)),
    Action.SESSION: (Limit(5, 20), Limit(20, 200)),
    Action.DIRECT: (Limit(2, 20), Limit(10, 100)),
    Action.TOKEN: (Limit(10, 100), Limit(10, 100)),
    Action.HELLO: (Limit(5, 100), Limit(5, 100)),
    Action.OTHER: (Limit(20, 100), Limit(20, 100)),
}
# An application's backend acts for many; a load tester loads.
_ADMIN: Final = Limit(200, 1000)
_SYNTHETIC: Final = Limit(100_000, 100_000)

DEFAULTS: Final[Table] = {
    **{(action, RateRole.VIEWER): viewer for action, (viewer, _) in _PEOPLE.items()},
    **{(action, RateRole.STAFF): staff for action, (_, staff) in _PEOPLE.items()},
    **{(action, RateRole.ADMIN): _ADMIN for action in _PEOPLE},
    **{(action, RateRole.SYNTHETIC): _SYNTHETIC for action in _PEOPLE},
    # Behind one address may be a whole carrier, and all of it comes back after a crash. A tenth of what a node takes.
    (Action.HANDSHAKE, RateRole.ADDRESS): Limit(200, 2000),
    (Action.HTTP, RateRole.ADDRESS): Limit(200, 2000),
}


def rate_role(role: AccessRole, *, synthetic: bool) -> RateRole:
    """Give whose limits a user has."""
    if synthetic:
        return RateRole.SYNTHETIC
    if role is AccessRole.ADMIN:
        return RateRole.ADMIN
    return RateRole.VIEWER if role is AccessRole.VIEWER else RateRole.STAFF


def merged(changed: Iterable[tuple[str, str, Limit]]) -> Table:
    """Give the table with what was changed in it; what no such row is known here is of another version."""
    named = {(str(action), str(role)): (action, role) for action, role in DEFAULTS}
    return {
        **DEFAULTS,
        **{
            named[action, role]: Limit(max(limit.rate, MIN_RATE), limit.burst)
            for action, role, limit in changed
            if (action, role) in named
        },
    }


class Bucket:
    """The tokens that one subject has for one action, and how many taken ones are still `unsent`."""

    __slots__ = ("at", "level", "limit", "unsent")

    def __init__(self, limit: Limit, now: float) -> None:
        self.limit = limit
        self.level = float(limit.burst)
        self.at = now
        self.unsent = 0

    def take(self, limit: Limit, now: float) -> int:
        """Take a token, and give 0; or give after how many milliseconds there will be one."""
        self.limit = limit
        self.refill(now)
        if self.level < _NEARLY:
            return max(ceil((1 - self.level) / limit.rate * 1000), 1)
        self.level -= 1
        self.unsent += 1
        return 0

    def refill(self, now: float) -> None:
        """Put in what is due by now."""
        self.level = min(self.level + max(now - self.at, 0) * self.limit.rate, self.limit.burst)
        self.at = max(now, self.at)

    def spend(self, tokens: int, now: float) -> float:
        """Take out tokens that were given elsewhere, more than there are if need be, and give the level."""
        self.refill(now)
        self.level -= tokens
        return self.level

    def settle(self, shared: float, late: float) -> None:
        """Take over the level of the shared bucket, as it was when everything that is not `unsent` was told to it.

        It may have been told `late` by so many seconds, and lack what it could not get meanwhile, as it was full.
        """
        self.level = min(self.level, shared - self.unsent + self.limit.rate * late)

    def full(self, now: float) -> bool:
        """Tell whether it is as good as new."""
        self.refill(now)
        return self.level >= self.limit.burst and not self.unsent


class Spent(Struct, frozen=True):
    """What was taken from a bucket since that was told last."""

    key: str
    limit: Limit
    tokens: int


class Buckets:
    """The buckets of one node, by any key, `most` at most: the one that was used least recently gives way."""

    def __init__(self, most: int) -> None:
        self._most = most
        # In the order in which they were used last. The first of a plain dict is found ever more slowly, the more were
        # taken out before it.
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._unsent: dict[str, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, limit: Limit, now: float) -> int:
        """Take a token, and give 0; or give after how many milliseconds there will be one."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = self._make(limit, now)
        self._buckets.move_to_end(key)
        wait = bucket.take(limit, now)
        if not wait:
            self._unsent[key] = bucket
        return wait

    def _make(self, limit: Limit, now: float) -> Bucket:
        if len(self._buckets) >= self._most:
            oldest, _ = self._buckets.popitem(last=False)
            self._unsent.pop(oldest, None)
        return Bucket(limit, now)

    def tell(self, most: int) -> list[Spent]:
        """Give what is to be told to the shared buckets, of so many at most. It counts as told from then on."""
        told = list(islice(self._unsent.items(), most))
        spent = [Spent(key, bucket.limit, bucket.unsent) for key, bucket in told]
        for key, bucket in told:
            bucket.unsent = 0
            del self._unsent[key]
        return spent

    def settle(self, key: str, shared: float, late: float) -> None:
        """Take over the level of a shared bucket, which was told `late` by so many seconds at most."""
        if bucket := self._buckets.get(key):
            bucket.settle(shared, late)

    def sweep(self, now: float, most: int) -> None:
        """Drop what is as good as new, among so many that were not used for longest."""
        for key in [key for key, bucket in islice(self._buckets.items(), most) if bucket.full(now)]:
            del self._buckets[key]
