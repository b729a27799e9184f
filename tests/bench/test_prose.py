"""Texts as a chat has them."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bench import prose
from realtime.protocol.text import clean

NUMBERS = st.integers(min_value=0)


@given(NUMBERS, st.integers(min_value=1, max_value=prose.LONGEST))
def test_a_text_is_as_long_as_it_should_be_and_nothing_has_to_be_escaped(number: int, size: int) -> None:
    text = prose.text(number, size)
    assert len(text) == size
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set('"\\')
    assert prose.text(number, size) == text


@given(NUMBERS, st.integers(min_value=1, max_value=prose.LONGEST))
def test_the_server_keeps_a_text_as_it_is(number: int, size: int) -> None:
    text = prose.text(number, size)
    assert clean(text, max_characters=prose.LONGEST, max_bytes=prose.LONGEST) == text


def test_the_words_are_all_different() -> None:
    words = prose.vocabulary()
    assert len(set(words)) == len(words) == 5000


def test_few_words_are_said_often_and_most_are_not() -> None:
    # As senders are due, 20 times a second.
    said = Counter(word for n in range(5000) for word in prose.text(n * 50_000_000, 80)[:-1].split()[:-1])
    [(first, most), *_] = said.most_common()
    assert first == prose.vocabulary()[0]
    assert 0.05 < most / said.total() < 0.2
    assert len(said) > 2000
    # Of ten words that are said, six are among the hundred most frequent.
    assert 0.5 < sum(count for _, count in said.most_common(100)) / said.total() < 0.7
    assert 3 < sum(len(word) * count for word, count in said.items()) / said.total() < 5


def test_messages_in_even_steps_are_not_alike() -> None:
    assert len({prose.text(n * 1_000_000, 40) for n in range(8000)}) > 7900
