from datetime import UTC

import pytest

from stagewire_client import words
from stagewire_client.audience import Audience
from stagewire_client.messages import Event, Gap, Signal
from stagewire_client.policy import Reason, State, Status
from stagewire_client.timeline import Message
from tests.clients.python.test_view import SNAPSHOT

AT = (12 * 60 + 34) * 60_000


def event(kind: str, **body: object) -> Event:
    return Event(seq=1, at=AT, kind=kind, by="bob", body=body)


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (event("chat.posted", text="one\ntwo"), "12:34 bob: one\n      two"),
        (event("chat.posted", deleted=True), None),
        (event("chat.edited", seq=1, text="better"), "-- bob meant: better"),
        (event("chat.edited", seq=1, deleted=True), None),
        (event("chat.deleted", seq=1), "-- bob has deleted a message."),
        (event("session.role", user="eve", role="cohost"), "-- eve is a co-host now."),
        (event("session.role", user="eve", role="other"), "-- eve is other now."),
        (event("session.paused"), "-- The session is paused."),
        (event("session.created"), None),
        (Gap(3, 9), "-- 7 events are not shown."),
        (Gap(), "-- Something is not shown."),
    ],
)
def test_what_happens_has_its_line(one: Event | Gap, line: str | None) -> None:
    assert words.happened(one, UTC) == line


def test_a_message_of_earlier_is_shown_as_it_is_now() -> None:
    assert words.shown(Message(seq=1, at=AT, by="bob", text="hi"), UTC) == "12:34 bob: hi"
    assert words.shown(Message(seq=1, at=AT, by="bob", deleted=True), UTC) is None


def test_who_is_there_is_said() -> None:
    few = Audience({"users": 1}, ("bob",))
    assert words.headline(SNAPSHOT, few) == ["-- A show, by host: live", "-- 1 is here."]
    assert words.who(few) == "-- bob"
    assert words.who(Audience({"users": 400})) == "-- 400 are here."
    assert words.who(Audience({}, ())) == "-- Nobody is here by name."
    came = Signal(session="s", kind="audience", joined=["alice", "bob"], left=["carol"])
    assert words.came_and_went(came, "alice") == ["-- bob came.", "-- carol left."]
    assert words.came_and_went(Signal(session="s", kind="typing"), "alice") == []


@pytest.mark.parametrize(
    ("now", "before", "line"),
    [
        (
            Status(state=State.OFFLINE, reason=Reason.LOST, retry_in=0.42),
            Status(state=State.ONLINE),
            "-- The connection was lost. Trying again in 0.4 s.",
        ),
        (
            Status(state=State.OFFLINE, reason=Reason.UNREACHABLE, retry_in=9, lasting=True),
            Status(state=State.CONNECTING),
            "-- The server cannot be reached. It lasts. Trying again in 9.0 s.",
        ),
        (Status(state=State.ONLINE), Status(state=State.CONNECTING, reason=Reason.LOST), "-- Connected again."),
        (Status(state=State.ONLINE), Status(state=State.CONNECTING), None),
        (
            Status(state=State.DEGRADED, reason=Reason.POOR_QUALITY),
            Status(state=State.ONLINE),
            "-- The connection is poor.",
        ),
        (Status(state=State.CONNECTING, reason=Reason.LOST), Status(state=State.OFFLINE), None),
    ],
)
def test_the_connection_is_told_where_it_is_worth_a_line(now: Status, before: Status, line: str | None) -> None:
    assert words.status(now, before) == line
