"""The studio when people go elsewhere in the middle of something, and what lies over its page."""

from playwright.sync_api import expect

from tests.e2e.lines import Line, Message, as_it_is
from tests.e2e.windows import Window, Windows
from tests.support.servers import DevServer

KNOCKING = "Waiting to be let in"
# Fills what a tab may keep to the last character.
FULL = """() => {
  for (let size = 1 << 20; size; size >>= 1) {
    try { for (let number = 0; ; number += 1) sessionStorage.setItem(`${size}/${number}`, "x".repeat(size)); } catch {}
  }
}"""


def home(window: Window) -> None:
    """Go back to all sessions."""
    window.page.get_by_role("link", name="Stagewire").click()
    expect(window.page.get_by_role("heading", name="Sessions")).to_be_visible()


def test_a_direct_message_is_answered_from_anywhere(windows: Windows) -> None:
    host, viewer = windows.live_session()
    host.page.get_by_role("button", name="bob").click()
    host.page.get_by_label("Write directly").fill("Are you there?")
    host.click("Send directly")
    expect(viewer.button("Inbox, 1 new")).to_be_visible()
    home(viewer)
    viewer.click("Inbox, 1 new")
    viewer.click("Reply")
    dialog = viewer.page.get_by_role("dialog", name="alice")
    expect(dialog.get_by_label("Role in this session")).to_be_hidden()
    expect(dialog.locator("#person-tag")).to_be_empty()
    # To a host one writes in the host's session: what the server says to that is said here.
    dialog.get_by_label("Write directly").fill("Yes")
    viewer.click("Send directly")
    expect(dialog.locator("#person-done:not(:empty), #person-fault:not(:empty)")).not_to_have_text("Just a moment…")
    viewer.click("Close")


def test_one_thing_at_a_time_lies_over_the_page(windows: Windows) -> None:
    host, _ = windows.live_session()
    inbox = host.page.get_by_role("complementary", name="Inbox")
    details = host.page.get_by_role("complementary", name="Connection")
    host.click("Inbox")
    host.click("Connection details")
    expect(details).to_be_visible()
    expect(inbox).to_be_hidden()
    expect(host.button("Inbox")).to_have_attribute("aria-expanded", "false")
    host.click("Inbox")
    expect(inbox).to_be_visible()
    expect(details).to_be_hidden()


def test_a_direct_message_is_sent_once(windows: Windows) -> None:
    host, viewer = windows.live_session()
    host.page.get_by_role("button", name="bob").click()
    field = host.page.get_by_label("Write directly")
    field.fill("Only once")
    send = "document.querySelector('#person-write').requestSubmit()"
    host.page.evaluate(f"{send}; {send}")
    expect(host.page.get_by_text("Sent.")).to_be_visible()
    expect(field).to_have_value("")
    viewer.page.get_by_role("button", name="Inbox, 1 new").click()
    expect(viewer.page.get_by_text("Only once")).to_have_count(1)


def test_what_came_of_one_person_is_not_told_of_another(server: DevServer, windows: Windows) -> None:
    host = windows.blank()
    line = Line(host)
    host.page.goto(server.url)
    host.sign_in("alice", "Seller")
    link = host.create("Three people")
    for name in ("bob", "carol"):
        viewer = windows.open(link)
        viewer.sign_in(name, "Viewer")
        viewer.is_online()
    acks: list[Message] = []

    def hold(message: Message) -> Message | None:
        if message["type"] != "ack" or "key" not in message:
            return message
        acks.append(message)
        return None

    line.back = hold
    host.page.get_by_role("button", name="bob").click()
    host.page.get_by_label("Write directly").fill("For bob")
    host.click("Send directly")
    expect(host.page.get_by_text("Just a moment…")).to_be_visible()
    host.click("Close")
    host.page.get_by_role("button", name="carol").click()
    host.page.get_by_label("Write directly").fill("For carol")
    line.wait_until(lambda: bool(acks))
    line.back = as_it_is
    for ack in acks:
        line.tell(ack)
    # What the server says next comes after it.
    line.wait_for("ping", line.passed["ping"] + 1)
    expect(host.page.get_by_role("dialog", name="carol")).to_be_visible()
    expect(host.page.locator("#person-done")).to_be_empty()
    expect(host.page.get_by_label("Write directly")).to_have_value("For carol")


def test_those_who_wait_at_one_door_are_not_shown_at_another(windows: Windows) -> None:
    host, _ = windows.private_session()
    knocking = host.page.get_by_role("region", name=KNOCKING)
    expect(knocking).to_contain_text("bob")
    host.click("End session")
    host.click("End for everyone")
    host.headline_is("The session has ended")
    expect(knocking).to_be_hidden()


def test_a_tab_without_room_goes_on_without(windows: Windows) -> None:
    host, viewer = windows.live_session()
    host.page.evaluate(FULL)
    third = windows.open(viewer.page.url)
    third.sign_in("carol", "Viewer")
    host.audience_is("3 people")
    host.say("Everything goes on")
    host.sees("Everything goes on")


def test_a_failure_is_told_where_it_happened(server: DevServer, windows: Windows) -> None:
    host = windows.blank()
    line = Line(host)
    host.page.goto(server.url)
    host.sign_in("alice", "Seller")
    host.create("The first")
    held: list[Message] = []

    def hold(message: Message) -> Message | None:
        if message["type"] != "session.start":
            return message
        held.append(message)
        return None

    line.out = hold
    host.click("Start session")
    line.wait_until(lambda: bool(held))
    home(host)
    host.create("The second")
    line.out = as_it_is
    # What nobody has answered there is not in the way of what is asked for here.
    host.click("Start session")
    host.headline_is("You are live")
    line.tell({"re": held[0]["id"], "type": "error", "code": "forbidden", "message": "not you"})
    line.wait_for("ping", line.passed["ping"] + 1)
    expect(host.page.locator("#controls-fault")).to_be_empty()
