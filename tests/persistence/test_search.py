"""The search on a real Postgres: what messages say now, in one session, the newest first."""

from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.errors import Rejected
from persistence.log import Entry, Log, Record
from persistence.postgres import Postgres
from persistence.sessions import Sessions
from tests.persistence.test_told_events import FIRST, append, few, merged
from tests.support.chats import chats
from tests.support.sessions import move

NEWEST = 2**53 - 1


async def say(log: Log, session: str, *texts: str) -> list[int]:
    return [await _append(log, session, "chat.posted", text=text) for text in texts]


async def edit(log: Log, session: str, message: int, text: str, age: int = 0) -> int:
    return await _append(log, session, "chat.edited", age, seq=message, text=text)


async def delete(log: Log, session: str, message: int) -> int:
    return await _append(log, session, "chat.deleted", seq=message)


async def _append(log: Log, session: str, kind: str, age: int = 0, **body: object) -> int:
    entry = Entry(session, "bob", uuid4(), kind, msgspec.json.encode(body).decode(), age)
    [answer] = await log.append([entry])
    return answer.seq


async def found(log: Log, session: str, words: str, before: int = NEWEST, limit: int = 50) -> list[int]:
    return [record.seq for record in (await log.search(session, words, before, limit)).records]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("coat", [4, 3, 2]),
        ("COAT", [4, 3, 2]),
        ("red coat", [4, 2]),
        ('"red coat"', [2]),
        ('"coat red"', [4]),
        ("coat -red", [3]),
        ("-coat", [5]),
        ("green or shoes", [5, 3]),
        ("coats", []),
        ("coa", []),
        ("", []),
        ("   ", []),
        ("!", []),
        ('""', []),
        ("-", []),
        ("or", []),
    ],
)
async def test_words_phrases_or_and_without(postgres: Postgres, session: str, words: str, expected: list[int]) -> None:
    log = Log(postgres)
    assert await say(log, session, "A red coat!", "green coat", "coat, red", "shoes") == [2, 3, 4, 5]
    assert await found(log, session, words) == expected


async def test_what_counts_is_what_a_message_says_now(postgres: Postgres, session: str) -> None:
    log = Log(postgres)
    [one, other] = await say(log, session, "before", "other")
    await edit(log, session, one, "now")
    await edit(log, session, one, "late", age=60_000)
    assert await found(log, session, "before") == []
    assert await found(log, session, "late") == []
    assert await found(log, session, "now") == [one]
    assert await found(log, session, "-before") == [other, one]
    [record] = (await log.search(session, "now", NEWEST, 50)).records
    assert msgspec.json.decode(record.body)["text"] == "now"
    await edit(log, session, one, "back before")
    assert await found(log, session, "before") == [one]
    assert await found(log, session, "now") == []


@pytest.mark.parametrize("words", ["secret", "late", "-secret", "-other", "-secret or secret", "secret or -secret"])
async def test_a_deleted_message_is_not_found_by_anything(postgres: Postgres, session: str, words: str) -> None:
    """Not even by words that it did not have, which would tell which ones it had."""
    log = Log(postgres)
    [gone] = await say(log, session, "a secret")
    await edit(log, session, gone, "late")
    await delete(log, session, gone)
    await edit(log, session, gone, "later")
    assert await found(log, session, words) == []


async def test_pages_go_back_from_the_newest(postgres: Postgres, session: str) -> None:
    log = Log(postgres)
    said = await say(log, session, *["again"] * 5)
    # An edit is found as the message that it belongs to, so this one is the oldest.
    await edit(log, session, said[0], "again and again")
    pages, before = [], NEWEST
    while page := await found(log, session, "again", before, 2):
        pages.append(page)
        before = page[-1]
    assert pages == [[6, 5], [4, 3], [2]]
    assert await found(log, session, "again", said[0]) == []


async def test_other_sessions_are_never_found(postgres: Postgres, session: str) -> None:
    log, other = Log(postgres), (await Sessions(postgres).create("alice", "Another")).id
    [mine] = await say(log, session, "coat here")
    await say(log, other, "nothing", "coat there")
    await edit(log, other, mine, "coat now")
    assert await found(log, session, "coat") == [mine]
    assert await found(log, session, "there or now") == []
    assert await found(log, str(uuid4()), "coat") == []


async def test_only_messages_are_found(postgres: Postgres, session: str) -> None:
    log = Log(postgres)
    await move(postgres, session, 1, "live", "session.started")
    assert await found(log, session, "live or scheduled or -live") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Äpfel & Öl", "ÄPFEL öl"),
        ("ПРИВЕТ мир", "привет"),
        ("été à la plage", "ÉTÉ"),
        ("東京 タワー", "東京"),
        ("שלום עולם", "שלום"),
        ("ok 40 €", "40"),
        ("see example.com/coats?size=4", "example.com/coats?size=4"),
    ],
)
async def test_words_of_any_language(postgres: Postgres, session: str, text: str, words: str) -> None:
    log = Log(postgres)
    [said] = await say(log, session, text)
    assert await found(log, session, words) == [said]


# Whatever people type or paste.
HOSTILE = st.text(max_size=200) | st.text("\"'&|!()<->:*\\%_ or-ab", max_size=200)


@few
@given(HOSTILE, HOSTILE)
async def test_anything_can_be_searched_for(postgres: Postgres, text: str, words: str) -> None:
    log, session = Log(postgres), (await Sessions(postgres).create("alice", "A show")).id
    said = await say(log, session, text.replace("\0", ""), "ab")
    if "\0" in words:
        with pytest.raises(Rejected):
            await found(log, session, words)
    else:
        assert set(await found(log, session, words)) <= set(said)
    assert await found(log, session, '"ab"') != []


async def test_the_longest_words_can_be_searched_for(postgres: Postgres, session: str) -> None:
    log = Log(postgres)
    await say(log, session, "💥" * 1000, "字" * 1000, "a" * 1000)
    for words in ("💥" * 200, "字" * 200, "a" * 200, "-a " * 66, "((((" * 50, '"' * 200, "a or " * 40):
        await found(log, session, words)
    for words in ("-" * 200, "- " * 100, "-!" * 100, "a" + "-" * 199):
        await found(log, session, words)


@few
@given(chats(FIRST))
async def test_what_is_found_is_what_is_told(postgres: Postgres, records: list[Record]) -> None:
    log, session = Log(postgres), (await Sessions(postgres).create("alice", "A show")).id
    told = merged(session, await append(log, session, records))
    texts = {event["seq"]: event["body"].get("text") for event in told if event["kind"] == "chat.posted"}
    assert await found(log, session, "text") == sorted((seq for seq in texts if texts[seq]), reverse=True)
    for record in records:
        text = f"text of {record.seq}"
        assert await found(log, session, f'"{text}"') == [seq for seq in sorted(texts) if texts[seq] == text]
