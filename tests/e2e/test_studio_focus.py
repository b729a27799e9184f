"""Where the focus is when what had it goes away, by the keyboard alone."""

from playwright.sync_api import Locator, expect

from tests.e2e.windows import Window, Windows


def press(window: Window, button: Locator) -> None:
    """Press a button by the keyboard."""
    button.focus()
    window.page.keyboard.press("Enter")


def test_what_vanishes_from_the_chat_hands_its_focus_on(windows: Windows) -> None:
    host, viewer = windows.live_session()
    viewer.say("Hello")
    host.sees("Hello")
    host.page.get_by_role("log").focus()
    for key in ("ArrowUp", "Tab", "Enter", "Enter"):
        host.page.keyboard.press(key)
    host.sees("This message was deleted.")
    expect(host.page.locator(".message")).to_be_focused()
    viewer.say("\N{ZERO WIDTH SPACE}")
    press(viewer, viewer.button("Discard"))
    expect(viewer.page.get_by_role("log")).to_be_focused()


def test_those_who_wait_are_let_in_one_after_the_other(windows: Windows) -> None:
    host = windows.open()
    host.sign_in("alice", "Seller")
    host.page.locator("#create").get_by_label("Private").check()
    link = host.create("Among friends")
    guests = [windows.open(link) for _ in range(2)]
    for name, guest in zip(("bob", "carol"), guests, strict=True):
        guest.sign_in(name, "Viewer")
        press(guest, guest.button("Ask to be let in"))
        guest.headline_is("You have asked to be let in")
        expect(guest.button("Ask to be let in")).to_be_hidden()
        expect(guest.page.get_by_role("link", name="Back to all sessions")).to_be_focused()
    knocking = host.page.get_by_role("region", name="Waiting to be let in").get_by_role("button")
    expect(knocking).to_have_text(["Let in", "Decline"] * 2)
    press(host, knocking.first)
    expect(knocking).to_have_text(["Let in", "Decline"])
    expect(knocking.first).to_be_focused()
    host.page.keyboard.press("Tab")
    host.page.keyboard.press("Enter")
    expect(knocking).to_have_count(0)
    expect(host.page.locator("body")).not_to_be_focused()
    for guest, words in zip(guests, ("Not started yet", "The session is private"), strict=True):
        guest.headline_is(words)
    expect(guests[1].button("Ask to be let in")).to_be_visible()


def test_an_outage_takes_the_focus_from_nobody(windows: Windows) -> None:
    host = windows.open()
    host.sign_in("alice", "Seller")
    host.create("On a bad line")
    host.click("Start session")
    expect(host.button("Pause")).to_be_focused()
    host.page.context.set_offline(True)
    expect(host.button("Pause")).to_be_disabled()
    # Longer than the page takes to notice that there is no focus any more.
    host.page.wait_for_timeout(600)
    expect(host.button("Pause")).to_be_focused()
    host.page.keyboard.press("Enter")
    host.button("Try now").focus()
    host.page.context.set_offline(False)
    expect(host.button("Pause")).to_be_enabled()
    expect(host.page.get_by_role("heading", name="On a bad line")).to_be_focused()
    host.badge_is("Live")


def test_a_form_that_is_refused_keeps_the_focus(windows: Windows) -> None:
    host = windows.open()
    host.sign_in("alice", "Seller")
    host.page.get_by_label("Title of a new session").fill("\N{ZERO WIDTH SPACE}")
    press(host, host.button("Create session"))
    expect(host.page.get_by_text("The text has nothing to see.")).to_be_visible()
    expect(host.button("Create session")).to_be_focused()
    assert [text for text in host.errors if "400 (Bad Request)" not in text] == []
    host.errors.clear()
