"""What is known of one session, by what was heard of it. Pure."""

from typing import Literal

from msgspec import Struct

from stagewire_client import audience as audiences
from stagewire_client.audience import Audience
from stagewire_client.messages import Event, Gap, Joined, MediaClock, Position, Signal, Snapshot
from stagewire_client.snapshot import advance
from stagewire_client.timeline import Compared, Timeline

Since = Position | Literal["last"]
_UNKNOWN = MediaClock(0, 0, running=False)


class Typists(Struct, frozen=True):
    """Who types: some by name, and how many there are; as of `heard`, by the loop's clock."""

    users: tuple[str, ...] = ()
    count: int = 0
    heard: float = 0.0


class View:
    """Before the first `enter` the snapshot is empty, and there is no position."""

    def __init__(self, session: str, user: str, since: Since | None, window: int) -> None:
        self.snapshot = Snapshot(
            id=session, host="", title="", state="", version=0, created_at=0, since=0, media=_UNKNOWN
        )
        self.role = "viewer"
        self.hosting: bool | None = None
        self.audience = Audience()
        self.typists = Typists()
        self.timeline = Timeline(window)
        # Up to where a heartbeat has proven that nothing is missing.
        self.proven: Position | None = None
        # Whether a heartbeat has told that the log has begun anew.
        self.anew = False
        self._user = user
        self._since = since

    @property
    def since(self) -> Since | None:
        """Give from where to join."""
        return self.timeline.position or self._since

    @property
    def amiss(self) -> bool:
        """Tell whether something is known to be missing."""
        return self.anew or self.timeline.missing

    def enter(self, since: Since | None, joined: Joined) -> list[Event | Gap]:
        """Go on from where a join that was made with `since` says we are, and give what is new."""
        self.snapshot, self.role, self.hosting = joined.session, joined.role, joined.hosting
        self.audience = audiences.told(joined.audience, joined.present)
        self.anew = False
        if not joined.complete:
            return [self._begin_anew(since, joined.position), *self.merge(joined.events)]
        if self.timeline.position is None:
            first = since.seq if isinstance(since, Position) else joined.position.seq - len(joined.events)
            self.timeline.reset(Position(joined.position.epoch, first))
        return list(self.merge(joined.events))

    def _begin_anew(self, since: Since | None, position: Position) -> Gap:
        self.timeline.reset(position)
        if isinstance(since, Position) and since.epoch == position.epoch and since.seq < position.seq:
            return Gap(since.seq + 1, position.seq)
        return Gap()

    def merge(self, events: list[Event]) -> list[Event]:
        """Take events in, and give those that are next in line now."""
        in_line = self.timeline.merge(events)
        for event in in_line:
            self.snapshot = advance(self.snapshot, event)
            if event.kind == "session.role" and event.body.get("user") == self._user:
                self.role = event.body["role"]
        return in_line

    def compare(self, head: Position) -> None:
        """Hold what a heartbeat says against what there is."""
        compared = self.timeline.compare(head)
        if compared is Compared.COMPLETE:
            self.proven = head
        self.anew = compared is Compared.ANEW

    def signal(self, signal: Signal, now: float) -> None:
        """Take what is not kept."""
        if signal.kind == "audience":
            self.audience = audiences.after(self.audience, signal)
        elif signal.kind == "typing":
            others = tuple(user for user in signal.users if user != self._user)
            self.typists = Typists(others, signal.count - (len(signal.users) - len(others)), now)

    def typing(self, now: float, fades: float) -> Typists:
        """Give who types at `now`: nobody, if that was not told again for `fades` seconds."""
        return self.typists if now - self.typists.heard < fades else Typists()
