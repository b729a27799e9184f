import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewire_client.messages import Quality
from stagewire_client.quality import Pulse, is_lost, is_poor, next_look, page_size
from stagewire_client.settings import Settings

SETTINGS = Settings()
GOOD = Quality("good", 10)


@pytest.mark.parametrize(
    ("told", "silence", "poor", "lost"),
    [
        (None, 0, False, False),
        (GOOD, 24.9, False, False),
        (GOOD, 25, True, False),
        (GOOD, 44.9, True, False),
        (GOOD, 45, True, True),
        (Quality("poor"), 0, True, False),
        (Quality("fair", 200), 0, False, False),
    ],
)
def test_a_connection_is_poor_by_the_servers_word_or_by_silence(
    told: Quality | None, silence: float, poor: bool, lost: bool
) -> None:
    pulse = Pulse(told, silence, 20)
    assert (is_poor(pulse, SETTINGS), is_lost(pulse, SETTINGS)) == (poor, lost)


@given(st.floats(0, 44.9), st.floats(0.001, 1))
def test_between_two_looks_nothing_changes(silence: float, part: float) -> None:
    pulse = Pulse(GOOD, silence, 20)
    wait = next_look(pulse, SETTINGS)
    assert wait > 0
    before = Pulse(GOOD, silence + wait * (1 - part), 20)
    assert is_poor(before, SETTINGS) == is_poor(pulse, SETTINGS)
    assert not is_lost(before, SETTINGS)


def test_pages_are_small_where_the_connection_is_poor() -> None:
    assert [page_size(wanted, poor=False) for wanted in (10, 1000)] == [10, 200]
    assert [page_size(wanted, poor=True) for wanted in (10, 1000)] == [10, 20]
