"""The studio in a session where very much is said."""

from playwright.sync_api import Locator, expect

from tests.e2e.talks import a_long_talk, go_on
from tests.e2e.windows import Window, Windows
from tests.support.servers import DevServer

# How many events a page holds of a session.
HELD = 2000
# How many messages are shown to whoever reads at the end, and how many more when asked for.
SHOWN = 200
MORE = 100


def watching(windows: Windows, server: DevServer, session: str) -> Window:
    viewer = windows.open(f"{server.url}/#session={session}")
    viewer.sign_in("bob", "Viewer")
    viewer.is_online()
    return viewer


def first_message(window: Window) -> Locator:
    return window.messages.first


def message(window: Window, number: int) -> Locator:
    return window.messages.get_by_text(f"Message {number}", exact=True)


def height(place: Locator) -> float:
    """Give how far below the top of the screen something is."""
    y: float = place.evaluate("node => node.getBoundingClientRect().top")
    return y


def read(window: Window, number: int) -> None:
    """Scroll to a message above the end."""
    message(window, number).evaluate("node => node.scrollIntoView({block: 'start'})")
    # The page knows by then that it is not at the end any more.
    window.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_only_so_many_messages_are_shown_until_more_are_asked_for(server: DevServer, windows: Windows) -> None:
    session = a_long_talk(server, 50)
    viewer = watching(windows, server, session)
    expect(message(viewer, 49)).to_be_in_viewport()
    go_on(server, session, range(50, 500))
    expect(message(viewer, 499)).to_be_in_viewport()
    expect(viewer.messages).to_have_count(SHOWN)
    viewer.click("Load older messages")
    expect(viewer.messages).to_have_count(SHOWN + MORE)
    expect(first_message(viewer)).to_have_text(f"Message {500 - SHOWN - MORE}")
    # At the place where the reader was, and nothing is taken away there.
    expect(message(viewer, 500 - SHOWN)).to_be_in_viewport()
    go_on(server, session, range(500, 510))
    expect(viewer.messages).to_have_count(SHOWN + MORE + 10)
    for _ in range(3):
        viewer.click("Load older messages")
    expect(first_message(viewer)).to_have_text("Message 0")
    viewer.click("New messages")
    expect(message(viewer, 509)).to_be_in_viewport()
    go_on(server, session, range(510, 511))
    expect(viewer.messages).to_have_count(SHOWN)
    expect(message(viewer, 510)).to_be_in_viewport()


def test_who_reads_above_the_end_keeps_the_place_when_the_oldest_go(server: DevServer, windows: Windows) -> None:
    session = a_long_talk(server, 50)
    viewer = watching(windows, server, session)
    read(viewer, 30)
    before = height(message(viewer, 30))
    go_on(server, session, range(50, HELD + 20))
    expect(message(viewer, HELD + 19)).to_be_attached()
    # The log has the session's creation as well.
    expect(first_message(viewer)).to_have_text("Message 20")
    expect(message(viewer, 30)).to_be_in_viewport()
    assert abs(height(message(viewer, 30)) - before) <= 1
    expect(viewer.button("New messages")).to_be_visible()
    # There is more, of which the page says that it does not keep it.
    expect(viewer.button("What is older is not kept on this page.")).to_be_disabled()


def test_the_way_to_the_end_leads_there_however_much_comes_meanwhile(server: DevServer, windows: Windows) -> None:
    session = a_long_talk(server, 50)
    viewer = watching(windows, server, session)
    read(viewer, 10)
    go_on(server, session, range(50, 51))
    # A browser tells of scrolling with the next frame, and the next messages may be there before that.
    viewer.page.evaluate(
        """() => {
          const log = document.querySelector("[role=log]");
          log.addEventListener("scroll", (event) => event.stopImmediatePropagation(), {capture: true});
        }"""
    )
    viewer.click("New messages")
    go_on(server, session, range(51, 61))
    expect(message(viewer, 60)).to_be_in_viewport()
    expect(viewer.button("New messages")).to_be_hidden()


def test_a_message_that_has_the_focus_stays(server: DevServer, windows: Windows) -> None:
    session = a_long_talk(server, 50)
    viewer = watching(windows, server, session)
    viewer.say("Mine")
    expect(viewer.page.locator(".message.changeable")).to_have_count(1)
    viewer.page.get_by_role("log").press("ArrowUp")
    mine = viewer.page.locator(".message.mine")
    expect(mine).to_be_focused()
    go_on(server, session, range(50, 50 + SHOWN + 20))
    expect(message(viewer, 50 + SHOWN + 19)).to_be_attached()
    expect(mine).to_be_focused()
    viewer.page.get_by_label("Message", exact=True).focus()
    go_on(server, session, range(300, 301))
    expect(viewer.messages).to_have_count(SHOWN)
