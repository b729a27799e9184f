"""Windows whose video is on a stand-in of Agora's SDK."""

import json
import re
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import expect

from tests.e2e.windows import Window, Windows

SDK: Final = "https://sdk.example/AgoraRTC.js"
STAND_IN: Final = (Path(__file__).parent / "agora.js").read_text()
APP: Final = "970ca35de60c44645bbae8a215061b33"
# The settings of a server that issues Agora tokens.
AGORA: Final = {
    "STAGEWIRE_AGORA_APP_ID": APP,
    "STAGEWIRE_AGORA_CERTIFICATE": "5" * 32,
    "STAGEWIRE_AGORA_SDK": SDK,
}


class Video:
    """A window whose video is the stand-in's."""

    def __init__(self, window: Window, **failing: str) -> None:
        self.window = window
        self.page = window.page
        self.page.add_init_script(f"window.failing = {json.dumps(failing)}")
        self.page.route(SDK, lambda route: route.fulfill(body=STAND_IN, content_type="text/javascript"))

    def do(self, what: str) -> Any:
        """Have the stand-in do something."""
        return self.page.evaluate(what)

    def calls(self, name: str) -> list[list[Any]]:
        """Give the details with which something was asked of the stand-in, each time."""
        return [call[1:] for call in self.do("agora.calls") if call[0] == name]

    def shows(self) -> None:
        """Expect a picture that moves, and is not black."""
        expect(self.page.locator("#stage")).to_have_attribute("data-picture", "shown")
        expect(self.page.locator("#picture")).to_be_visible()
        assert self.look()[0] > 0

    def look(self) -> tuple[int, str]:
        """Give how bright the picture is, up to 255 or -1 for none, and the words that stand in its place."""
        bright, words = self.page.locator("#picture").evaluate(
            """video => {
              const words = document.querySelector("#picture-words").textContent;
              if (!video.checkVisibility({visibilityProperty: true})) return [-1, words];
              const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
              const context = canvas.getContext("2d");
              context.drawImage(video, 0, 0, 1, 1);
              return [Math.max(...context.getImageData(0, 0, 1, 1).data.slice(0, 3)), words];
            }"""
        )
        return bright, words

    def waits(self) -> None:
        """Expect to be in the channel, where nobody publishes yet."""
        self.says("Waiting for alice's picture. It starts by itself.")

    def says(self, words: str | re.Pattern[str]) -> None:
        """Expect no picture, and this reason."""
        expect(self.page.locator("#picture-words")).to_have_text(words)
        expect(self.page.locator("#picture")).to_be_hidden()


def live(windows: Windows, *, link: str = "", user: str = "alice", before: str = "", **failing: str) -> Video:
    """Give the window of a host who is live, or of a viewer of the session at a link. `before` runs before the page."""
    window = windows.blank()
    window.page.add_init_script(before)
    video = Video(window, **failing)
    window.page.goto(link or windows.url)
    window.sign_in(user, "Viewer" if link else "Seller")
    if not link:
        window.create("With video")
        window.click("Start session")
    window.badge_is("Live")
    return video
