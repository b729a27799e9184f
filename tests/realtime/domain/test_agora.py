from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain.agora import STANDINGS, Sighting, Standing, latest, news_of_host, news_of_viewer, sighting
from realtime.domain.session import State
from tokens.agora_notices import Event, Move

# Few numbers, so that they meet.
SIGHTINGS = st.builds(Sighting, st.integers(0, 4), st.integers(0, 2), st.sampled_from(Event))
STANDING = st.none() | st.sampled_from(Standing)


def known(notices: list[Sighting]) -> Sighting | None:
    """Give what is known after these notices."""
    return reduce(latest, notices, None)


def test_every_event_says_what_the_user_has_become() -> None:
    assert STANDINGS.keys() == set(Event)
    assert {event for event in Event if STANDINGS[event] is Standing.ABSENT} == {104, 106, 108}
    assert {event for event in Event if STANDINGS[event] is Standing.AUDIENCE} == {105, 112}


@given(st.lists(SIGHTINGS, min_size=1), st.data())
def test_any_order_and_repetition_gives_the_same(notices: list[Sighting], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(notices)))
    assert known(data.draw(st.permutations(notices + again))) == known(notices)


@given(st.lists(st.sampled_from(Event), min_size=1), st.data())
def test_the_last_thing_that_a_user_did_counts(events: list[Event], data: st.DataObject) -> None:
    notices = [Sighting(seq, 1560396843, event) for seq, event in enumerate(events)]
    found = known(data.draw(st.permutations(notices)))
    assert found is not None
    assert found.standing is STANDINGS[events[-1]]


def test_a_late_notice_changes_nothing() -> None:
    left = Sighting(8, 100, Event.BROADCASTER_LEFT)
    assert latest(left, Sighting(7, 200, Event.BROADCASTER_JOINED)) == left


@pytest.mark.parametrize("event", Event)
def test_an_old_device_that_gives_way_to_a_new_one_leaves_its_user_there(event: Event) -> None:
    found = sighting(event, Move(uid=5, client_seq=7, ts=100, reason=5))
    assert (found is None) == (event in (104, 106, 108))
    assert sighting(event, Move(uid=5, client_seq=7, ts=100, reason=2)) == Sighting(7, 100, event)


@pytest.mark.parametrize(
    ("told", "now", "news"),
    [
        (None, None, None),
        (None, Standing.AUDIENCE, True),
        (None, Standing.BROADCASTER, True),
        (None, Standing.ABSENT, False),
        (Standing.ABSENT, Standing.AUDIENCE, True),
        (Standing.ABSENT, Standing.ABSENT, None),
        (Standing.AUDIENCE, Standing.BROADCASTER, None),
        (Standing.BROADCASTER, Standing.AUDIENCE, None),
        (Standing.AUDIENCE, Standing.ABSENT, False),
        (Standing.BROADCASTER, Standing.ABSENT, False),
    ],
)
def test_a_viewer_is_news_who_comes_or_goes(told: Standing | None, now: Standing | None, news: bool | None) -> None:
    assert news_of_viewer(told, now) is news


@pytest.mark.parametrize(
    ("told", "now", "news"),
    [
        (None, None, None),
        (None, Standing.BROADCASTER, True),
        (None, Standing.AUDIENCE, False),
        (None, Standing.ABSENT, False),
        (Standing.BROADCASTER, Standing.BROADCASTER, None),
        (Standing.BROADCASTER, Standing.AUDIENCE, False),
        (Standing.BROADCASTER, Standing.ABSENT, False),
        (Standing.AUDIENCE, Standing.ABSENT, None),
        (Standing.ABSENT, Standing.AUDIENCE, None),
        (Standing.AUDIENCE, Standing.BROADCASTER, True),
        (Standing.ABSENT, Standing.BROADCASTER, True),
    ],
)
def test_a_host_is_news_who_begins_or_ends_to_broadcast(
    told: Standing | None, now: Standing | None, news: bool | None
) -> None:
    assert news_of_host(told, now, "live") is news
    assert news_of_host(told, now, "interrupted") is news


@given(STANDING, STANDING, st.sampled_from([State.SCHEDULED, State.PAUSED, State.ENDED]))
def test_a_host_may_go_while_nothing_is_on_air(told: Standing | None, now: Standing | None, state: str) -> None:
    on_air = news_of_host(told, now, "live")
    assert news_of_host(told, now, state) is (on_air or None)
