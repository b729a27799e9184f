import asyncio
from random import Random

import pytest

from stagewire_client import Draft, MemoryStorage, Notice, Reason, State, Status, StorageError
from stagewire_client.notices import Notices
from tests.clients.python import virtual
from tests.clients.python.scripted import SESSION, Server, client


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def notices(asked: list[str]) -> Notices:
    return Notices(lambda: asked.append("retry"), lambda: asked.append("keep"))


async def test_a_connection_that_fails_for_long_is_told_of_once_until_it_is_another_failure_or_over(
    notices: Notices, asked: list[str]
) -> None:
    told = notices.streams.open()
    away = Status(state=State.OFFLINE, reason=Reason.UNREACHABLE)
    lasting = Status(state=State.OFFLINE, reason=Reason.UNREACHABLE, lasting=True)
    final = Status(state=State.FAILED, reason=Reason.FROZEN, lasting=True)
    for status in (away, lasting, lasting, final, Status(state=State.ONLINE), Status(state=State.ONLINE)):
        notices.connection(status)
    notices.streams.end()
    seen = [notice async for notice in told]
    assert [(one.reason, one.final, one.over) for one in seen] == [
        ("unreachable", False, False),
        ("frozen", True, False),
        ("frozen", True, True),
    ]
    assert seen[1].message == "You have been kept out."
    seen[0].retry()
    assert asked == ["retry"]
    assert notices.lasting == []


def test_a_storage_that_fails_is_told_of_beside_the_connection(notices: Notices, asked: list[str]) -> None:
    notices.connection(Status(state=State.FAILED, reason=Reason.FLOOD, lasting=True))
    for _ in range(2):
        notices.storage(fails=True)
    assert [notice.about for notice in notices.lasting] == ["connection", "storage"]
    notices.lasting[1].retry()
    assert asked == ["keep"]
    notices.storage(fails=False)
    assert [notice.about for notice in notices.lasting] == ["connection"]


class Full(MemoryStorage):
    """Has no room, at first."""

    def __init__(self) -> None:
        super().__init__()
        self.room = False

    async def put(self, user: str, session: str, draft: Draft) -> None:
        """Keep a draft, or don't."""
        if not self.room:
            raise StorageError("the disk is full")
        await super().put(user, session, draft)


def test_what_could_not_be_kept_is_kept_when_that_is_asked_for() -> None:
    async def act() -> None:
        server, storage, told = Server(), Full(), list[Notice]()
        async with client(server, Random(1), storage) as live:
            notices = live.notices()
            show = await live.join(SESSION)
            server.reachable = False
            server.drop(1006)
            show.send("one")
            live.direct("bob", "two")
            told.append(await anext(notices))
            assert live.lasting == told
            storage.room = True
            told[0].retry()
            told.append(await anext(notices))
            await asyncio.sleep(30)
            told.append(await anext(notices))
        assert [(one.about, one.over) for one in told] == [
            ("storage", False),
            ("storage", True),
            ("connection", False),
        ]
        assert [draft.text for draft in await storage.load("alice", SESSION)] == ["one"]
        assert [draft.text for draft in await storage.load("alice", "letters")] == ["two"]

    virtual.run(act())
