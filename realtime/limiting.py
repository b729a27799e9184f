"""How often users and addresses may do what: decided on the spot, and shared with the other nodes soon after.

Nothing that is limited ever waits for Redis or Postgres. While Redis is away each node counts alone; while Postgres
is, the limits stay as they were.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from time import monotonic
from typing import Final

import structlog
from msgspec import Struct

from persistence.buckets import SharedBuckets, Taken
from persistence.errors import StorageError
from persistence.hints import Hints
from persistence.rate_limits import RateLimits, StoredLimit
from persistence.seldom import Seldom
from realtime.bounded import uncount
from realtime.domain.limits import DEFAULTS, Action, Bucket, Buckets, Limit, RateRole, merged, rate_role
from realtime.peer import Peer
from realtime.protocol import commands
from realtime.protocol.codes import Code, Refusal
from realtime.settings import Settings
from realtime.telemetry import metrics
from tokens.access import Identity

# What all nodes follow to learn at once that a limit was changed.
HINTS: Final = "limits"
# Seconds for which Redis is left alone after it did not answer.
PAUSE: Final = 1.0
# Buckets that are told to Redis, and looked at whether they are full, in one beat.
MOST_TOLD: Final = 4096
MOST_SWEPT: Final = 1000
log = structlog.get_logger("limits")
seldom_log = Seldom(log)

_ACTIONS: Final[dict[type[commands.Command], Action]] = {
    commands.ChatSend: Action.CHAT,
    commands.ChatEdit: Action.CHAT,
    commands.ChatDelete: Action.DELETE,
    commands.React: Action.REACT,
    commands.Typing: Action.TYPING,
    commands.Playback: Action.PLAYBACK,
    commands.Join: Action.JOIN,
    commands.History: Action.READ,
    commands.DirectSend: Action.DIRECT,
    commands.AgoraToken: Action.TOKEN,
    commands.TokenRefresh: Action.HELLO,
    **dict.fromkeys(commands.Setting.__args__, Action.SESSION),
    **dict.fromkeys(commands.Hosting.__args__, Action.SESSION),
}


def action_of(command: type[commands.Command]) -> Action:
    """Give as what a command is counted."""
    return _ACTIONS.get(command, Action.OTHER)


class InForce(Struct, frozen=True, omit_defaults=True):
    """A limit as it is: the program's own, unless it says when it was changed, and by whom."""

    role: RateRole
    rate: float
    burst: int
    changed_at: int | None = None
    changed_by: str | None = None


class Limits:
    """Counts for one node."""

    # Set when both exist: each is given to the other.
    hints: Hints

    def __init__(self, stored: RateLimits, shared: SharedBuckets, settings: Settings) -> None:
        self._stored = stored
        self._shared = shared
        self._on = settings.rate_limits
        self._beat = settings.limits_ms / 1000
        self._reload = settings.limits_reload
        self._table = DEFAULTS
        # Apart, so that a flood of addresses drives no user's bucket out.
        self._users = Buckets(settings.limit_buckets)
        self._addresses = Buckets(settings.limit_buckets)
        self._alone_until = 0.0
        self._changed = asyncio.Event()
        self._strikes = Limit(settings.flood_refusals / settings.flood_seconds, settings.flood_refusals)
        # How many connections each user has here.
        self._connections: Counter[str] = Counter()
        self._most_connections = settings.user_connections

    # What is asked on the spot.

    def wait_ms(self, who: Identity, action: Action) -> int:
        """Let a user do something, and give 0; or give how many milliseconds must pass before."""
        role = rate_role(who.role, synthetic=who.synthetic)
        return self._take(self._users, action, role, who.user)

    def wait_ms_of(self, address: str, action: Action) -> int:
        """The same for an address."""
        return self._take(self._addresses, action, RateRole.ADDRESS, address)

    def check(self, who: Identity, action: Action) -> None:
        """Let a user do something.

        Raises:
            Refusal: `rate_limited`.
        """
        if wait := self.wait_ms(who, action):
            raise too_often(wait)

    def enter(self, who: Identity) -> None:
        """Let a user have one more connection.

        Raises:
            Refusal: `rate_limited`.
        """
        self.check(who, Action.HELLO)
        if self._connections[who.user] >= self._most_connections:
            raise Refusal(Code.RATE_LIMITED, f"at most {self._most_connections} connections at a time")
        self._connections[who.user] += 1

    def leave(self, who: Identity) -> None:
        """Count a connection no more that was let in."""
        uncount(self._connections, who.user)

    def strike(self, peer: Peer) -> bool:
        """Count that a connection was refused something; tell whether that makes it a flooder."""
        now = monotonic()
        if peer.strikes is None:
            peer.strikes = Bucket(self._strikes, now)
        return peer.strikes.take(self._strikes, now) > 0

    def __len__(self) -> int:
        """Count the buckets."""
        return len(self._users) + len(self._addresses)

    def _take(self, buckets: Buckets, action: Action, role: RateRole, subject: str) -> int:
        if not self._on:
            return 0
        wait = buckets.take(f"{action}:{subject}", self._table[action, role], monotonic())
        if wait:
            metrics.LIMITED.count(action)
        return wait

    # What goes on beside.

    async def share(self) -> None:
        """Tell the shared buckets what was taken, and learn what is left, for ever."""
        while True:
            await asyncio.sleep(self._beat)
            for buckets in (self._users, self._addresses):
                await self._tell(buckets)
                buckets.sweep(monotonic(), MOST_SWEPT)

    async def _tell(self, buckets: Buckets) -> None:
        # What is not told, because Redis is away, counts here alone.
        spent = buckets.tell(MOST_TOLD)
        if not spent or monotonic() < self._alone_until:
            return
        taken = [Taken(one.key, one.limit.rate, one.limit.burst, one.tokens) for one in spent]
        levels, error = await self._shared.take(taken)
        for key, level in levels.items():
            # A token is told a beat after it was taken, and the way there may take another.
            buckets.settle(key, level, 2 * self._beat)
        if error is not None:
            self._alone_until = monotonic() + PAUSE
            seldom_log.warning("limits alone", reason=str(error))

    # What the limits are.

    async def follow(self) -> None:
        """Take over what was changed, for ever."""
        while True:
            self._changed.clear()
            try:
                self._apply(await self._stored.all())
            except StorageError as exc:
                seldom_log.warning("limits not read", reason=str(exc))
            try:
                async with asyncio.timeout(self._reload):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def hear(self, payload: bytes) -> None:  # noqa: ARG002 - that there is a hint says it all
        """Take a hint: a limit was changed."""
        self._changed.set()

    def _apply(self, stored: Iterable[StoredLimit]) -> None:
        self._table = merged((one.action, one.role, Limit(one.rate, one.burst)) for one in stored)

    async def look(self, action: Action) -> list[InForce]:
        """Give the limits of an action, for each role that has one.

        Raises:
            Unavailable
        """
        stored = {one.role: one for one in await self._stored.all() if one.action == action}
        return [_in_force(role, limit, stored.get(role)) for (of, role), limit in DEFAULTS.items() if of is action]

    async def change(self, action: Action, role: RateRole, limit: Limit, by: str) -> StoredLimit:
        """Change a limit, and give it: here at once, on the other nodes as soon as they hear of it or look.

        Raises:
            Refusal: `bad_request`, nobody of that role is limited so.
            Unavailable
        """
        if (action, role) not in DEFAULTS:
            raise Refusal(Code.BAD_REQUEST, f"{action} is not limited for {role}")
        changed = await self._stored.change(action, role, limit.rate, limit.burst, by)
        log.info("limit changed", action=action, role=role, rate=limit.rate, burst=limit.burst, by=by)
        self.hints.publish(HINTS, b"changed")
        self._table = {**self._table, (action, role): limit}
        return changed


def _in_force(role: RateRole, own: Limit, changed: StoredLimit | None) -> InForce:
    if changed is None:
        return InForce(role, own.rate, own.burst)
    return InForce(role, changed.rate, changed.burst, changed.changed_at, changed.changed_by)


def too_often(wait_ms: int) -> Refusal:
    """Give what those learn who are too fast."""
    return Refusal(Code.RATE_LIMITED, "too often: wait a little", retry_after_ms=wait_ms)
