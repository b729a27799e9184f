"""What a user should be told of, because it does not pass by itself, or not soon."""

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct, structs

from stagewire_client.policy import State, Status
from stagewire_client.stream import Streams

_HELD: Final = 100
_FORGETFUL: Final = "What is not sent yet would be lost with this program."


class Notice(Struct, frozen=True, kw_only=True):
    """A failure that lasts, of the connection or of the storage: a word, a sentence, and what may help.

    `final` says that nothing more is tried by itself. `over` says that the failure has passed.
    """

    about: Literal["connection", "storage"]
    reason: str
    message: str
    final: bool
    retry: Callable[[], None]
    over: bool = False


class Notices:
    """Says each failure once, and that it is over. `retry` connects, `keep` keeps again what is pending."""

    def __init__(self, retry: Callable[[], None], keep: Callable[[], None]) -> None:
        self.streams: Streams[Notice] = Streams(_HELD)
        self._retry = retry
        self._keep = keep
        self._lasting: dict[str, Notice] = {}

    @property
    def lasting(self) -> list[Notice]:
        """Give the failures that there are now."""
        return list(self._lasting.values())

    def connection(self, status: Status) -> None:
        """Take note of what the connection is at."""
        if status.lasting:
            final = status.state is State.FAILED
            why, sentence = status.reason.value, status.sentence
            self._raise(Notice(about="connection", reason=why, message=sentence, final=final, retry=self._retry))
        elif status.online:
            self._calm("connection")

    def storage(self, *, fails: bool) -> None:
        """Take note of whether the storage keeps what is pending."""
        if fails:
            self._raise(Notice(about="storage", reason="storage", message=_FORGETFUL, final=True, retry=self._keep))
        else:
            self._calm("storage")

    def _raise(self, notice: Notice) -> None:
        if self._lasting.get(notice.about) != notice:
            self._lasting[notice.about] = notice
            self.streams.put(notice)

    def _calm(self, about: str) -> None:
        notice = self._lasting.pop(about, None)
        if notice is not None:
            self.streams.put(structs.replace(notice, over=True))
