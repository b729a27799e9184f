import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.session import apply
from realtime.protocol import events as wire
from realtime.protocol.replies import SessionView
from stagewire_client.messages import Event, MediaClock, Snapshot
from stagewire_client.snapshot import advance, media_ms

BEFORE = Snapshot(
    id="01932c07-3a6e-7cc0-8000-000000000001",
    host="alice",
    title="Coats",
    state="scheduled",
    version=1,
    created_at=5,
    since=5,
    media=MediaClock(0, 5, running=False),
    ends_at=900,
    settings={"chat": "all", "links": True, "slow_mode": 0, "private": False},
)


def event(kind: str, **body: object) -> Event:
    return Event(seq=9, at=100, kind=kind, by="alice", media_ms=7, body=body)


def test_a_transition_is_taken_over() -> None:
    after = advance(BEFORE, event("session.started", state="live", version=2, reason="now"))
    assert (after.state, after.version, after.reason, after.ends_at) == ("live", 2, "now", None)
    assert (after.since, after.started_at, after.ended_at) == (100, 100, None)
    assert after.media == MediaClock(7, 100, running=True)
    assert media_ms(after, 150) == 57
    ended = advance(after, event("session.ended", state="ended", version=3))
    assert ended.ended_at == 100
    assert media_ms(ended, 150) == 7


@pytest.mark.parametrize(
    "old", [event("session.started", state="live", version=1), event("chat.posted", text="hi", version=9)]
)
def test_an_old_event_or_one_of_the_chat_changes_nothing(old: Event) -> None:
    assert advance(BEFORE, old) is BEFORE


def test_settings_and_the_title_are_taken_over_and_taken_away() -> None:
    changes = {"title": "Hats", "slow_mode": 5, "language": "de", "metadata": {"a": 1}}
    after = advance(BEFORE, event("session.updated", state="scheduled", version=2, changes=changes))
    assert after.title == "Hats"
    assert after.settings == {**BEFORE.settings, "slow_mode": 5, "language": "de", "metadata": {"a": 1}}
    assert after.since == BEFORE.since
    taken: dict[str, object] = {"language": None, "metadata": {}}
    again = advance(after, event("session.updated", state="scheduled", version=3, changes=taken))
    assert again.settings == {**BEFORE.settings, "slow_mode": 5}


def test_members_are_named_and_are_viewers_again() -> None:
    after = advance(BEFORE, event("session.role", state="scheduled", version=2, user="bob", role="cohost"))
    assert after.members == {"bob": "cohost"}
    again = advance(after, event("session.role", state="scheduled", version=3, user="bob", role="viewer"))
    assert again.members == {}


STATES = st.sampled_from(["scheduled", "live", "paused", "interrupted", "ended"])
KINDS = st.sampled_from([str(kind) for kind in wire.Kind if kind.startswith("session.")])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["Hats", "Coats"]),
        "slow_mode": st.integers(0, 3),
        "language": st.sampled_from([None, "de"]),
        "metadata": st.sampled_from([None, {"a": 1}]),
        "chat": st.sampled_from(["all", "nobody"]),
    },
)


@given(
    st.lists(
        st.tuples(KINDS, STATES, st.integers(1, 9), CHANGES, st.sampled_from(["viewer", "cohost"]), st.booleans()),
        max_size=6,
    )
)
def test_the_server_makes_the_same_of_the_same_events(
    told: list[tuple[str, str, int, dict[str, object], str, bool]],
) -> None:
    ours, theirs = BEFORE, msgspec.convert(msgspec.to_builtins(BEFORE), SessionView)
    for kind, state, version, changes, role, named in told:
        body: dict[str, object] = {"state": state, "version": version, "changes": changes}
        if named:
            body |= {"user": "bob", "role": role}
        ours = advance(ours, event(kind, **body))
        theirs = apply(theirs, kind, 100, 7, msgspec.convert(body, wire.SessionBody))
    assert ours == msgspec.convert(msgspec.to_builtins(theirs), Snapshot)
