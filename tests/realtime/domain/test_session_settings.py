from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from realtime.domain.session_settings import MAX_METADATA, Bounds, applied, check_metadata, merge, wanted
from realtime.protocol.codes import Code, Refusal
from realtime.protocol.replies import MediaClock, SessionView
from realtime.protocol.session_settings import Change, ChatMode, SessionSettings, change_of

BOUNDS = Bounds(title=10, message=100)
CLOCK = MediaClock(0, 5, running=True)
VIEW = SessionView(id="s", host="h", title="t", state="live", version=3, created_at=5, since=5, media=CLOCK)


def refused(change: Change) -> Code:
    with pytest.raises(Refusal) as raised:
        wanted(change, BOUNDS)
    return raised.value.code


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_a_change_is_stored_as_it_is_and_its_title_cleaned() -> None:
    change = Change(title="  A\u0000b  ", links=False, max_message=100, metadata={"a": 1})
    assert wanted(change, BOUNDS) == msgspec.structs.replace(change, title="Ab")
    cleared = Change(max_message=None, language=None, cover=None, metadata=None)
    assert wanted(cleared, BOUNDS) is cleared


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (Change(), Code.BAD_REQUEST),
        (Change(title=" "), Code.BAD_REQUEST),
        (Change(title="x" * 11), Code.TOO_LARGE),
        (Change(max_message=101), Code.BAD_REQUEST),
        (Change(metadata={"a": "\0"}), Code.BAD_REQUEST),
    ],
)
def test_what_cannot_be_set(change: Change, code: Code) -> None:
    assert refused(change) is code


@pytest.mark.parametrize(
    "value",
    [
        "\0",
        "a\ud800",
        {"\0": 1},
        {"\udfff": 1},
        {1: "a"},
        {"a": {2: "b"}},
        [1, ["\0"]],
        float("nan"),
        float("inf"),
        1e300,
        5e-324,
        2**53,
        -(2**64),
        b"bytes",
        ...,
    ],
    ids=repr,
)
def test_what_neither_json_nor_postgres_holds(value: Any) -> None:
    assert refused(Change(metadata={"a": value})) is Code.BAD_REQUEST


@pytest.mark.parametrize(
    "value", [None, True, 0, -0.0, 1.5, 1e-6, 2**53 - 1, "é\u2028😀", [], {}, [[{"a": []}]]], ids=repr
)
def test_what_they_do_hold(value: Any) -> None:
    check_metadata({"a": value})


def test_the_bounds_of_metadata() -> None:
    check_metadata(nested(8))
    assert refused(Change(metadata=nested(9))) is Code.BAD_REQUEST
    assert refused(Change(metadata={"a": [[[[[[[[]]]]]]]]})) is Code.BAD_REQUEST
    check_metadata({"a": "x" * (MAX_METADATA - 8)})
    assert refused(Change(metadata={"a": "x" * (MAX_METADATA - 7)})) is Code.TOO_LARGE
    # Bytes count, not characters.
    assert refused(Change(metadata={"a": "é" * (MAX_METADATA // 2)})) is Code.TOO_LARGE


def test_what_is_left_out_stays_and_null_takes_away() -> None:
    full = merge(
        SessionSettings(),
        Change(
            chat=ChatMode.FOLLOWERS, slow_mode=5, max_message=9, language="de", cover="https://a.b", metadata={"a": 1}
        ),
    )
    assert merge(full, Change(links=False)) == msgspec.structs.replace(full, links=False)
    emptied = merge(full, Change(max_message=None, language=None, cover=None, metadata=None))
    assert emptied == SessionSettings(chat=ChatMode.FOLLOWERS, slow_mode=5)
    assert merge(full, Change(metadata={})).metadata is UNSET
    assert merge(full, Change(slow_mode=0)).slow_mode == 0


def test_a_title_belongs_to_the_snapshot() -> None:
    view = applied(VIEW, Change(title="Other", private=True))
    assert (view.title, view.settings.private, view.version) == ("Other", True, 3)
    assert applied(view, Change(private=False)).title == "Other"


CHANGES = st.builds(
    Change,
    title=st.just(UNSET) | st.sampled_from(["one", "two"]),
    chat=st.just(UNSET) | st.sampled_from(ChatMode),
    slow_mode=st.just(UNSET) | st.integers(0, 3600),
    links=st.just(UNSET) | st.booleans(),
    private=st.just(UNSET) | st.booleans(),
    max_message=st.sampled_from([UNSET, None, 1, 100]),
    language=st.sampled_from([UNSET, None, "de"]),
    metadata=st.sampled_from([UNSET, None, {}, {"a": [1, None]}]),
)


@given(changes=st.lists(CHANGES, max_size=5))
def test_a_view_that_hears_of_all_changes_is_the_stored_one(changes: list[Change]) -> None:
    """The server stores settings as JSON; clients hear of changes, as JSON."""
    stored = heard = VIEW
    for change in changes:
        stored = applied(stored, change)
        as_stored = msgspec.json.encode(stored.settings)
        stored = msgspec.structs.replace(stored, settings=msgspec.json.decode(as_stored, type=SessionSettings))
        heard = applied(heard, msgspec.json.decode(msgspec.json.encode(change), type=Change))
    assert heard == stored
    assert applied(stored, changes[-1]) == stored if changes else stored == VIEW


def test_a_command_has_the_fields_of_a_change() -> None:
    class Asked(Change, frozen=True, kw_only=True):
        key: str = "k"

    assert change_of(Asked(title="t", language=None)) == Change(title="t", language=None)
