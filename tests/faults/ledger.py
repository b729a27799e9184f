"""What is written down while a run lasts: compact, because there are millions of it."""

from array import array
from collections import Counter
from time import monotonic

from msgspec import Struct

from tests.faults.checker import Entry, History, Run, Send
from tests.faults.line import Event

MOST_COMPLAINTS = 200


class Leg(Struct):
    """What one reader received after one join, on the node of that number.

    `times` are those of the entries, on the harness's clock; 0 for what came with the join.
    """

    node: int
    began: float
    after: int
    reset: bool
    entries: list[Entry]
    times: "array[float]"

    def run(self) -> Run:
        """Give it to the checker."""
        return Run(self.after, self.entries, self.reset)


class Ledger:
    """One session's."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.sends: list[Send] = []
        self.readers: dict[str, list[Leg]] = {}
        self.pages: list[Run] = []
        self.acked_at: array[float] = array("d", [0.0])
        self.resets = 0
        # Of those, the ones for which a node had no good reason: it lacked what was asked for, and Postgres had it.
        self.needless = 0
        self._story: dict[int, Entry] = {}

    def note_ack(self, send: Send) -> None:
        """Remember when an event was first acknowledged."""
        self.acked_at.extend(0.0 for _ in range(len(self.acked_at), send.seq + 1))
        if not self.acked_at[send.seq]:
            self.acked_at[send.seq] = send.answered

    def entry(self, event: Event) -> Entry:
        """Give what was received as an entry."""
        return self.pushed(event.seq, event.by, event.key, event.body.text)

    def pushed(self, seq: int, by: str, key: str | None, text: str | None) -> Entry:
        """Give an entry. Where all received alike it is kept once."""
        entry = Entry(seq, by, key, text)
        known = self._story.setdefault(seq, entry)
        return known if known == entry else entry

    def history(self, log: list[Entry]) -> History:
        """Give all of it to the checker."""
        readers = {name: [leg.run() for leg in legs] for name, legs in self.readers.items()}
        return History(self.sends, log, readers, self.pages)


class Book:
    """All of a run's: a ledger for each session, and what concerns none of them alone."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.ledgers: list[Ledger] = []
        self.acks: array[float] = array("d")
        self.refusals: Counter[str] = Counter()
        self.closes: Counter[int] = Counter()
        self.complaints: list[str] = []
        self.resent = 0
        self.lines = 0

    def complain(self, about: str) -> None:
        """Note a broken promise that shows at once. A run that goes wrong altogether need not tell all of it."""
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(about)
