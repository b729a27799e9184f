"""What a chat text may be, and what is made of it before it is stored.

The result is what is stored and what everyone sees: NFC, without control and bidi characters, with
at most four combining marks on a base. Unicode TR36 and TR39 describe the tricks that this ends.
"""

import re
import unicodedata
from typing import Final

from realtime.protocol.codes import Code, Refusal

MAX_MARKS: Final = 4
# Putting the marks of a base in order takes quadratic time; so many are what UAX 15 bounds its
# Stream-Safe Text Format by.
STREAM_SAFE_MARKS: Final = 30

_LINE_BREAK: Final = re.compile("\r\n?|[\u2028\u2029]")
# Controls but for the line feed, bidi controls and isolates, deprecated format characters, the
# byte-order mark, interlinear annotation, language tags.
_UNWANTED: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0001]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Letters and symbols by category, and yet drawn as nothing: the Hangul fillers, the empty braille cell, the blanks of
# Egyptian hieroglyphs, and the null notehead.
_BLANK: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\U00013441\U00013442\U0001d159")
_INVISIBLE: Final = frozenset(["Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs", "Mn", "Me"])
_MARK: Final = frozenset(["Mn", "Me"])


def clean(text: str, *, max_characters: int, max_bytes: int) -> str:
    """Give the text as it will be stored.

    Raises:
        Refusal: `bad_request` for a lone surrogate or where nothing visible is left, `too_large`
            beyond either limit.
    """
    if not (text.isascii() and text.isprintable()):
        text = _plain(text)
    text = text.strip()
    if len(text) > max_characters or len(text.encode()) > max_bytes:
        raise Refusal(Code.TOO_LARGE, f"at most {max_characters} characters and {max_bytes} bytes of text")
    if not any(map(_visible, text)):
        raise Refusal(Code.BAD_REQUEST, "the text has nothing to see")
    return text


def legible(text: str) -> str:
    """Give a text for those who read logs: what cannot be seen, or turns the rest around, by its number."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def is_storable(text: str) -> bool:
    """Tell whether Postgres takes a text as it is: a NUL or a lone surrogate it refuses."""
    return "\0" not in text and not _SURROGATE.search(text)


def _plain(text: str) -> str:
    if _SURROGATE.search(text):
        raise Refusal(Code.BAD_REQUEST, "the text is not valid Unicode")
    text = _thin_marks(_UNWANTED.sub("", _LINE_BREAK.sub("\n", text)), STREAM_SAFE_MARKS)
    return unicodedata.normalize("NFC", _thin_marks(unicodedata.normalize("NFC", text), MAX_MARKS))


def _thin_marks(text: str, most: int) -> str:
    kept, marks = [], 0
    for character in text:
        category = unicodedata.category(character)
        if category in _MARK or unicodedata.combining(character):
            marks += 1
            if marks > most:
                continue
        elif category != "Cf":
            # A joiner begins nothing new: what follows it still stacks on the same base.
            marks = 0
        kept.append(character)
    return "".join(kept)


def _visible(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE and character not in _BLANK
