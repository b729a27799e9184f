import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewire_client.errors import Full, Refused
from stagewire_client.messages import Event
from stagewire_client.outbox import DeliveryState, Draft, Outbox, command
from stagewire_client.settings import Settings

SETTINGS = Settings()


def draft(number: int, **fields: object) -> Draft:
    return Draft(key=f"k{number}", written_at=number, number=number, text=f"text {number}", **fields)  # type: ignore[arg-type] # whatever a test gives


def outbox(*numbers: int, limit: int = 10) -> Outbox:
    made = Outbox(limit)
    for number in numbers:
        made.add(draft(number))
    return made


def refuse(box: Outbox, key: str, code: str, after_ms: int | None = None, now: float = 0.0) -> DeliveryState:
    pending = box.refused(key, Refused(code, "no", retry_after_ms=after_ms), now, 1.0, SETTINGS)
    assert pending is not None
    return pending.state


def keys(box: Outbox) -> list[str]:
    return [pending.draft.key for pending in box.entries()]


def test_each_kind_of_draft_has_its_command() -> None:
    assert command(draft(1), "s") == {
        "type": "chat.send", "session": "s", "key": "k1", "text": "text 1", "sent_at": 1,
    }  # fmt: skip
    assert command(draft(1, reply_to=7), "s")["reply_to"] == 7
    assert command(draft(1, type="chat.edit", seq=4), "s") == {
        "type": "chat.edit", "session": "s", "key": "k1", "seq": 4, "text": "text 1", "edited_at": 1,
    }  # fmt: skip
    assert command(draft(1, type="chat.delete", seq=4), "s") == {
        "type": "chat.delete", "session": "s", "key": "k1", "seq": 4,
    }  # fmt: skip


def test_one_message_is_on_its_way_at_a_time() -> None:
    box = outbox(1, 2)
    assert box.next(0) == draft(1)
    assert box.next(0) is None
    box.stored("k1")
    assert box.next(0) == draft(2)
    box.stored("k2")
    assert box.next(0) is None
    assert (len(box), box.open) == (0, False)


def test_what_got_no_answer_is_sent_again_before_all_others() -> None:
    box = outbox(1, 2)
    box.next(0)
    box.lost()
    assert box.next(0) == draft(1)


@pytest.mark.parametrize("code", ["unavailable", "rate_limited"])
def test_a_passing_refusal_holds_up_all_that_was_written_later(code: str) -> None:
    box = outbox(1, 2)
    box.next(0)
    assert refuse(box, "k1", code, 3000, now=10) is DeliveryState.HELD
    assert box.next(12.9) is None
    assert box.wait(12.9) == pytest.approx(0.1)
    assert box.next(13) == draft(1)
    # Each refusal makes the wait longer, whatever little the server asks for.
    assert refuse(box, "k1", code, 1, now=13) is DeliveryState.HELD
    assert box.wait(13) == 1.0


def test_a_time_that_the_server_has_named_outlasts_the_connection() -> None:
    box = outbox(1)
    box.next(0)
    refuse(box, "k1", "rate_limited", 3000)
    box.lost()
    assert (box.next(1), box.wait(1)) == (None, 2)


def test_a_defect_is_tried_once_again() -> None:
    box = outbox(1)
    box.next(0)
    assert refuse(box, "k1", "internal") is DeliveryState.HELD
    box.next(100)
    assert refuse(box, "k1", "internal") is DeliveryState.FAILED


def test_a_refused_message_holds_up_no_other() -> None:
    box = outbox(1, 2)
    box.next(0)
    assert refuse(box, "k1", "forbidden") is DeliveryState.FAILED
    failed = box.get("k1")
    assert failed is not None
    assert failed.error is not None
    assert failed.error.code == "forbidden"
    assert box.next(0) == draft(2)


def test_a_refused_message_is_sent_again_where_somebody_asks_for_it() -> None:
    box = outbox(1, 2)
    assert not box.retry("k1")
    box.next(0)
    refuse(box, "k1", "forbidden")
    assert box.retry("k1")
    assert box.next(0) == draft(1)
    assert not box.retry("other")


def test_a_message_may_be_dropped_unless_it_is_on_its_way() -> None:
    box = outbox(1, 2)
    assert box.drop("k2")
    box.next(0)
    assert not box.drop("k1")
    refuse(box, "k1", "forbidden")
    assert box.drop("k1")
    assert not box.drop("k1")
    assert len(box) == 0


def test_where_there_is_no_room_what_was_refused_makes_it() -> None:
    box = outbox(1, 2, limit=2)
    with pytest.raises(Full):
        box.make_room()
    box.next(0)
    refuse(box, "k1", "forbidden")
    assert box.make_room() == "k1"
    assert box.make_room() is None
    assert keys(box) == ["k2"]


def test_what_was_kept_goes_before_what_is_new() -> None:
    box = outbox(5, limit=4)
    assert box.restore([draft(3), draft(5), draft(1)]) == [draft(1), draft(3)]
    assert keys(box) == ["k1", "k3", "k5"]
    # Beyond the limit it stays where it is kept.
    assert box.restore([draft(2), draft(4)]) == [draft(2)]


def test_an_event_with_ones_own_key_is_as_good_as_an_ack() -> None:
    box = outbox(1, 2)
    event = Event(seq=4, at=0, kind="chat.posted", by="alice", key="k1")
    assert box.recognised(event, "bob") is None
    assert box.recognised(event, "alice") == "k1"
    assert box.recognised(event, "alice") is None
    assert "k1" not in box
    assert "k2" in box


def test_an_answer_about_what_is_not_pending_changes_nothing() -> None:
    box = outbox(1)
    assert box.refused("k9", Refused("forbidden", "no"), 0, 0, SETTINGS) is None
    box.stored("k9")
    assert keys(box) == ["k1"]
    assert box.wait(0) is None


@given(st.lists(st.sampled_from(["write", "ack", "lose", "hold", "refuse", "wait"]), max_size=60), st.randoms())
def test_whatever_happens_the_log_has_each_message_once_and_in_order(happens: list[str], random: object) -> None:
    """The store takes what is sent, or doesn't, whether or not an answer arrives; it knows keys."""
    box, log, now, written, flying = Outbox(100), list[str](), 0.0, 0, None
    refused: set[str] = set()
    for what in [*happens, *["wait", "ack"] * 60]:
        if what == "write":
            written += 1
            box.add(draft(written))
        elif what == "wait":
            now += 100
        flying = flying or box.next(now)
        if flying is None:
            continue
        stored = flying.key in log or what == "ack" or (what == "lose" and random.random() < 0.5)  # type: ignore[attr-defined] # Hypothesis's Random
        if stored and flying.key not in log:
            log.append(flying.key)
        if what == "ack":
            box.stored(flying.key)
        elif what == "lose":
            box.lost()
        elif what == "hold":
            refuse(box, flying.key, "unavailable", now=now)
        elif what == "refuse" and not stored:
            refused.add(flying.key)
            refuse(box, flying.key, "forbidden", now=now)
        else:
            continue
        flying = None
    assert log == [f"k{number}" for number in range(1, written + 1) if f"k{number}" not in refused]
    assert not box.open
