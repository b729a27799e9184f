"""Who types, on several nodes that lose each other's hints: what is told, and when."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from realtime.domain.typing import NAMES, Pace, Typing, View

PACE = Pace(gap=10, lifetime=50, most=4)
USERS = ["ann", "bob", "eve", "joe", "kim", "lee"]


class Step(Struct, frozen=True):
    """After `pause`, a user of a node begins or stops to type, on one of two connections or on any."""

    pause: int
    node: int
    user: str
    on: bool
    where: str
    lost: bool


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(0, 70),
        st.integers(0, 1),
        st.sampled_from(USERS),
        st.booleans(),
        st.sampled_from(["tab", "phone"]),
        st.booleans(),
    ),
    max_size=30,
)


class World:
    """Two nodes; time passes by one, and each time both tell what is due."""

    def __init__(self) -> None:
        self.nodes = [Typing(PACE), Typing(PACE)]
        self.now = 0
        self.signals: list[list[tuple[int, View]]] = [[], []]
        self.hints: list[list[int]] = [[], []]
        # Until when who types where, as an onlooker sees it who misses nothing.
        self.truth: list[dict[str, tuple[int, str]]] = [{}, {}]

    def tell(self, *, lost: bool = False) -> None:
        for number, node in enumerate(self.nodes):
            hint = node.hint(self.now)
            if hint is not None:
                self.hints[number].append(self.now)
                assert len(hint) <= PACE.most
                if not lost:
                    self.nodes[1 - number].hear(f"node {number}", hint, self.now)
        for number, node in enumerate(self.nodes):
            if (view := node.signal(self.now)) is not None:
                self.signals[number].append((self.now, view))

    def wait(self, pause: int, *, lost: bool = False) -> None:
        for _ in range(pause):
            self.now += 1
            self.tell(lost=lost)

    def take(self, step: Step) -> None:
        self.wait(step.pause, lost=step.lost)
        node, typers = self.nodes[step.node], self.truth[step.node]
        for user in [user for user, (until, _) in typers.items() if until <= self.now]:
            del typers[user]
        if step.on:
            node.begin(step.user, step.where, self.now)
            if step.user in typers or len(typers) < PACE.most:
                typers[step.user] = (self.now + PACE.lifetime, step.where)
        else:
            node.end(step.user, step.where)
            if typers.get(step.user, (0, ""))[1] == step.where:
                del typers[step.user]
        self.tell(lost=step.lost)

    def expected(self) -> View:
        users = sorted({u for typers in self.truth for u, (until, _) in typers.items() if until > self.now})
        return View(tuple(users[:NAMES]), len(users))


@given(STEPS)
def test_in_the_end_nobody_types_and_nothing_is_remembered(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        world.take(step)
    world.wait(2 * PACE.lifetime)
    for node, signals in zip(world.nodes, world.signals, strict=True):
        assert node.idle(world.now)
        assert not signals or signals[-1][1] == View()


@given(STEPS)
def test_signals_and_hints_keep_their_pace(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        world.take(step)
    for signals in world.signals:
        for (before, old), (after, new) in pairwise(signals):
            # Two at once are nobody after somebody; and nobody is not told twice.
            assert after - before >= PACE.gap or (old.count and not new.count)
            assert old.count or new.count
            assert old != new or after - before >= PACE.lifetime
        assert all(len(view.users) == min(NAMES, view.count) for _, view in signals)
    for hints in world.hints:
        assert len(hints) <= 2 * (world.now // PACE.gap + 1) + len(steps)


@given(STEPS)
def test_where_no_hint_is_lost_all_are_told_the_truth_soon(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        world.take(Step(step.pause, step.node, step.user, step.on, step.where, lost=False))
        # The first gap is the hint's, the second the signal's.
        before = world.now
        world.wait(2 * PACE.gap)
        while world.now < before + 4 * PACE.gap and any(s[-1:] and s[-1][1] != world.expected() for s in world.signals):
            world.wait(1)
        told = [signals[-1][1] if signals else View() for signals in world.signals]
        assert told == [world.expected()] * 2


def test_the_first_and_the_last_are_told_at_once() -> None:
    typing = Typing(PACE)
    assert typing.signal(0) is None
    assert typing.hint(0) is None
    typing.begin("bob", "tab", 0)
    assert typing.signal(0) == View(("bob",), 1)
    assert typing.hint(0) == {"bob": 50}
    typing.begin("ann", "tab", 3)
    assert typing.signal(9) is None
    assert typing.hint(9) is None
    assert typing.signal(10) == View(("ann", "bob"), 2)
    assert typing.hint(10) == {"bob": 40, "ann": 43}
    typing.end("bob")
    typing.end("ann", "phone")
    assert typing.signal(11) is None
    typing.end("ann", "tab")
    assert typing.signal(11) == View()
    assert typing.hint(11) == {}
    assert not typing.idle(11)
    # Beginning again has to wait: it would be a third signal in no time.
    typing.begin("bob", "tab", 12)
    assert typing.signal(12) is None
    typing.end("bob")
    assert typing.signal(13) is None


def test_who_goes_on_typing_is_told_again_for_those_who_came_later() -> None:
    typing = Typing(PACE)
    typing.begin("bob", "tab", 0)
    assert typing.signal(0) is not None
    typing.begin("bob", "tab", 40)
    assert typing.signal(49) is None
    assert typing.signal(50) == View(("bob",), 1)
    assert typing.signal(90) == View()


def test_a_node_that_falls_silent_takes_its_typers_along() -> None:
    typing = Typing(PACE)
    # Nor does it decide for how long that is.
    typing.hear("two", {"bob": 50_000, "ann": 20}, 0)
    assert typing.signal(0) == View(("ann", "bob"), 2)
    assert typing.signal(20) == View(("bob",), 1)
    assert typing.signal(50) == View()
    assert typing.idle(60)


def test_so_many_are_known_of_each_node() -> None:
    typing = Typing(PACE)
    for user in USERS:
        typing.begin(user, "tab", 0)
    typing.hear("two", {f"other-{n}": 50 for n in range(9)}, 0)
    assert typing.signal(0) == View(("ann", "bob", "eve"), 8)
    # Who is known already goes on.
    typing.begin("ann", "tab", 30)
    assert typing.signal(60) == View(("ann",), 1)


def test_in_a_large_audience_nobody_is_said_to_type() -> None:
    typing = Typing(PACE)
    typing.begin("bob", "tab", 0)
    assert typing.signal(0, quiet=True) is None
    assert typing.signal(1) == View(("bob",), 1)
    assert typing.signal(2, quiet=True) == View()
    assert typing.signal(3, quiet=True) is None
