import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.protocol.codes import Code, Refusal
from realtime.protocol.text import MAX_MARKS, STREAM_SAFE_MARKS, clean, legible

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
ACUTE, GRAVE_BELOW = "\u0301", "\u0316"
# What normalisation, marks, line breaks and trimming each care about: marks of several classes and categories,
# those that join or compose, joiners, blanks, controls.
TRICKY = (
    "aeệ각가각 \t\r\n\x00\x1b\x85\xa0\u2028\u2029\u3000\u200b\u200c\u200d\u2060\ufeff\u202e\u2066\U000e0001\U000e0067"
    "\u0301\u0316\u0323\u0340\u0344\u034f\u20dd\u20e3\ufe0f\u0f73\u0f71\u0bc6\u0bbe\u0cc6\u0cc2\u0cd5\u0cbf\u0dd9\u0dcf"
    "\u302e\U0001d157\U0001d165\U0001d16d\U00011131\U00011127\u1b42\u1b35\ufb1d\u3164\u2800👍🏽👩\ufdfa\u212b"
)
TEXTS = st.text() | st.text(st.sampled_from(TRICKY)) | st.text(st.sampled_from(TRICKY), min_size=20)


def cleaned(text: str, max_characters: int = 10**6, max_bytes: int = 10**6) -> str | Code:
    """Clean a text, or give the code of its refusal."""
    try:
        return clean(text, max_characters=max_characters, max_bytes=max_bytes)
    except Refusal as exc:
        return exc.code


def stacks(text: str) -> Iterator[int]:
    """Count the marks over each base; what only joins or formats does not begin a new one."""
    marks = 0
    for character in text:
        if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
            marks += 1
        elif unicodedata.category(character) != "Cf":
            yield marks
            marks = 0
    yield marks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("hi", "hi", id="ASCII"),
        pytest.param("  hi \n", "hi", id="space around it"),
        pytest.param("a\nb", "a\nb", id="two lines"),
        pytest.param("a\r\nb\rc\u2028d\u2029e\n\rf", "a\nb\nc\nd\ne\n\nf", id="every line break"),
        pytest.param("a\u0000b\u0007c\td\x7f\x9fe", "abcde", id="controls"),
        pytest.param("\u0000", Code.BAD_REQUEST, id="only NUL"),
        pytest.param("\x1b[31mred\x1b[0m", "[31mred[0m", id="ANSI escapes"),
        pytest.param("a\ud800b", Code.BAD_REQUEST, id="lone surrogate"),
        pytest.param("\ud83d\ude00", Code.BAD_REQUEST, id="a pair of surrogates that nobody joined"),
        pytest.param("\u202eabc\u202c \u2066d\u2069\u200f", "abc d", id="bidi overrides and isolates"),
        pytest.param("\ufeffa\ufff9b\U000e0001", "ab", id="byte-order mark, annotation, language tag"),
        pytest.param("Å e\u0323\u0302 \u1100\u1161\u11a8", "Å ệ 각", id="NFC"),
        pytest.param("x" + ACUTE * 2000, "x" + ACUTE * 4, id="2,000 marks"),
        pytest.param("e\u0323\u0302" + ACUTE * 9, "ệ" + ACUTE * 4, id="marks that compose are not counted"),
        pytest.param("x" + (ACUTE * 4 + "\u200d") * 9, "x" + ACUTE * 4 + "\u200d" * 9, id="marks behind joiners"),
        pytest.param("x" + "\u20dd" * 9, "x" + "\u20dd" * 4, id="enclosing marks"),
        pytest.param("x" + (ACUTE + "\u302e") * 9, "x" + "\u302e" * 4, id="marks that take room"),
        pytest.param(
            "\u0e01\u0e34\u0e48 \u05e9\u05c1\u05bc\u05b8",
            "\u0e01\u0e34\u0e48 \u05e9\u05b8\u05bc\u05c1",
            id="Thai, Hebrew",
        ),
        pytest.param("\u200b\u200c\u200d\u2060", Code.BAD_REQUEST, id="only zero-width"),
        pytest.param("\u3164\u2800\u115f", Code.BAD_REQUEST, id="only blank letters"),
        pytest.param("\U0001d159\U00013441\U00013442", Code.BAD_REQUEST, id="only blank symbols"),
        pytest.param(ACUTE * 3, Code.BAD_REQUEST, id="only marks"),
        pytest.param(" \u3000\xa0 ", Code.BAD_REQUEST, id="only spaces"),
        pytest.param("\ue000", Code.BAD_REQUEST, id="only private"),
        pytest.param("\uffff", Code.BAD_REQUEST, id="only what is no character"),
        pytest.param("", Code.BAD_REQUEST, id="empty"),
        pytest.param(FAMILY + " ❤\ufe0f 1\ufe0f\u20e3 👍🏽 🇺🇳", FAMILY + " ❤\ufe0f 1\ufe0f\u20e3 👍🏽 🇺🇳", id="emoji"),
        pytest.param(
            "\U0001f3f4\U000e0067\U000e0062\U000e007f", "\U0001f3f4\U000e0067\U000e0062\U000e007f", id="flags"
        ),
        pytest.param("نمی\u200cخواهم", "نمی\u200cخواهم", id="Persian"),  # noqa: RUF001 - it is meant
        pytest.param("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>", id="HTML"),
        pytest.param("javascript:alert(1)", "javascript:alert(1)", id="script"),
        pytest.param("'; DROP TABLE events; --", "'; DROP TABLE events; --", id="SQL"),
        pytest.param("%n%s {0.__class__} ${x} \\u0000", "%n%s {0.__class__} ${x} \\u0000", id="formats"),
    ],
)
def test_what_becomes_of_a_text(text: str, expected: str | Code) -> None:
    assert cleaned(text, 1000, 4000) == expected


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        pytest.param("a" * 1000, True, id="as many characters"),
        pytest.param("a" * 1001, False, id="one more"),
        pytest.param("\ufdfa" * 1000, True, id="ligatures that compatibility would take apart"),
        pytest.param("\ufdfa" * 1001, False, id="one ligature more"),
        pytest.param("👍" * 1000, True, id="as many bytes"),
        pytest.param("👍" * 999 + "é" * 2, False, id="one character more"),
        pytest.param(FAMILY * 650, False, id="16 KiB of one family"),
        pytest.param(" " * 5000 + "a", True, id="what is trimmed does not count"),
        pytest.param("\u202e" * 5000 + "a", True, id="nor does what is removed"),
        pytest.param("e\u0301" * 1000, True, id="nor what is composed"),
        pytest.param("\u0958" * 1000, False, id="but what is taken apart does"),
    ],
)
def test_the_result_must_fit(text: str, fits: bool) -> None:
    assert (cleaned(text, 1000, 4000) is not Code.TOO_LARGE) == fits


@given(text=TEXTS, max_characters=st.integers(1, 30), max_bytes=st.integers(1, 60))
def test_the_limits_are_kept_and_no_text_is_cut(text: str, max_characters: int, max_bytes: int) -> None:
    unlimited, limited = cleaned(text), cleaned(text, max_characters, max_bytes)
    if isinstance(unlimited, Code):
        # Nothing to see may also be too much of it.
        assert limited in (unlimited, Code.TOO_LARGE)
    elif len(unlimited) > max_characters or len(unlimited.encode()) > max_bytes:
        assert limited is Code.TOO_LARGE
    else:
        assert limited == unlimited


@given(text=TEXTS)
@example(" " + ACUTE * 5)
@example("a" + ACUTE * 5 + "\u302e" + ACUTE * 5)
@example("a\u0cc6" + ACUTE * 4 + "\u0cc2" + ACUTE * 5)
@example("a" + ACUTE * 3 + "\u0cc6\u0cc6\u0cc2" + ACUTE * 5)
@example("a" + ACUTE * 31 + GRAVE_BELOW * 31)
@example("a\r\x00\nb")
def test_a_clean_text_is_clean(text: str) -> None:
    once = cleaned(text)
    if not isinstance(once, Code):
        assert cleaned(once) == once


@given(text=TEXTS)
@example("a\r\u202e\nb")
@example("\u0344" * 9 + "a")
def test_what_a_clean_text_is(text: str) -> None:
    result = cleaned(text)
    if isinstance(result, Code):
        assert result is Code.BAD_REQUEST
        return
    assert unicodedata.is_normalized("NFC", result)
    assert result == result.strip() != ""
    assert not any(unicodedata.category(c) in ("Cs", "Zl", "Zp") for c in result)
    assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in result)
    bidi = {"AL", "R", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not any(unicodedata.category(c) == "Cf" and unicodedata.bidirectional(c) in bidi for c in result)
    assert max(stacks(result)) <= MAX_MARKS


@given(text=TEXTS)
def test_letters_are_neither_lost_nor_reordered(text: str) -> None:
    def letters(of: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFD", of) if unicodedata.category(c)[0] in "LNS")

    result = cleaned(text)
    if not isinstance(result, Code):
        assert letters(result) == letters(text)


def test_of_endless_marks_only_the_first_are_sorted() -> None:
    # Below sorts before above, so the one below would come first, were it looked at.
    assert cleaned("x" + ACUTE * (STREAM_SAFE_MARKS - 1) + GRAVE_BELOW) == "x" + GRAVE_BELOW + ACUTE * 3
    assert cleaned("x" + ACUTE * STREAM_SAFE_MARKS + GRAVE_BELOW) == "x" + ACUTE * 4


def test_what_is_logged_can_be_read_and_turns_nothing_around() -> None:
    assert legible("web/1.0 für 日本 👍") == "web/1.0 für 日本 👍"
    assert legible("a\u202eb\x1b[31m\u2028\n\ud800\U000e0041") == "a\\u202eb\\u001b[31m\\u2028\\u000a\\ud800\\ue0041"
