"""Whether the studio has room for everything on every screen, by where things are: no pixel is compared."""

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.e2e.windows import FLAGS, Window, Windows, find_browser
from tests.support.servers import DevServer


def scrolls_down(page: Page) -> bool:
    scrolls: bool = page.locator("html").evaluate("node => node.scrollHeight > node.clientHeight")
    return scrolls


def live_host(windows: Windows, width: int, height: int) -> Window:
    host = windows.open(width=width, height=height)
    host.sign_in("alice", "Seller")
    host.create("Friday drop: autumn jackets")
    return host


# The last two are a phone that lies, and a laptop whose page is twice as large.
@pytest.mark.parametrize(("width", "height"), [(320, 568), (390, 844), (820, 1180), (844, 390), (640, 400)])
def test_the_hosts_controls_are_there_without_scrolling(windows: Windows, width: int, height: int) -> None:
    host = live_host(windows, width, height)
    controls = host.page.get_by_role("group", name="Host controls")
    for name in ("Start session", "Pause"):
        expect(host.button(name)).to_be_in_viewport(ratio=0.9)
        expect(host.button("Settings")).to_be_in_viewport(ratio=0.9)
        assert controls.evaluate("node => node.scrollWidth <= node.clientWidth")
        if name == "Start session":
            host.click(name)
            host.headline_is("You are live")
    host.fits()


@pytest.mark.parametrize(("width", "height"), [(390, 664), (390, 844), (820, 1180)])
def test_who_is_here_pushes_nothing_off_the_screen(windows: Windows, width: int, height: int) -> None:
    viewer = windows.open(live_host(windows, 1280, 800).page.url, width=width, height=height)
    viewer.sign_in("bob", "Viewer")
    viewer.headline_is("Not started yet")
    for _ in range(2):
        viewer.click("Who is here")
        assert not scrolls_down(viewer.page)
    expect(viewer.page.get_by_label("Message")).to_be_in_viewport(ratio=1)


def test_a_tablet_shows_the_hosts_numbers_beside_the_chat(windows: Windows) -> None:
    host = live_host(windows, 820, 1180)
    for visible in (host.page.get_by_role("heading", name="Audience over time"), host.page.get_by_label("Message")):
        expect(visible).to_be_in_viewport(ratio=1)


def test_a_window_that_becomes_small_keeps_the_chat(windows: Windows) -> None:
    host = live_host(windows, 1280, 800)
    tiles = host.page.locator("#desk").get_by_role("region")
    expect(tiles).to_have_count(2)
    # A phone, and the same one with its keyboard.
    for height in (844, 400):
        host.page.set_viewport_size(ViewportSize(width=390, height=height))
        expect(tiles).to_have_count(0)
        host.page.get_by_label("Message").scroll_into_view_if_needed()
        expect(host.page.get_by_label("Message")).to_be_in_viewport(ratio=1)


def test_news_is_as_wide_as_it_needs_to_be(windows: Windows) -> None:
    host = windows.open(width=390, height=844)
    host.sign_in("alice", "Seller")
    host.page.locator("#create").get_by_label("Private").check()
    host.create("Among friends")
    guest = windows.open(host.page.url, width=390, height=844)
    guest.sign_in("a-name-that-is-rather-long", "Viewer")
    guest.click("Ask to be let in")
    news = host.page.get_by_role("status", name="News")
    expect(news).to_have_text("a-name-that-is-rather-long asks to be let in.")
    # It has two lines where half of the screen is left unused.
    assert news.evaluate("node => node.clientHeight / parseFloat(getComputedStyle(node).lineHeight)") < 2.9
    # What stands in the way has the screen for itself.
    box = guest.page.locator("#stage").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] == 844


def test_what_nobody_could_join_says_so(windows: Windows) -> None:
    window = windows.blank(width=390, height=844)
    window.page.route_web_socket("**/v1/ws", lambda socket: socket.close(code=4403))
    window.page.goto(f"{windows.url}/#session=01900000-0000-7000-8000-000000000000")
    window.sign_in("eve", "Viewer")
    window.headline_is("Not connected")
    expect(window.button("Share")).to_be_hidden()


def test_text_is_as_large_as_the_reader_has_set_it(browser: Browser, server: DevServer) -> None:
    find_browser()
    large = browser.browser_type.launch(
        executable_path=find_browser(), args=[*FLAGS, "--blink-settings=defaultFontSize=32"]
    )
    windows = Windows(large, server.url)
    host = windows.open(width=640, height=1136)
    assert host.page.locator("html").evaluate("node => getComputedStyle(node).fontSize") == "32px"
    host.sign_in("alice", "Seller")
    host.create("Friday drop: autumn jackets")
    host.click("Start session")
    host.headline_is("You are live")
    host.fits()
    for name in ("Pause", "End session", "Send"):
        host.button(name).scroll_into_view_if_needed()
        expect(host.button(name)).to_be_in_viewport(ratio=1)
    for width, height in [(1440, 900), (390, 844)]:
        host.page.set_viewport_size(ViewportSize(width=width, height=height))
        host.fits()
    windows.close()
    large.close()


def test_the_connection_panel_opens_full(windows: Windows) -> None:
    host = live_host(windows, 1280, 800)
    facts = host.page.locator("#panel").evaluate(
        "node => { document.querySelector('#panel-toggle').click(); return node.querySelectorAll('dd').length; }"
    )
    assert facts > 3


def test_a_picture_fits_its_place_whenever_that_changes(windows: Windows) -> None:
    host = live_host(windows, 1280, 800)
    host.click("Start session")
    stage = host.page.locator("#stage")
    expect(stage).to_have_attribute("data-fit", "cover")
    # A strip: by the second frame it is seen to, with no word from the server.
    fit = stage.evaluate(
        """async (node) => {
          Object.assign(node.style, {aspectRatio: "auto", height: "120px"});
          for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
          return node.dataset.fit;
        }"""
    )
    assert fit == "contain"
