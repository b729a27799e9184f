from bench.asks import Asked, Asks
from bench.pace import Window
from bench.tally import Latencies


def p50(encoded: bytes) -> float:
    found = Latencies.merged([encoded]).percentiles()
    assert found is not None
    return found.p50


def test_an_answer_counts_once() -> None:
    asks, asked = Asks(), Asked(Window(100, 10_000_000))
    number = asks.begin(asked, 150)
    asks.settle(number, acked=True, now=5_000_150)
    asks.settle(number, acked=True, now=9_000_150)
    sent = asked.sent()
    assert (sent.acked, sent.acked_in_window, sent.refused, sent.unanswered) == (1, 1, 0, 0)
    assert round(p50(sent.latencies)) == 5


def test_only_acks_of_the_window_are_timed() -> None:
    asks, asked = Asks(), Asked(Window(100, 200))
    before, refused, after, _ = [asks.begin(asked, due) for due in (99, 150, 200, 150)]
    for number in (before, after):
        asks.settle(number, acked=True, now=1000)
    asks.settle(refused, acked=False, now=150)
    sent = asked.sent()
    assert (sent.acked, sent.acked_in_window, sent.refused, sent.unanswered) == (2, 0, 1, 1)
    assert asked.latencies.count == 0


def test_questions_of_each_kind_are_counted_apart_and_numbered_together() -> None:
    asks, one, other = Asks(), Asked(Window(0, 9)), Asked(Window(0, 9))
    numbers = [asks.begin(one, 1), asks.begin(other, 1), asks.begin(one, 1)]
    assert len(set(numbers)) == 3
    for number in numbers:
        asks.settle(number, acked=True, now=2)
    assert (one.sent().acked, other.sent().acked) == (2, 1)


def test_how_late_a_question_was_asked_is_kept_besides_for_the_window() -> None:
    asked = Asked(Window(0, 9))
    Asks().begin(asked, 0)
    assert p50(asked.sent().lateness) > 0
    asked.say(8)
    asked.say(9)
    assert asked.lateness.count == 2
    assert asked.pending == 1
