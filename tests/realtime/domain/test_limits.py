"""Token buckets: one node's are exact, several nodes' keep within what is stated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from realtime.domain.limits import (
    DEFAULTS,
    Action,
    Bucket,
    Buckets,
    Limit,
    RateRole,
    Spent,
    merged,
    rate_role,
)
from tokens.access import AccessRole

LIMIT = Limit(rate=2, burst=4)
LIMITS = st.builds(Limit, rate=st.floats(0.01, 1000), burst=st.integers(1, 100))
# What float sums may be off by.
SLIGHTLY = 1e-6


def test_a_burst_goes_through_and_then_the_rate() -> None:
    bucket = Bucket(LIMIT, 10.0)
    assert [bucket.take(LIMIT, 10.0) for _ in range(5)] == [0, 0, 0, 0, 500]
    assert bucket.take(LIMIT, 10.25) == 250
    assert bucket.take(LIMIT, 10.5) == 0
    assert bucket.take(LIMIT, 10.5) == 500


def test_no_more_is_saved_up_than_a_burst() -> None:
    bucket = Bucket(LIMIT, 0.0)
    assert [bucket.take(LIMIT, 1e9) for _ in range(5)] == [0, 0, 0, 0, 500]


def test_a_clock_that_is_put_back_fills_nothing_twice() -> None:
    bucket = Bucket(LIMIT, 100.0)
    assert [bucket.take(LIMIT, 100.0) for _ in range(4)] == [0] * 4
    assert bucket.take(LIMIT, 50.0) == 500
    assert bucket.take(LIMIT, 100.0) == 500
    assert bucket.take(LIMIT, 100.5) == 0


def test_a_lower_limit_counts_at_once() -> None:
    bucket = Bucket(Limit(1, 100), 0.0)
    assert [bucket.take(Limit(1, 2), 0.0) for _ in range(3)] == [0, 0, 1000]


def test_a_shared_bucket_remembers_what_was_given_too_much() -> None:
    bucket = Bucket(LIMIT, 0.0)
    assert bucket.spend(6, 0.0) == -2
    assert bucket.take(LIMIT, 0.0) == 1500
    assert bucket.take(LIMIT, 1.5) == 0


def test_the_level_of_the_shared_bucket_counts_where_it_is_lower() -> None:
    bucket = Bucket(LIMIT, 0.0)
    bucket.take(LIMIT, 0.0)
    # It does not know of the token that was taken meanwhile.
    bucket.settle(2.0, 0.0)
    assert bucket.level == 1.0
    bucket.settle(4.0, 0.0)
    assert bucket.level == 1.0
    # It was told half a second late, in which it may have missed a token.
    bucket.settle(1.5, 0.5)
    assert bucket.level == 1.0
    bucket.settle(-5.0, 0.5)
    assert bucket.level == -5.0


class Ask(Struct, frozen=True):
    """Somebody asks, so long after the last."""

    after: float
    times: int = 1
    node: int = 0


ASKS = st.lists(st.builds(Ask, after=st.floats(-1, 3), times=st.integers(1, 20), node=st.integers(0, 3)), max_size=60)


@given(LIMITS, ASKS)
def test_one_node_never_gives_more_than_its_rate_and_a_burst(limit: Limit, asks: list[Ask]) -> None:
    bucket, now, latest, given_ = Bucket(limit, 0.0), 0.0, 0.0, 0
    for ask in asks:
        now += ask.after
        latest = max(latest, now)
        given_ += sum(bucket.take(limit, now) == 0 for _ in range(ask.times))
        assert given_ <= limit.rate * latest + limit.burst + SLIGHTLY
        assert bucket.level <= limit.burst


@given(LIMITS, ASKS)
def test_who_waits_as_told_is_let_through(limit: Limit, asks: list[Ask]) -> None:
    bucket, now = Bucket(limit, 0.0), 0.0
    for ask in asks:
        now += max(ask.after, 0)
        for _ in range(ask.times):
            if wait := bucket.take(limit, now):
                now += wait / 1000
                assert bucket.take(limit, now) == 0


@given(LIMITS, st.floats(0.01, 2), st.floats(0, 1), ASKS)
def test_who_waits_as_told_is_let_through_whatever_the_shared_bucket_is_told(
    limit: Limit, beat: float, way: float, asks: list[Ask]
) -> None:
    """As long as nobody else takes from it, however late it learns of what was taken: a beat, and the way there."""
    node, shared, now, due = Buckets(10), Bucket(limit, 0.0), 0.0, beat

    def until(then: float) -> float:
        nonlocal due
        while due <= then:
            # What was taken since the last time, and is on its way for up to another beat.
            for spent in node.tell(10):
                node.settle("bob", shared.spend(spent.tokens, due + way * beat), 2 * beat)
            due += beat
        return then

    for ask in asks:
        now = until(now + max(ask.after, 0))
        for _ in range(ask.times):
            if wait := node.take("bob", limit, now):
                now = until(now + wait / 1000)
                assert node.take("bob", limit, now) == 0


@given(LIMITS, st.integers(1, 4), st.floats(0.01, 2), ASKS)
def test_several_nodes_keep_within_what_is_stated(limit: Limit, count: int, beat: float, asks: list[Ask]) -> None:
    nodes, shared = [Buckets(10) for _ in range(count)], Bucket(limit, 0.0)
    # The nodes tell at moments of their own.
    due = [beat * (n + 1) / count for n in range(count)]
    now, given_ = 0.0, 0
    for ask in asks:
        now += max(ask.after, 0)
        while (first := min(due)) <= now:
            node = due.index(first)
            for spent in nodes[node].tell(10):
                nodes[node].settle(spent.key, shared.spend(spent.tokens, first), 2 * beat)
            due[node] += beat
        given_ += sum(nodes[ask.node % count].take("bob", limit, now) == 0 for _ in range(ask.times))
        most = limit.rate * now + count * limit.burst + 2 * count * limit.rate * beat
        assert given_ <= most + SLIGHTLY * len(asks)


def test_each_key_has_a_bucket_of_its_own() -> None:
    buckets = Buckets(10)
    assert [buckets.take("bob", Limit(1, 1), 0.0), buckets.take("eve", Limit(1, 1), 0.0)] == [0, 0]
    assert buckets.take("bob", Limit(1, 1), 0.0) == 1000
    assert len(buckets) == 2


def test_what_was_taken_is_told_once() -> None:
    buckets = Buckets(10)
    for key in ("bob", "bob", "eve", "ann"):
        buckets.take(key, LIMIT, 0.0)
    assert buckets.tell(2) == [Spent("bob", LIMIT, 2), Spent("eve", LIMIT, 1)]
    assert buckets.tell(2) == [Spent("ann", LIMIT, 1)]
    assert buckets.tell(2) == []


def test_what_is_refused_is_not_told() -> None:
    buckets = Buckets(10)
    for _ in range(10):
        buckets.take("bob", LIMIT, 0.0)
    assert buckets.tell(10) == [Spent("bob", LIMIT, 4)]
    assert buckets.take("bob", LIMIT, 0.0) == 500
    assert buckets.tell(10) == []


def test_a_shared_level_of_a_bucket_that_is_gone_says_nothing() -> None:
    buckets = Buckets(10)
    buckets.settle("bob", -5.0, 0.0)
    assert len(buckets) == 0
    buckets.take("bob", LIMIT, 0.0)
    buckets.tell(10)
    buckets.settle("bob", -1.0, 0.0)
    assert buckets.take("bob", LIMIT, 0.0) == 1000


def test_the_least_recently_used_gives_way() -> None:
    buckets, once = Buckets(2), Limit(1, 1)
    for key in ("bob", "eve", "bob", "ann"):
        buckets.take(key, once, 0.0)
    assert len(buckets) == 2
    assert [spent.key for spent in buckets.tell(10)] == ["bob", "ann"]
    assert buckets.take("bob", once, 0.0) > 0
    # Hers was forgotten.
    assert buckets.take("eve", once, 0.0) == 0


@given(st.lists(st.text(max_size=2), max_size=100), st.integers(1, 5))
def test_there_are_never_more_than_allowed(keys: list[str], most: int) -> None:
    buckets = Buckets(most)
    for key in keys:
        buckets.take(key, LIMIT, 0.0)
        assert len(buckets) <= most
    assert len(buckets.tell(1000)) <= most


def test_what_is_full_again_is_dropped() -> None:
    buckets = Buckets(10)
    for key in ("bob", "eve", "ann"):
        buckets.take(key, LIMIT, 0.0)
    buckets.sweep(100.0, 10)
    # None of them was told yet.
    assert len(buckets) == 3
    buckets.tell(10)
    buckets.take("eve", LIMIT, 100.0)
    buckets.sweep(100.0, 1)
    assert len(buckets) == 2
    buckets.sweep(100.0, 10)
    assert len(buckets) == 1


@pytest.mark.parametrize(
    ("role", "synthetic", "whose"),
    [
        (AccessRole.VIEWER, False, RateRole.VIEWER),
        (AccessRole.SELLER, False, RateRole.STAFF),
        (AccessRole.MODERATOR, False, RateRole.STAFF),
        (AccessRole.ADMIN, False, RateRole.ADMIN),
        (AccessRole.ADMIN, True, RateRole.SYNTHETIC),
    ],
)
def test_the_token_says_whose_limits_a_user_has(role: AccessRole, synthetic: bool, whose: RateRole) -> None:
    assert rate_role(role, synthetic=synthetic) is whose


def test_every_action_has_its_limits() -> None:
    users = {role for role in RateRole if role is not RateRole.ADDRESS}
    for action in Action:
        roles = {RateRole.ADDRESS} if action in (Action.HANDSHAKE, Action.HTTP) else users
        assert {role for of, role in DEFAULTS if of is action} == roles


def test_changes_are_put_into_the_table_and_what_is_unknown_is_left_out() -> None:
    table = merged([("chat", "viewer", LIMIT), ("chat", "address", LIMIT), ("dance", "viewer", LIMIT)])
    assert table[Action.CHAT, RateRole.VIEWER] == LIMIT
    assert table == {**DEFAULTS, (Action.CHAT, RateRole.VIEWER): LIMIT}


def test_a_rate_of_next_to_nothing_is_a_wait_that_can_be_told() -> None:
    limit = merged([("chat", "viewer", Limit(5e-324, 1))])[Action.CHAT, RateRole.VIEWER]
    bucket = Bucket(limit, 0.0)
    assert [bucket.take(limit, 0.0), bucket.take(limit, 0.0)] == [0, 1_000_000]
