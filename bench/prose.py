"""Texts as a chat has them: short words of a language that nobody speaks, a few of them in every message, most seldom.

Where words are indexed, a text costs by its words. Here they are as frequent as in any language: the nth is said about
1/n times as often as the first (Zipf's law), and short words more often than long ones.
"""

from itertools import accumulate
from random import Random
from typing import Final

_ONSETS: Final = (*"bcdfghjklmnprstvwyz", "ch", "sh", "st", "tr")
_RHYMES: Final = (*"aeiou", "an", "en", "in", "on", "un", "ar", "er", "or", "al", "el", "ay", "oo")
# Characters of a text at most.
LONGEST: Final = 1000
_WORDS: Final = 5000
# A prime: so also due times in even steps begin at every word before they come to the first again.
_STARTS: Final = 8191


def vocabulary() -> list[str]:
    """Give the words, the most frequent first."""
    syllables = [onset + rhyme for rhyme in _RHYMES for onset in _ONSETS]
    pairs = [first + second for first in syllables for second in syllables]
    return [*syllables, *Random(1).sample(pairs, _WORDS - len(syllables))]


def _said(words: list[str], count: int) -> list[str]:
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return Random(2).choices(words, weights, k=count)


_WORDS_SAID: Final = _said(vocabulary(), _STARTS + LONGEST // 2)
_TEXT: Final = " ".join(_WORDS_SAID)
_BEGINNINGS: Final = list(accumulate((len(word) + 1 for word in _WORDS_SAID[: _STARTS - 1]), initial=0))


def text(number: int, size: int) -> str:
    """Give `size` characters, up to 1,000, which begin with a word: a different one for each number, nearly."""
    start = _BEGINNINGS[number % _STARTS]
    # White space at its end would not be kept.
    return _TEXT[start : start + size - 1] + "!"
