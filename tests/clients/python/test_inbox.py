from stagewire_client.inbox import news
from stagewire_client.messages import Entry, Inbox, Position


def push(*ids: int, epoch: str = "a", upto: int = 0) -> Inbox:
    entries = [Entry(id=number, at=0, kind="direct", by="bob", key="k") for number in ids]
    return Inbox(epoch=epoch, upto=upto or ids[-1], entries=entries)


def test_each_entry_is_given_once() -> None:
    first = news(None, push(1, 2))
    assert ([entry.id for entry in first.entries], first.position) == ([1, 2], Position("a", 2))
    again = news(first.position, push(2, 3))
    assert ([entry.id for entry in again.entries], again.position) == ([3], Position("a", 3))
    assert news(again.position, push(1)).position == again.position


def test_what_was_lost_counts_as_given() -> None:
    assert news(None, push(upto=7)).position == Position("a", 7)


def test_an_inbox_of_another_epoch_begins_anew() -> None:
    given = news(Position("a", 9), push(1, epoch="b"))
    assert ([entry.id for entry in given.entries], given.position) == ([1], Position("b", 1))
