from stagewire_client.keyboard import Keyboard
from stagewire_client.settings import Settings


def test_typing_is_news_when_it_begins_goes_on_and_ends() -> None:
    keyboard = Keyboard(Settings(typing_again=3.0))
    assert not keyboard.is_news(0, on=False)
    assert keyboard.is_news(0, on=True)
    keyboard.note(0, on=True)
    assert [keyboard.is_news(now, on=True) for now in (2.9, 3.0)] == [False, True]
    assert keyboard.is_news(1, on=False)
    keyboard.note(1, on=False)
    assert not keyboard.is_news(2, on=False)
    keyboard.note(2, on=True)
    keyboard.rest()
    assert not keyboard.is_news(2, on=False)
    assert keyboard.is_news(2, on=True)
