"""What the conductor and the load processes say to each other, over a pipe.

`Plan` → `Ready`, then `Go` → `Done` and `Finish` → `Result`, as often as one likes. A `Failed` may take the place of
any answer, and the end of the pipe ends the process.
"""

from msgspec import Struct

from bench.asks import Sent
from bench.pace import Flight, Schedule, Window
from bench.sample import Findings

# After the head is known, how long a straggler may take.
GRACE_SECONDS = 10.0


class Plan(Struct, frozen=True, kw_only=True):
    """Who connects to where. Users are numbered from `first` on, and dealt to the sessions in turn.

    No session means hello alone. `hosts` is one at most: the user who has created the sessions.
    With a `dialect`, the server is another one than a Stagewire, with the one room that the sessions name.
    """

    host: str
    port: int
    secret: str
    sessions: list[str]
    first: int
    viewers: int = 0
    samples: int = 0
    senders: int = 0
    hosts: int = 0
    stalled: int = 0
    size: int = 100
    synthetic: bool = True
    dialect: str = ""

    @property
    def connections(self) -> int:
        """Count the connections."""
        return self.viewers + self.samples + self.senders + self.hosts + self.stalled


class Ready(Struct, frozen=True):
    """Everyone is let in."""


class Storm(Struct, frozen=True):
    """Everybody loses the server at the moment `at`, and comes back after up to `spread` ns, `until` a moment.

    With `cut`, viewers and samples are who hangs up; else the server is gone for all, which somebody else sees to.
    """

    at: int
    until: int
    cut: bool
    spread: int


class Back(Struct, frozen=True):
    """How long it took, from the loss on, until each was back who came, and how often they all tried in vain."""

    took: bytes
    in_vain: int


class Go(Struct, frozen=True):
    """Do by these schedules what there is somebody for, by the name of the act; count what arrives in the window.

    With `stall`, those who are there for it read nothing in the window. `storm` is a loss of the server meanwhile.
    """

    acts: dict[str, Schedule | Flight]
    window: Window
    stall: bool = False
    storm: Storm | None = None


class Done(Struct, frozen=True):
    """All is said and done, and answered or overdue."""

    sent: dict[str, Sent]
    back: Back | None = None


class Finish(Struct, frozen=True):
    """The logs go up to these heads, and so many letters were taken: wait for the stragglers, and report."""

    heads: dict[str, int]
    letters: int = 0


class Result(Struct, frozen=True, kw_only=True):
    """What a worker saw. `deliveries` arrived within `window`, as it was really kept.

    `states` are what the samples were told of their sessions'. `resets` counts who had to begin anew, `torn_pages` the
    pages of history with holes; `lost_letters` did not come to the host, and `letters` is how late the others were.
    """

    lost: int
    deliveries: int
    window: Window
    missing: int
    surplus: int
    resets: int
    torn_pages: int
    lost_letters: int
    samples: list[Findings]
    states: list[str]
    latencies: bytes
    letters: bytes


class Failed(Struct, frozen=True):
    """Why a worker could not go on, in one line."""

    reason: str
