"""P9: every sequence of quality, orientation and mishap ends in a shown frame or a stated reason."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.video import AGORA, Video, live
from tests.e2e.windows import Windows, launched
from tests.properties.effort import tried
from tests.support.servers import dev_server

# Runs inputs through the page's own machine, as its player would: what comes of the engine comes in the turn that is.
RUN: Final = """async ({goal, inputs}) => {
  const {INITIAL, limitOf, step} = await import("/studio/video/machine.js");
  const {pictureOf} = await import("/studio/video/words.js");
  const seen = [];
  let state = INITIAL;
  const put = (input, random = 0.5) => {
    const before = state.entered;
    [state] = step(state, {...input, entered: state.entered}, random);
    const {shown, words, act} = pictureOf(state, "alice");
    const {goal, phase, entered} = state;
    seen.push({input: input.type, entered: entered !== before, goal, phase, shown, words, act});
  };
  put({type: "want", goal});
  for (const input of inputs) put(input);
  let waits = 0;
  while (limitOf(state) !== null && waits < 50) {
    put({type: "timeout"});
    waits += 1;
  }
  return {seen, rests: limitOf(state) === null};
}"""
# All that an engine tells, from a good beginning to any mishap.
STEPS: Final = ["loaded", "granted", "joined", "opened", "published", "track", "frame"]
TOLD: Final = [*STEPS, "untrack", "frozen", "blocked", "lost", "found", "timeout", "retry", "devices", "play"]
FAULTS: Final = [
    "load",
    "refused",
    "network",
    "late",
    "expired",
    "banned",
    "denied",
    "missing",
    "busy",
    "ended",
    "frames",
]
inputs = st.one_of(
    st.sampled_from(TOLD).map(lambda told: {"type": told, "grant": {}}),
    st.sampled_from(FAULTS).map(lambda code: {"type": "fault", "code": code}),
    st.booleans().map(lambda poor: {"type": "network", "poor": poor}),
    st.booleans().map(lambda portrait: {"type": "rotated", "portrait": portrait}),
    st.booleans().map(lambda only: {"type": "sound", "only": only}),
    st.booleans().map(lambda on: {"type": "camera", "on": on}),
    st.sampled_from(["none", "publish", "play"]).map(lambda goal: {"type": "want", "goal": goal}),
)
# What happens to a viewer in a real browser.
ACTIONS: Final = {
    "the host publishes": "agora.remote || agora.publish()",
    "the host publishes upright": "agora.remote || agora.publish(360, 640)",
    "the host turns the camera off": "agora.unpublish()",
    "the host turns the phone": "agora.remote?.videoTrack.turn()",
    "the picture stands still": "agora.remote?.videoTrack.move(false)",
    "the picture moves": "agora.remote?.videoTrack.move(true)",
    "the network gets bad": "agora.quality(6); agora.quality(6)",
    "the network gets good": "for (let i = 0; i < 5; i += 1) agora.quality(1)",
    "only sound comes through": "agora.emit('stream-fallback', 7, 'fallback')",
    "the picture comes through": "agora.emit('stream-fallback', 7, 'recover')",
    "the link is lost": "agora.emit('connection-state-change', 'RECONNECTING', 'CONNECTED')",
    "the link is back": "agora.emit('connection-state-change', 'CONNECTED', 'RECONNECTING')",
}
SIZES: Final = {"wide": (1280, 800), "upright": (390, 844), "lying": (844, 390)}


@pytest.fixture(scope="module")
def viewer() -> Iterator[Video]:
    """Give the window of a viewer whose host is live."""
    with launched() as browser, dev_server(**AGORA) as server, closing(Windows(browser, server.url)) as windows:
        host = live(windows)
        host.shows()
        viewer = live(windows, link=host.page.url, user="bob")
        viewer.waits()
        yield viewer


@given(
    goal=st.sampled_from(["publish", "play"]),
    begun=st.integers(0, len(STEPS)),
    then=st.lists(inputs, max_size=30),
)
@tried(150)
def test_every_sequence_ends_in_a_frame_or_a_reason(
    viewer: Video, goal: str, begun: int, then: list[dict[str, Any]]
) -> None:
    first = [{"type": told, "grant": {}} for told in STEPS[:begun]]
    ran = viewer.page.evaluate(RUN, {"goal": goal, "inputs": [*first, *then]})
    moved = False
    for state in ran["seen"]:
        # A phase that was entered by anything but a frame has shown none yet.
        moved = state["input"] == "frame" if state["entered"] else moved
        assert state["shown"] == (state["phase"] == "shown")
        assert moved if state["shown"] else state["words"] or state["goal"] == "none"
    last = ran["seen"][-1]
    assert ran["rests"]
    assert last["shown"] or last["goal"] == "none" or (last["words"] and last["act"])


@given(actions=st.lists(st.sampled_from([*ACTIONS, *SIZES]), min_size=1, max_size=8))
@tried(12)
def test_a_real_player_never_shows_a_black_frame(viewer: Video, actions: list[str]) -> None:
    viewer.do("agora.unpublish()")
    for action in actions:
        if action in SIZES:
            width, height = SIZES[action]
            viewer.page.set_viewport_size({"width": width, "height": height})
        else:
            viewer.do(ACTIONS[action])
        assert_never_black(viewer)
    viewer.page.wait_for_timeout(150)
    assert_never_black(viewer)
    # Whatever it was, it is over when the host's picture is there, and the link is.
    viewer.do(ACTIONS["the link is back"])
    viewer.do(ACTIONS["the host turns the camera off"])
    viewer.do(ACTIONS["the host publishes"])
    viewer.shows()


def assert_never_black(viewer: Video) -> None:
    """Expect the stage to show light, or to say why not, at this moment."""
    bright, words = viewer.look()
    assert bright > 0 or (bright < 0 and words)
