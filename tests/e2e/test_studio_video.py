"""The studio's video, on a stand-in of Agora's SDK: what is shown, and why where nothing is."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.e2e.lines import Line, Message
from tests.e2e.video import AGORA, APP, SDK, STAND_IN, Video, live
from tests.e2e.windows import NOTHING_KEPT, Windows, find_browser
from tests.support.servers import DevServer, dev_server

UNPLUGGED: Final = "navigator.mediaDevices.dispatchEvent(new Event('devicechange'))"


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    """Run a server that issues Agora tokens."""
    find_browser()
    with dev_server(STAGEWIRE_HEARTBEAT="0.4", **AGORA) as running:
        yield running


def test_a_host_publishes_and_a_viewer_plays(windows: Windows) -> None:
    host = live(windows)
    host.shows()
    [[app, channel, token, uid]] = host.calls("join")
    assert (app, channel) == (APP, host.page.url.partition("=")[2])
    assert token.startswith("007")
    assert uid > 0
    assert host.calls("role") == [["host"]]
    assert host.calls("dual") == [[]]
    assert host.calls("publish") == [[2]]
    viewer = live(windows, link=host.page.url, user="bob")
    viewer.waits()
    host.window.audience_is("0 watching")
    viewer.do("agora.publish()")
    viewer.shows()
    host.window.audience_is("1 watching")
    assert viewer.calls("role") == [["audience"]]
    assert viewer.calls("fallback") == [[2]]
    assert len(viewer.calls("hear")) == 1
    viewer.do("agora.unpublish()")
    viewer.waits()
    host.window.audience_is("0 watching")
    host.window.click("Pause")
    viewer.window.headline_is("Paused")
    expect(viewer.page.locator("#picture")).to_be_hidden()
    assert len(viewer.calls("leave")) == 1
    host.window.click("Resume")
    host.shows()


def test_who_has_left_meanwhile_does_not_join(windows: Windows) -> None:
    host = live(windows)
    window = windows.blank()
    video, line = Video(window), Line(window)
    window.page.goto(host.page.url)
    held: list[Message] = []

    def hold(message: Message) -> Message | None:
        if "channel" not in str(message):
            return message
        held.append(message)
        return None

    line.back = hold
    window.sign_in("bob", "Viewer")
    line.wait_until(lambda: bool(held))
    window.page.get_by_role("link", name="Stagewire").click()
    expect(window.page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()
    for message in held:
        line.tell(message)
    line.wait_for("ping", line.passed["ping"] + 1)
    # What the page does of it has happened when it has drawn again.
    window.page.evaluate("new Promise(requestAnimationFrame)")
    assert video.calls("join") == []


def test_a_token_that_is_pushed_is_given_to_the_sdk(server: DevServer, windows: Windows) -> None:
    host = live(windows)
    viewer = live(windows, link=host.page.url, user="bob")
    viewer.waits()
    [[_, _, first, _]] = viewer.calls("join")
    token = httpx.post(f"{server.url}/dev/token", json={"user": "alice", "role": "seller"}).json()["token"]
    session = f"{server.url}/v1/sessions/{host.page.url.partition('=')[2]}"
    named = httpx.put(
        f"{session}/members/bob", json={"role": "moderator"}, headers={"Authorization": f"Bearer {token}"}
    )
    named.raise_for_status()
    viewer.page.wait_for_function("agora.calls.some(([name]) => name === 'renew')")
    [[renewed]] = viewer.calls("renew")
    assert renewed.startswith("007")
    assert renewed != first


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        ("join", "CAN_NOT_GET_GATEWAY_SERVER", "The video service cannot be reached."),
        ("join", "UID_CONFLICT", "The video is open in another window of yours."),
        ("camera", "PERMISSION_DENIED", "This page may not use your camera."),
        ("camera", "DEVICE_NOT_FOUND", "No camera was found."),
        ("camera", "NOT_READABLE", "Another program uses the camera."),
        ("publish", "INVALID_LOCAL_TRACK", "Your picture could not be sent."),
        ("system", "", "This browser cannot play live video."),
    ],
)
def test_what_fails_is_said_and_can_be_tried_again(windows: Windows, call: str, code: str, words: str) -> None:
    host = live(windows, **{call: code or "NO"})
    host.says(re.compile(re.escape(words)))
    host.window.say("The chat goes on")
    host.window.sees("The chat goes on")
    host.do(f"delete agora.failing['{call}']")
    host.window.click("Try again")
    host.shows()


def test_an_sdk_that_does_not_come_is_asked_for_again(windows: Windows) -> None:
    window = windows.blank()
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    window.page.route(SDK, refuse)
    window.page.goto(windows.url)
    window.sign_in("alice", "Seller")
    window.create("Without the SDK")
    window.click("Start session")
    words = window.page.locator("#picture-words")
    expect(words).to_have_text("The video player could not be loaded. Trying again by itself soon.")
    window.page.unroute(SDK)
    window.page.route(SDK, lambda route: route.fulfill(body=STAND_IN, content_type="text/javascript"))
    # By itself, or by hand: whatever is sooner.
    expect(window.page.locator("#stage")).to_have_attribute("data-picture", "shown")
    assert asked
    window.errors.clear()


@pytest.mark.skipif("STUDIO_AGORA_SDK" not in os.environ, reason="STUDIO_AGORA_SDK names no file of Agora's own SDK")
def test_agoras_own_sdk_that_finds_no_server_is_told_of(windows: Windows) -> None:
    sdk = Path(os.environ["STUDIO_AGORA_SDK"]).read_text()
    window = windows.blank()
    window.page.route(SDK, lambda route: route.fulfill(body=sdk, content_type="text/javascript"))
    window.page.route(re.compile(r"//[^/]*\.(agora\.io|sd-rtn\.com)"), lambda route: route.abort())
    window.page.goto(windows.url)
    window.sign_in("alice", "Seller")
    window.create("Without Agora's servers")
    window.click("Start session")
    words = window.page.locator("#picture-words")
    expect(words).to_have_text(re.compile("The video service cannot be reached."), timeout=30_000)
    expect(window.button("Try again")).to_be_visible()
    window.say("The chat goes on")
    window.sees("The chat goes on")
    # It writes of each server that it cannot reach; what the page's policy forbids would be another thing.
    assert [text for text in window.errors if "Content Security Policy" in text] == []
    window.errors.clear()


def test_a_camera_that_is_lost_is_used_again_when_it_is_back(windows: Windows) -> None:
    host = live(windows)
    host.shows()
    host.do("agora.camera.emit('track-ended')")
    host.says("The camera was disconnected.")
    host.do(UNPLUGGED)
    host.shows()
    host.window.click("Camera")
    host.says("Your camera is off. Viewers are told so.")
    host.window.click("Turn it on")
    host.shows()
    host.window.click("Microphone")
    expect(host.window.button("Microphone")).to_have_attribute("aria-pressed", "false")
    assert host.calls("setMuted") == [[True]]
    # Whatever happens now, nobody sees or hears the host before the host wants it.
    host.window.click("Camera")
    host.says("Your camera is off. Viewers are told so.")
    host.window.click("Pause")
    host.window.headline_is("Paused")
    opened = len(host.calls("camera"))
    host.window.click("Resume")
    host.says("Your camera is off. Viewers are told so.")
    assert len(host.calls("camera")) == opened
    host.window.click("Turn it on")
    host.shows()
    expect(host.window.button("Microphone")).to_have_attribute("aria-pressed", "false")
    assert host.calls("setMuted") == [[True], [True]]


def test_the_host_chooses_the_camera_and_the_microphone(windows: Windows) -> None:
    host = live(windows)
    host.shows()
    host.window.click("Choose devices")
    camera, microphone = (host.page.get_by_label(name) for name in ("Picture from", "Sound from"))
    expect(camera).to_have_value("camera1")
    expect(microphone).to_have_value("microphone1")
    camera.select_option("camera 2")
    microphone.select_option("microphone 2")
    host.page.wait_for_function("agora.calls.filter(([name]) => name === 'setDevice').length === 2")
    assert host.calls("setDevice") == [["camera2"], ["microphone2"]]
    host.do("agora.failing.setDevice = 'NOT_READABLE'")
    camera.select_option("camera 1")
    expect(host.page.get_by_text("This one cannot be used.")).to_be_visible()
    expect(camera).to_have_value("camera2")
    host.window.click("Done")
    expect(host.window.button("Choose devices")).to_be_focused()
    # The next time they are what was chosen.
    host.window.click("Pause")
    expect(host.window.button("Choose devices")).to_be_hidden()
    host.window.click("Resume")
    host.shows()
    host.window.click("Choose devices")
    expect(camera).to_have_value("camera2")
    expect(microphone).to_have_value("microphone2")
    host.window.click("Done")
    # With a camera that is off there is most to say, and a phone that lies has least room for it.
    host.page.set_viewport_size({"width": 844, "height": 390})
    host.window.click("Camera")
    host.says("Your camera is off. Viewers are told so.")
    for name in ("Turn it on", "Camera", "Microphone", "Choose devices"):
        expect(host.window.button(name)).to_be_in_viewport(ratio=0.99)


def test_devices_are_chosen_where_the_browser_keeps_nothing(windows: Windows) -> None:
    host = live(windows, before=NOTHING_KEPT)
    host.shows()
    host.window.click("Choose devices")
    host.page.get_by_label("Picture from").select_option("camera 2")
    host.page.wait_for_function("agora.calls.some(([name]) => name === 'setDevice')")
    expect(host.page.get_by_text("This one cannot be used.")).to_be_hidden()
    host.window.click("Done")
    host.window.click("Pause")
    host.window.click("Resume")
    host.shows()


@pytest.mark.parametrize("kept", ["no JSON {", "null", '{"camera": 1}'])
def test_devices_that_another_version_of_the_page_has_kept(windows: Windows, kept: str) -> None:
    host = live(windows, before=f"localStorage.setItem('stagewire.devices', {json.dumps(kept)})")
    host.shows()


def test_the_picture_follows_the_network(windows: Windows) -> None:
    host = live(windows)
    viewer = live(windows, link=host.page.url, user="bob")
    viewer.waits()
    viewer.do("agora.publish()")
    viewer.shows()
    viewer.do("agora.quality(5); agora.quality(5)")
    expect(viewer.page.get_by_text("Lower quality, for your network")).to_be_visible()
    assert viewer.calls("layer") == [[1]]
    viewer.do("for (let i = 0; i < 5; i += 1) agora.quality(1)")
    expect(viewer.page.get_by_text("Lower quality, for your network")).to_be_hidden()
    assert viewer.calls("layer") == [[1], [0]]
    viewer.do("agora.emit('stream-fallback', 7, 'fallback')")
    viewer.says("Sound only. Your network is too slow for the picture. It comes back by itself.")
    viewer.do("agora.emit('stream-fallback', 7, 'recover')")
    viewer.shows()
    viewer.do("agora.remote.videoTrack.move(false)")
    viewer.says("The picture stands still. Waiting for it to go on…")
    viewer.do("agora.remote.videoTrack.move(true)")
    viewer.shows()
    viewer.do("agora.emit('connection-state-change', 'RECONNECTING', 'CONNECTED')")
    viewer.says("The connection to the video was lost. Looking for it…")
    viewer.do("agora.emit('connection-state-change', 'CONNECTED', 'RECONNECTING')")
    viewer.shows()
    viewer.do("agora.emit('connection-state-change', 'DISCONNECTED', 'CONNECTED', 'UID_BANNED')")
    viewer.says("The video service has shut this user out.")


def test_a_picture_of_any_shape_fits_a_screen_of_any_shape(windows: Windows) -> None:
    host = live(windows)
    viewer = live(windows, link=host.page.url, user="bob")
    viewer.waits()
    viewer.do("agora.publish(640, 360)")
    viewer.shows()
    stage = viewer.page.locator("#stage")
    expect(stage).to_have_attribute("data-shape", "wide")
    expect(stage).to_have_attribute("data-fit", "cover")
    viewer.do("agora.remote.videoTrack.turn()")
    expect(stage).to_have_attribute("data-shape", "tall")
    expect(stage).to_have_attribute("data-fit", "contain")
    for width, height in [(390, 844), (844, 390), (1280, 800)]:
        viewer.page.set_viewport_size({"width": width, "height": height})
        viewer.shows()
        viewer.window.fits()
    # The host's camera is encoded as it is held.
    assert host.calls("camera") == [[1280, 720]]
    host.page.set_viewport_size({"width": 390, "height": 844})
    host.page.wait_for_function("agora.calls.some(([name]) => name === 'encode')")
    assert host.calls("encode") == [[720, 1280]]
    host.shows()
