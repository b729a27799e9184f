"""The studio in a browser, by what people see and click."""

from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.e2e.talks import a_long_talk, carry_out, dev_token
from tests.e2e.windows import Windows
from tests.support.servers import DevServer


def test_a_show_from_beginning_to_end(windows: Windows) -> None:
    seller = windows.open()
    seller.sign_in("alice", "Seller")
    link = seller.create("Friday drop: autumn jackets")
    assert seller.page.get_by_label("Link to this session").input_value() == link
    seller.headline_is("Ready when you are")

    viewer = windows.open(link, dark=True)
    viewer.sign_in("bob", "Viewer")
    viewer.headline_is("Not started yet")
    expect(viewer.button("Start session")).to_be_hidden()
    expect(seller.button("Pause")).to_be_hidden()
    seller.click("Start session")
    seller.headline_is("You are live")
    viewer.headline_is("alice is live")
    for window in (seller, viewer):
        window.is_online()
        window.audience_is("2 people")
        window.audience_is("2 connections")

    talk = [
        "Welcome to the autumn drop!",
        "Hello! Is the green one back?",
        "It is, in M and L. Two of each left.",
        "I take the M!",
    ]
    for turn, text in enumerate(talk):
        writer, reader = (seller, viewer) if turn % 2 == 0 else (viewer, seller)
        writer.say(text)
        expect(reader.messages.last).to_have_text(text)
    seller.sees(*talk)
    viewer.sees(*talk)

    viewer.page.get_by_label("Message").press_sequentially("Th")
    expect(seller.page.get_by_text("bob is typing…")).to_be_visible()
    viewer.page.get_by_label("Message").fill("")
    expect(seller.page.get_by_text("bob is typing…")).to_be_hidden()
    talk.append("<img src=x onerror=alert(1)>")
    viewer.say(talk[-1])
    seller.sees(*talk)

    seller.click("Pause")
    viewer.headline_is("Paused")
    expect(seller.button("Pause")).to_be_hidden()
    seller.click("Resume")
    viewer.headline_is("alice is live")

    seller.click("End session")
    seller.click("End for everyone")
    for window in (seller, viewer):
        window.headline_is("The session has ended")
        expect(window.page.get_by_text("The chat is closed.")).to_be_visible()
        expect(window.page.get_by_label("Message")).to_be_hidden()
        window.sees(*talk)
    expect(seller.page.get_by_role("group", name="Host controls")).to_be_hidden()
    viewer.page.get_by_role("link", name="Back to all sessions").click()
    expect(viewer.page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()


def test_a_second_window_is_a_second_user(windows: Windows) -> None:
    seller = windows.open()
    seller.sign_in("alice", "Seller")
    seller.create("Two windows")
    seller.click("Share")
    seller.click("Copy link")
    expect(seller.button("Copied")).to_be_visible()
    with seller.page.expect_popup() as opened:
        seller.page.get_by_role("link", name="Open in a new window").click()
    viewer = windows.adopt(opened.value)
    viewer.sign_in("bob", "Viewer")
    viewer.audience_is("2 people")
    viewer.page.reload()
    viewer.headline_is("Not started yet")
    viewer.say("Still bob")
    seller.sees("Still bob")
    viewer.click("Sign out")
    expect(viewer.button("Sign in")).to_be_visible()
    seller.audience_is("1 person")


def test_the_websocket_may_be_on_another_host(server: DevServer, windows: Windows) -> None:
    server.stop()
    server.set(STAGEWIRE_WEBSOCKET_URL=f"ws://localhost:{server.port}/v1/ws")
    server.start()
    window = windows.open()
    opened: list[str] = []
    window.page.on("websocket", lambda socket: opened.append(socket.url))
    window.sign_in("alice", "Seller")
    window.create("From elsewhere")
    assert opened == [f"ws://localhost:{server.port}/v1/ws"]
    server.stop()
    server.set(STAGEWIRE_WEBSOCKET_URL="")
    server.start()


def test_without_dev_mode_an_access_token_signs_in(server: DevServer, windows: Windows) -> None:
    window = windows.blank()
    settings = {"websocket_url": None, "websocket_port": server.port, "dev": False, "agora_sdk": None}
    window.page.route("**/studio/settings.json", lambda route: route.fulfill(json=settings))
    window.page.goto(server.url)
    expect(window.page.get_by_label("Name")).to_be_hidden()
    window.page.get_by_label("Access token").fill("not a token")
    window.click("Sign in")
    expect(window.page.get_by_text("This is not an access token.")).to_be_visible()
    window.page.get_by_label("Access token").fill(dev_token(server, "alice", "seller"))
    window.click("Sign in")
    window.create("By token")
    expect(window.page.locator("#account-role")).to_have_text("seller")
    window.say("Hello")
    window.sees("Hello")
    window.click("Sign out")
    # Of who was here nothing is left but the device.
    assert window.page.evaluate("() => Object.keys(sessionStorage)") == ["stagewire.device"]


def test_viewers_find_what_is_live(windows: Windows) -> None:
    viewer = windows.open()
    viewer.sign_in("bob", "Viewer")
    expect(viewer.page.get_by_label("Title of a new session")).to_be_hidden()
    seller = windows.open()
    seller.sign_in("alice", "Seller")
    seller.create("To be found")
    seller.page.get_by_role("link", name="Stagewire").click()
    seller.page.get_by_role("region", name="Yours").get_by_role("link", name="To be found").click()
    found = viewer.page.get_by_role("region", name="Live now").get_by_role("link", name="To be found")
    expect(found).to_be_hidden()
    seller.click("Start session")
    found.click()
    viewer.headline_is("alice is live")
    assert viewer.page.url == seller.page.url


def test_older_messages_come_when_asked_for(server: DevServer, windows: Windows) -> None:
    viewer = windows.open(f"{server.url}/#session={a_long_talk(server, 120)}")
    viewer.sign_in("bob", "Viewer")
    everything = [f"Message {number}" for number in range(120)]
    # The log holds the session's creation too, before all messages.
    viewer.sees(*everything[-50:])
    expect(viewer.messages.last).to_be_in_viewport()
    viewer.click("Load older messages")
    viewer.sees(*everything[-100:])
    expect(viewer.messages.nth(50)).to_be_in_viewport()
    viewer.click("Load older messages")
    viewer.sees(*everything)
    expect(viewer.page.get_by_text("alice created the session")).to_have_count(1)
    expect(viewer.button("Load older messages")).to_be_hidden()


def test_messages_change_for_those_who_are_there_and_for_those_who_come_later(
    server: DevServer, windows: Windows
) -> None:
    session = a_long_talk(server, 3)
    viewer = windows.open(f"{server.url}/#session={session}")
    viewer.sign_in("bob", "Viewer")
    viewer.sees("Message 0", "Message 1", "Message 2")
    edit = {"type": "chat.edit", "seq": 2, "text": "Message 0, corrected"}
    carry_out(server, dev_token(server, "alice", "seller"), session, edit, {"type": "chat.delete", "seq": 3})
    changed = ["Message 0, corrected", "This message was deleted.", "Message 2"]
    expect(viewer.messages).to_have_text(changed)
    expect(viewer.pending).to_have_text(["Edited"])
    viewer.page.reload()
    expect(viewer.messages).to_have_text(changed)
    expect(viewer.pending).to_have_text(["Edited"])


def test_people_correct_what_they_have_written(windows: Windows) -> None:
    host, viewer = windows.live_session()
    viewer.say("I take the green noe")
    host.sees("I take the green noe")
    viewer.messages.first.hover()
    viewer.click("Edit")
    field = viewer.page.get_by_label("Message")
    expect(field).to_have_value("I take the green noe")
    viewer.say("I take the green one")
    for window in (host, viewer):
        expect(window.messages).to_have_text(["I take the green one"])
    # By the keyboard alone: the newest message of one's own, and what the others have written.
    field.press("ArrowUp")
    expect(field).to_have_value("I take the green one")
    field.press("Escape")
    expect(field).to_have_value("")
    host.page.get_by_role("log").focus()
    for key in ("ArrowUp", "Tab", "Enter"):
        host.page.keyboard.press(key)
    expect(host.button("Delete for good?")).to_be_focused()
    host.page.keyboard.press("Enter")
    for window in (host, viewer):
        expect(window.messages).to_have_text(["This message was deleted."])


def test_the_keyboard_is_enough(windows: Windows) -> None:
    window = windows.open()
    keys = window.page.keyboard
    expect(window.page.get_by_label("Name")).to_be_focused()
    keys.type("alice")
    keys.press("Tab")
    keys.press("ArrowUp")
    expect(window.page.get_by_role("radio", name="Seller")).to_be_checked()
    keys.press("Enter")
    expect(window.page.get_by_role("heading", name="Sessions", exact=True)).to_be_focused()
    keys.press("Tab")
    keys.type("By keyboard")
    keys.press("Enter")
    expect(window.page.get_by_role("heading", name="By keyboard")).to_be_focused()
    expect(window.button("Start session")).to_be_enabled()
    for name in ("Watch as viewers do", "Share", "Start session"):
        keys.press("Tab")
        expect(window.button(name)).to_be_focused()
    keys.press("Enter")
    expect(window.button("Pause")).to_be_focused()
    for name in ("Settings", "End session"):
        keys.press("Tab")
        expect(window.button(name)).to_be_focused()
    keys.press("Enter")
    expect(window.page.get_by_role("dialog", name="End the session?")).to_be_visible()
    keys.press("Escape")
    expect(window.button("End session")).to_be_focused()
    keys.press("Enter")
    keys.press("Tab")
    keys.press("Enter")
    window.headline_is("The session has ended")
    expect(window.page.get_by_role("heading", name="By keyboard")).to_be_focused()


@pytest.mark.parametrize(("width", "height"), [(320, 568), (390, 844), (844, 390)])
def test_it_fits_a_phone(windows: Windows, width: int, height: int) -> None:
    window = windows.open(width=width, height=height, dark=height > width)
    expect(window.button("Sign in")).to_be_visible()
    window.fits()
    window.sign_in("alice", "Seller")
    expect(window.button("Create session")).to_be_in_viewport()
    window.fits()
    window.create("A title that is longer than the screen of any phone is wide, by far")
    window.click("Start session")
    window.headline_is("You are live")
    window.say("A-word-that-is-longer-than-the-screen-is-wide-" * 3)
    window.fits()
    within = (window.page.get_by_label("Message"), window.button("Send"), window.messages.last, window.button("Pause"))
    for visible in (*within, window.button("End session")):
        expect(visible).to_be_in_viewport(ratio=0.9)
    controls = window.page.get_by_role("group", name="Host controls")
    assert controls.evaluate("node => node.scrollWidth <= node.clientWidth")
    window.click("End session")
    expect(window.button("End for everyone")).to_be_in_viewport()
    window.fits()


def test_the_narrowest_phone_has_room_for_all_that_a_connection_may_be_at(windows: Windows) -> None:
    window = windows.open(width=320, height=568)
    window.page.route_web_socket("**/v1/ws", lambda socket: socket.close(code=4403))
    window.sign_in("alice", "Seller")
    window.connection_is("Disconnected")
    window.fits()


def test_long_titles_and_names_leave_room_for_the_rest(windows: Windows) -> None:
    window = windows.open(width=1440, height=900)
    window.sign_in("b" * 64, "Seller")
    window.create("long" * 50)
    assert (
        window.page.locator("#session-title").evaluate(
            "node => node.clientHeight / parseFloat(getComputedStyle(node).lineHeight)"
        )
        < 3.5
    )
    expect(window.page.locator("#session-title")).to_have_attribute("title", "long" * 50)
    expect(window.page.get_by_text("you, host")).to_be_visible()
    # Until there is a plot beside them, even that name has the room.
    expect(window.page.get_by_role("region", name="Audience over time")).to_be_visible()
    name = window.page.get_by_role("region", name="Who is here").get_by_text("b" * 64)
    assert name.evaluate(
        "node => getComputedStyle(node).textOverflow === 'ellipsis' && node.scrollWidth > node.clientWidth"
    )


def test_refusals_are_said_in_sentences(server: DevServer, windows: Windows) -> None:
    window = windows.open()
    window.sign_in("alice", "Seller")
    invisible = "\N{ZERO WIDTH SPACE}"
    window.page.get_by_label("Title of a new session").fill(invisible)
    window.click("Create session")
    expect(window.page.get_by_role("alert").filter(has_text="The text has nothing to see.")).to_be_visible()
    window.create("Refusals")
    window.say(invisible)
    expect(window.page.get_by_text("Not sent. The text has nothing to see.")).to_be_visible()
    window.click("Discard")
    window.sees()
    window.page.goto(f"{server.url}/#session={uuid4()}")
    window.headline_is("This session cannot be joined")
    window.headline_is("No such session.")
    # A refusal over HTTP is an error to the browser as well.
    assert [text for text in window.errors if "400 (Bad Request)" not in text] == []
    window.errors.clear()


def test_a_new_message_leaves_the_others_alone(windows: Windows) -> None:
    host, viewer = windows.live_session()
    host.say("one")
    host.say("two")
    viewer.sees("one", "two")
    viewer.page.evaluate(
        """() => {
          globalThis.touched = [];
          const words = ({target, attributeName}) => `${attributeName} of ${target.className}`;
          const note = (records) => touched.push(...records.map(words));
          const everything = {subtree: true, childList: true, attributes: true, characterData: true};
          const observer = new MutationObserver(note);
          for (const element of document.querySelectorAll(".message")) observer.observe(element, everything);
        }"""
    )
    host.say("three")
    viewer.sees("one", "two", "three")
    assert viewer.page.evaluate("touched") == []
