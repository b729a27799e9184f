"""The studio where something is in the way: a browser that keeps nothing, a duplicated tab, a slow chat."""

import json

from playwright.sync_api import Page, expect

from tests.e2e.windows import NOTHING_KEPT, Window, Windows

NO_ROOM = "Storage.prototype.setItem = () => { throw new DOMException('No room.', 'QuotaExceededError'); }"
# By kept key: nothing of it has the shape that it had in this version of the page.
RUBBISH = {
    "stagewire.identity": ["no JSON {", '{"user": 1}', "null", '"alice"'],
    "stagewire.device": ["no JSON {", '{"name": 1}', '""'],
    "stagewire.inbox.bob": ["no JSON {", '{"entries": []}', '[{"kind": "direct"}]'],
    "stagewire.audience.{id}": ["no JSON {", '{"samples": []}', '[{"at": "now"}]', "[null]"],
}


def duplicated(windows: Windows, window: Window) -> Window:
    """Duplicate a tab, as browsers do: with all that it keeps."""
    with window.page.expect_popup() as opened:
        window.page.evaluate("() => void window.open(location.href)")
    return windows.adopt(opened.value)


def device(page: Page) -> str:
    """Give the name that a tab keeps as a device."""
    name: str = page.evaluate("sessionStorage.getItem('stagewire.device')")
    return name


def shown_to_a_browser(windows: Windows, script: str) -> tuple[Window, Window]:
    """Give the windows of a host who is live, and of carol, in whose browser a script runs before the page."""
    host, _ = windows.live_session()
    viewer = windows.blank()
    viewer.page.add_init_script(script)
    viewer.page.goto(host.page.url)
    viewer.sign_in("carol", "Viewer")
    viewer.headline_is("alice is live")
    return host, viewer


def test_a_browser_that_keeps_nothing(windows: Windows) -> None:
    host, viewer = shown_to_a_browser(windows, NOTHING_KEPT)
    expect(viewer.page.get_by_text("This browser keeps nothing for this page")).to_be_visible()
    expect(viewer.page.locator("#toast")).to_be_hidden()
    viewer.say("Hello!")
    host.sees("Hello!")
    viewer.sees("Hello!")
    # To say it once is enough.
    expect(viewer.page.locator("#toast")).to_be_hidden()
    viewer.button("Colours: as the system").click()
    expect(viewer.page.locator("html")).to_have_attribute("data-theme", "light")
    viewer.click("Sign out")
    expect(viewer.button("Sign in")).to_be_visible()


def test_no_room_to_keep_who_signs_in(windows: Windows) -> None:
    host, viewer = shown_to_a_browser(windows, NO_ROOM)
    viewer.say("Hello!")
    host.sees("Hello!")


def test_what_was_kept_by_another_version_of_the_page(windows: Windows) -> None:
    _, viewer = windows.live_session()
    session = viewer.page.url.partition("=")[2]
    for kept in range(4):
        for key, values in RUBBISH.items():
            entry = [key.format(id=session), values[kept % len(values)]]
            viewer.page.evaluate("([key, value]) => sessionStorage.setItem(key, value)", entry)
        viewer.page.evaluate("value => localStorage.setItem('stagewire.theme', value)", "mauve")
        viewer.page.reload()
        expect(viewer.page.locator("html")).to_have_attribute("data-theme", "auto")
        viewer.sign_in("bob", "Viewer")
        viewer.headline_is("alice is live")
        expect(viewer.page.locator("#curve-words")).to_contain_text("Most so far")


def test_a_duplicated_tab_is_another_device(windows: Windows) -> None:
    host, viewer = windows.live_session()
    second = duplicated(windows, host)
    second.headline_is("You are live")
    expect(second.page.get_by_text("Another device runs this session.")).to_be_visible()
    host.is_online()
    expect(host.button("Pause")).to_be_enabled()
    names = [json.loads(device(window.page)) for window in (host, second)]
    assert len(set(names)) == 2
    # Whoever is loaded again is still the same one.
    for window in (second, host):
        window.page.reload()
        window.headline_is("You are live")
    assert [json.loads(device(window.page)) for window in (host, second)] == names
    host.click("Pause")
    viewer.headline_is("Paused")
    second.headline_is("Paused")
    expect(second.button("Take over")).to_be_visible()


def test_messages_that_are_held_back_say_what_they_wait_for(windows: Windows) -> None:
    host, viewer = windows.live_session()
    host.click("Settings")
    # Longer than the slowest machine takes to write three messages.
    host.page.get_by_label("Slow mode").fill("600")
    host.click("Save")
    expect(viewer.page.get_by_text("Slow mode: a message every 10\u00a0min.")).to_be_visible()
    for text in ("one", "two", "three"):
        viewer.say(text)
    held = "Waiting. Not so fast: slow mode is on. It goes out by itself."
    expect(viewer.pending).to_have_text([held, "Waiting for its turn"])
    expect(viewer.messages).to_have_text(["one", "two", "three"])
    expect(viewer.button("Try again")).to_have_count(0)
    # So long may be too long: what is not sent yet can be taken back, and what waits for it has its turn.
    viewer.button("Discard").first.click()
    expect(viewer.messages).to_have_text(["one", "three"])
    expect(viewer.pending).to_have_text([held])
    viewer.click("Discard")
    viewer.sees("one")
    expect(viewer.button("Discard")).to_have_count(0)
    host.sees("one")


def test_what_was_being_written_is_there_again_after_an_edit(windows: Windows) -> None:
    host, viewer = windows.live_session()
    field = viewer.page.get_by_label("Message")
    viewer.say("The green noe")
    host.sees("The green noe")
    for end in ("Escape", "Enter"):
        field.fill("Half a sent")
        viewer.messages.first.hover()
        viewer.click("Edit")
        expect(field).to_have_value("The green noe")
        if end == "Enter":
            field.fill("The green one")
        field.press(end)
        expect(field).to_have_value("Half a sent")
    expect(host.messages).to_have_text(["The green one"])
    # It is about this session and no other.
    viewer.messages.first.hover()
    viewer.click("Edit")
    viewer.page.get_by_role("link", name="Stagewire").click()
    viewer.page.go_back()
    viewer.headline_is("alice is live")
    expect(field).to_have_value("")
