"""What a link makes of a server's answers, in the orders in which they may come; test_hints has the rest."""

import pytest

from persistence.redis import connect
from persistence.subscriptions import Link, Pace

Command = tuple[str, str]


class Overheard(Link):
    """A link whose commands a test reads, and whose answers it gives."""

    def __init__(self) -> None:
        self.told: list[str] = []
        super().__init__(
            connect("redis://nowhere", connections=1, timeout=1),
            Pace(silence=1, retry=1, survey=1),
            receive=lambda channel, payload: self.told.append(f"{channel} says {payload.decode()}"),
            granted=lambda channel: self.told.append(f"{channel} flows"),
            lost=lambda channels: self.told.append(f"{sorted(channels)} lost"),
        )

    def commands(self) -> list[Command]:
        return sorted(self._changes())

    def hear(self, kind: str, channel: str = "s", said: int | bytes = 0) -> None:
        self._take([kind.encode(), channel.encode(), said])


@pytest.fixture
async def link() -> Overheard:
    return Overheard()


async def test_only_what_differs_is_asked_for(link: Overheard) -> None:
    for channel in ("s", "t"):
        link.add(channel)
    assert link.commands() == [("SSUBSCRIBE", "s"), ("SSUBSCRIBE", "t")]
    link.add("s")
    link.remove("s")
    link.add("s")
    link.remove("t")
    link.add("u")
    link.remove("u")
    assert link.commands() == [("SUNSUBSCRIBE", "t")]
    assert link.commands() == []


async def test_messages_and_answers_to_pings(link: Overheard) -> None:
    link.add("s")
    link.commands()
    link.hear("ssubscribe")
    link.hear("smessage", said=b"hi")
    link._take(b"PONG")
    link._take([b"pong", b""])
    assert link.told == ["s flows", "s says hi"]


async def test_an_answer_of_before_does_not_count_for_what_was_asked_again(link: Overheard) -> None:
    for wish in (link.add, link.remove, link.add):
        wish("s")
        assert len(link.commands()) == 1
    link.hear("ssubscribe")
    assert link.granted == set()
    link.hear("sunsubscribe")
    link.hear("ssubscribe")
    assert link.granted == {"s"}
    assert link.told == ["s flows"]


async def test_what_is_not_wanted_any_more_does_not_flow(link: Overheard) -> None:
    link.add("s")
    link.commands()
    link.remove("s")
    link.hear("ssubscribe")
    assert (link.granted, link.told) == (set(), [])


async def test_what_is_taken_away_is_lost_and_asked_for_again(link: Overheard) -> None:
    link.add("s")
    link.commands()
    link.hear("ssubscribe")
    link.hear("sunsubscribe")
    assert (link.granted, link.told) == (set(), ["s flows", "['s'] lost"])
    link.add("s")
    assert link.commands() == [("SSUBSCRIBE", "s")]


async def test_each_leave_is_answered_once(link: Overheard) -> None:
    link.add("s")
    link.commands()
    link.hear("ssubscribe")
    for wish in (link.remove, link.add):
        wish("s")
        link.commands()
    link.hear("sunsubscribe")
    link.hear("ssubscribe")
    # Nobody has asked for this one.
    link.hear("sunsubscribe")
    assert link.told == ["s flows", "s flows", "['s'] lost"]
