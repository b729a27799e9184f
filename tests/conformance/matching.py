"""Whether a message is what a transcript says, but for what is another one each time."""

import re
from collections.abc import Collection
from typing import Any, Final

# What a server names: called otherwise each time, and then so wherever it comes again. A key that no client has said
# is the server's own.
NAMES: Final = frozenset(["session", "id", "epoch", "connection", "channel", "key"])
# When something happened: at another time each time, which is then the same wherever it comes again, and before and
# after the same others.
TIMES: Final = frozenset(["at", "created_at", "since", "started_at", "ended_at", "ends_at"])
# What depends on the moment: any number will do.
NUMBERS: Final = frozenset(
    [
        "now", "expires_at", "renew_at", "heartbeat_ms", "retry_after_ms", "rtt_ms", "media_ms", "ms", "uid",
        "reconnect_in_ms", "deadline_ms", "expires_in_ms", "skipped", "first", "last",
    ]
)  # fmt: skip
# What is for people, or for others: any text will do.
TEXTS: Final = frozenset(["message", "token", "app_id"])
# What a reply knows only roughly.
ROUGH: Final = frozenset(["audience"])


class Differs(Exception):
    """A message is another one; it says where."""


class Names:
    """What the transcript's names and times are called this time."""

    def __init__(self, users: Collection[str], suffix: str, keys: Collection[str] = ()) -> None:
        self._known: dict[str, str] = {key: key for key in keys}
        self._times: dict[int, int] = {}
        self._suffix = suffix
        # Longest first, for one may begin another.
        either = "|".join(sorted(map(re.escape, users), key=len, reverse=True))
        self._mention = re.compile(rf"@({either})\b")
        self._users = frozenset(users)

    def copy(self) -> "Names":
        """Give the same, to try with."""
        other = Names(self._users, self._suffix)
        other._known, other._times = dict(self._known), dict(self._times)
        return other

    def of(self, value: str) -> str:
        """Give what a text of the transcript is this time."""
        if value in self._users:
            return value + self._suffix
        return str(self._known.get(value, self._mention.sub(rf"@\1{self._suffix}", value)))

    def name(self, told: str, found: str) -> bool:
        """Take over what something is called, or tell whether it is called what it was before."""
        return self._known.setdefault(told, found) == found

    def date(self, told: int, found: int) -> bool:
        """Take over when something happened, or tell whether that is when it did before; in the order of all others."""
        if self._times.setdefault(told, found) != found:
            return False
        earlier = (now for then, now in self._times.items() if then < told)
        later = (now for then, now in self._times.items() if then > told)
        return max(earlier, default=found) <= found <= min(later, default=found)

    def translate(self, message: Any) -> Any:
        """Give a message of the transcript with this time's names."""
        match message:
            case str():
                return self.of(message)
            case list():
                return [self.translate(one) for one in message]
            case dict():
                return {self.of(name): self.translate(value) for name, value in message.items()}
            case _:
                return message


def compare(told: Any, found: Any, names: Names) -> None:
    """Let pass what is alike. What is there beyond the transcript may be anything: fields may be added at any time.

    Raises:
        Differs
    """
    _compare("", told, found, names, "")


def _compare(path: str, told: Any, found: Any, names: Names, field: str) -> None:
    if isinstance(told, dict) and isinstance(found, dict):
        _compare_objects(path, told, found, names, told.get("type") == "joined")
    elif isinstance(told, list) and isinstance(found, list):
        _compare_lists(path, told, found, names)
    elif not _alike(field, told, found, names):
        shown = names.translate(told) if isinstance(told, str) else told
        raise Differs(f"{path or 'it'} is {found!r} instead of {shown!r}")


def _compare_objects(path: str, told: dict[str, Any], found: dict[str, Any], names: Names, roughly: bool) -> None:
    for name, value in told.items():
        inner = f"{path}.{name}" if path else name
        if names.of(name) not in found:
            raise Differs(f"{inner} is missing")
        if not (roughly and name in ROUGH):
            _compare(inner, value, found[names.of(name)], names, name)


def _compare_lists(path: str, told: list[Any], found: list[Any], names: Names) -> None:
    if len(told) != len(found):
        raise Differs(f"{path} has {len(found)} instead of {len(told)}")
    for number, (one, other) in enumerate(zip(told, found, strict=True)):
        _compare(f"{path}[{number}]", one, other, names, "")


def _alike(field: str, told: Any, found: Any, names: Names) -> bool:
    if type(told) is not type(found):
        return False
    if field in TEXTS or field in NUMBERS:
        return True
    if field in NAMES and isinstance(told, str):
        return names.name(told, found)
    if field in TIMES and isinstance(told, int):
        return names.date(told, found)
    return bool((names.of(told) if isinstance(told, str) else told) == found)
