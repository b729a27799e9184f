"""Whether the others are to be told that the user types. Pure."""

from stagewire_client.settings import Settings


class Keyboard:
    """What they know already is not said again, so that every key may be told of."""

    def __init__(self, settings: Settings) -> None:
        self._again = settings.typing_again
        self._said: float | None = None

    def is_news(self, now: float, *, on: bool) -> bool:
        """Tell whether it is to be said at `now` that the user types, or does not."""
        if not on:
            return self._said is not None
        return self._said is None or now - self._said >= self._again

    def note(self, now: float, *, on: bool) -> None:
        """Take note that it was said."""
        self._said = now if on else None

    def rest(self) -> None:
        """Take note that the others know of nothing: a message says that its writer has ended, and so does a loss."""
        self._said = None
